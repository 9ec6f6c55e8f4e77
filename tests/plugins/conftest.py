"""A method's hooks, called as the core calls them, and steps over small tables."""

import pytest
import torch

from kdzoo.methods import registry
from kdzoo.methods.step import StepLosses
from kdzoo.testing import TableModel, TableStep, make_tokenizer
from kdzoo.testing.table_model import TakenTableStep


class Hooks:
    """The hooks of one method with the given options."""

    def __init__(self, name, options):
        plugin = registry.find(name)
        self._hooks = registry.hooks_of(plugin)
        self.options = plugin.method.options(**options)

    def sequences(self, step):
        with torch.no_grad():
            step.training_sequence = self._hooks.make_training_sequence(step=step, options=self.options)
        return step.training_sequence

    def rows(self, step):
        """The training sequences' tokens, without padding."""
        sequences = self.sequences(step)
        lengths = sequences.lengths.tolist()
        return [row[:length] for row, length in zip(sequences.tokens.tolist(), lengths, strict=True)]

    def setup(self, context=None):
        return self._hooks.setup(context=context, options=self.options)

    def prepare(self, step):
        with torch.no_grad():
            return self._hooks.prepare(step=step, options=self.options)

    def divergence(self, student, teacher, tokens=None, step=None, others=None):
        return self._hooks.divergence(
            student_logits=student,
            teacher_logits=teacher,
            other_logits=others or {},
            tokens=tokens,
            step=step,
            options=self.options,
        )

    def aux_loss(self, step):
        return self._hooks.aux_loss(step=step, options=self.options)

    def after_step(self, step, divergence=0.0, auxiliary=0.0):
        """Tell the method that a step whose training sequences are made has been taken, with these losses."""
        losses = StepLosses(divergence + auxiliary, divergence, auxiliary)
        self._hooks.after_step(step=TakenTableStep.of(step, step.state), losses=losses, options=self.options)


@pytest.fixture
def hooks():
    return lambda name, **options: Hooks(name, options)


@pytest.fixture
def make_step():
    """Make a step; ``targets`` are without the end of sequence (token 2), which is added."""

    def make(targets, *, tokenizer=None, student=None, teacher=None, **settings):
        return TableStep(
            targets,
            student=student or TableModel(1, trains=True),
            teacher=teacher or TableModel(2, trains=False),
            tokenizer=tokenizer or make_tokenizer(),
            **settings,
        )

    return make


@pytest.fixture
def logits():
    """Student's and teacher's random logits of six tokens."""
    torch.manual_seed(0)
    student, teacher = torch.randn(2, 6, 9) * 2
    return student, teacher


@pytest.fixture
def mean_nll():
    """-log q of the labels after the contexts, as their mean over all tokens: plain loops in float64."""

    def mean(step, contexts, labels):
        nll = []
        for prompt, (context, wanted) in enumerate(zip(contexts, labels, strict=True)):
            for position, label in enumerate(wanted):
                table_row = step.student.model.next_logits(prompt, context[:position]).detach().double()
                nll.append(float(table_row.exp().sum().log() - table_row[label]))
        return sum(nll) / len(nll)

    return mean
