"""A method on the ground truth is made of one divergence, and is like one that is written out."""

import types

import pytest
import torch

from kdzoo import WeightedOptions, divergences, ground_truth_kd
from kdzoo.methods import registry
from kdzoo.testing import RandomBatch, check_method


@pytest.fixture
def plugin():
    module = types.ModuleType("mine")
    module.register_method, module.divergence, module.aux_loss = ground_truth_kd(
        divergences.total_variation, name="mine", summary="A method of a test.", paper="-", divergence="TVD"
    )
    return registry.plugin_of(module)


def test_it_keeps_the_rules_of_every_method(plugin):
    check_method(plugin.module)
    check_method(plugin.module, {"kd_weight": 0.25, "mle_weight": 2})


def test_it_describes_itself(plugin):
    method = plugin.method
    assert (method.name, method.divergence, method.aux_loss) == ("mine", "TVD", "MLE on y")
    assert method.training_data == "ground truth"
    assert (method.cost.student, method.cost.teacher, method.cost.generation) == (1, 1, 0)


def test_its_loss_is_the_weighted_divergence_and_the_weighted_mean_nll(plugin):
    hooks, options = registry.hooks_of(plugin), WeightedOptions(kd_weight=0.25, mle_weight=2)
    step = RandomBatch(seed=3, dtype=torch.float64).step()
    assert hooks.make_training_sequence(step=step, options=options) is step.target
    student, teacher = torch.randn(2, 5, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    given = {"student_logits": student, "teacher_logits": teacher, "tokens": None, "step": step}
    distance = 0.5 * (student.softmax(-1) - teacher.softmax(-1)).abs().sum(-1)
    torch.testing.assert_close(
        hooks.divergence(**given, options=options).double(), 0.25 * distance, rtol=1e-5, atol=1e-6
    )
    log_q = step.student.logits(step.target).log_softmax(-1)
    rows = enumerate(zip(step.target.tokens.tolist(), step.target.lengths.tolist(), strict=True))
    nll = [-log_q[row, t, tokens[t]].item() for row, (tokens, length) in rows for t in range(length)]
    assert hooks.aux_loss(step=step, options=options).item() == pytest.approx(2 * sum(nll) / len(nll))


def test_every_call_makes_a_method_of_its_own(plugin):
    other = ground_truth_kd(divergences.forward_kl, name="other", summary="s", paper="-", divergence="KL")
    assert other[0]().name == "other"
    assert plugin.module.register_method().name == "mine"
