"""A method on the ground truth is made of one divergence, and is like one that is written out."""

import types

import pytest
import torch
from pydantic import Field

from kdzoo import TrainingDataOptions, WeightedOptions, divergences, ground_truth_kd
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
    given = {
        "student_logits": student,
        "teacher_logits": teacher,
        "other_logits": {},
        "tokens": None,
        "step": step,
    }
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


class TestOptions:
    class Mixing(TrainingDataOptions):
        beta: float = Field(0.3, ge=0, le=1)

    @pytest.fixture
    def mixing(self):
        module = types.ModuleType("mixing")
        module.register_method, module.divergence, module.aux_loss = ground_truth_kd(
            lambda student, teacher, options: divergences.jensen_shannon(student, teacher, options.beta),
            name="mixing",
            summary="A method of a test with an option.",
            paper="-",
            divergence="JSD(beta)",
            training_data="ground truth, or another",
            options=self.Mixing,
        )
        return registry.plugin_of(module)

    def test_the_divergence_gets_them(self, mixing):
        hooks = registry.hooks_of(mixing)
        student, teacher = torch.randn(2, 5, 7)
        given = {
            "student_logits": student,
            "teacher_logits": teacher,
            "other_logits": {},
            "tokens": None,
            "step": None,
        }
        for beta in (0.3, 0.8):
            found = hooks.divergence(**given, options=self.Mixing(beta=beta, kd_weight=2))
            torch.testing.assert_close(found, 2 * divergences.jensen_shannon(student, teacher, beta))

    def test_the_description_says_whether_mle_is_added(self, plugin, mixing):
        assert mixing.method.options is self.Mixing
        assert mixing.method.training_data == "ground truth, or another"
        assert (plugin.method.aux_loss, mixing.method.aux_loss) == ("MLE on y", "- (or MLE on y)")

    def test_without_a_weight_no_mle_is_computed(self, mixing):
        hooks, step = registry.hooks_of(mixing), RandomBatch().step()
        assert hooks.aux_loss(step=step, options=self.Mixing()) is None
        assert hooks.aux_loss(step=step, options=self.Mixing(mle_weight=0.5)).item() > 0
