"""A method that uses every hook: what it trains, keeps, prepares and adapts shows in its loss."""

import types

import torch

from kdzoo import LossSum, Method, Options, StepCost, divergences, hookimpl
from kdzoo.engine.training.chosen_method import chosen
from kdzoo.methods import registry


class Kept(torch.nn.Module):
    """A trained scale, a running mean of the losses, and the examples of the last step."""

    def __init__(self, size):
        super().__init__()
        self.layer = torch.nn.Linear(size, 1)
        self.register_buffer("mean", torch.ones(()))
        self.last = []

    def get_extra_state(self):
        return {"last": self.last}

    def set_extra_state(self, state):
        self.last = state["last"]


def setup(context):
    assert context.teacher is not None
    return Kept(context.student.vocabulary)


def prepare(step):
    """How likely the teacher finds each token of the ground truth."""
    return {
        "likely": step.teacher.per_token(
            step.target,
            lambda logits, ids: logits.softmax(-1).gather(1, ids[:, None])[:, 0],
            inputs=step.target.tokens,
        )
    }


def make_training_sequence(step):
    generated = step.generator.per_row(1)[:, 0] < 0.5
    sequences = step.student.generate(rows=generated).where(generated, step.target)
    return sequences.with_values(drawn=step.generator.per_row(sequences.tokens.shape[1]))


def divergence(student_logits, teacher_logits, tokens, step):
    scale = step.state.layer(student_logits.detach().softmax(-1))[:, 0].sigmoid()
    likely = step.prepared["likely"].sum(1)[tokens.rows]
    weight = scale + tokens.values["drawn"] + step.state.mean + likely
    return weight * divergences.forward_kl(student_logits, teacher_logits)


def aux_loss(step):
    sequences = step.training_sequence
    total = step.student.cross_entropy(sequences) * sequences.lengths.sum()
    return LossSum(total, per="scored_token")


def after_step(step, losses):
    drawn = step.training_sequence.values["drawn"][:, 0].mean() + float(step.generator.per_row(1).mean())
    step.state.mean.mul_(0.5).add_(0.5 * losses.total + 0.1 * drawn)
    step.state.last = list(step.examples)


HOOKS = (setup, prepare, make_training_sequence, divergence, aux_loss, after_step)


def keeping(**changed):
    """The method, with hooks of another kind in place of some of its own; None leaves one out."""
    plugin = types.ModuleType("keeping")
    plugin.register_method = hookimpl(
        lambda: Method(
            name="keeping",
            summary="-",
            paper="-",
            training_data="-",
            divergence="-",
            aux_loss="-",
            cost=StepCost(),
        )
    )
    for hook in HOOKS:
        function = changed.get(hook.__name__, hook)
        if function is not None:
            setattr(plugin, hook.__name__, hookimpl(function))
    return chosen(registry.plugin_of(plugin), Options())
