"""sft, fkd and rkd: the methods that train on the ground truth as it is."""

import pytest
import torch
from pydantic import ValidationError

from kdzoo import divergences
from kdzoo.methods import registry
from kdzoo.testing import check_method

TARGETS = [[3, 4, 5], [], [6, 7]]
WITH_END = [[*row, 2] for row in TARGETS]


@pytest.mark.parametrize("name", ["sft", "fkd", "rkd"])
class TestAll:
    def test_it_keeps_the_rules(self, name):
        check_method(name)

    def test_it_trains_on_the_ground_truth(self, name, hooks, make_step):
        step = make_step(TARGETS)
        assert hooks(name).sequences(step) is step.target

    def test_its_mle_loss_is_the_mean_over_the_ground_truth_s_tokens(self, name, hooks, make_step, mean_nll):
        step = make_step(TARGETS)
        assert hooks(name).aux_loss(step).item() == pytest.approx(
            mean_nll(step, WITH_END, WITH_END), rel=1e-5
        )


@pytest.mark.parametrize(
    ("name", "expected"), [("fkd", divergences.forward_kl), ("rkd", divergences.reverse_kl)]
)
class TestWeighted:
    def test_its_divergence(self, name, expected, hooks, logits):
        assert torch.equal(hooks(name).divergence(*logits), expected(*logits))

    def test_both_weights_are_1_unless_given(self, name, expected, hooks, make_step, logits):
        step = make_step(TARGETS)
        plain, weighted = hooks(name), hooks(name, kd_weight=0.5, mle_weight=3)
        torch.testing.assert_close(weighted.divergence(*logits), 0.5 * plain.divergence(*logits))
        torch.testing.assert_close(weighted.aux_loss(step), 3 * plain.aux_loss(step))
        assert (plain.options.kd_weight, plain.options.mle_weight) == (1, 1)

    @pytest.mark.parametrize("weight", [-0.1, float("inf"), float("nan"), "heavy"])
    def test_a_weight_is_a_number_from_0(self, name, expected, hooks, weight):
        with pytest.raises(ValidationError):
            hooks(name, mle_weight=weight)


def test_sft_needs_no_teacher_and_has_no_options(hooks):
    plugin = registry.find("sft")
    assert not plugin.method.uses_teacher
    assert not registry.implements(plugin, "divergence")
    with pytest.raises(ValidationError):
        hooks("sft", kd_weight=1)
