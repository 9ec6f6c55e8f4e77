"""Hidden: distances of hidden states through a trained matrix, beside forward KL and MLE."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from kdzoo import LossSum, ModelShape, SetupContext, UserError, divergences
from kdzoo.testing import VOCABULARY, check_method

TARGETS = [[3, 4, 5], [], [6, 7]]
SMALLER = 5


class NarrowStep:
    """A step whose student has states of another size than its logits."""

    def __init__(self, step):
        self._step = step
        self.student = _NarrowStudent(step.student)

    def __getattr__(self, name):
        return getattr(self._step, name)


class _NarrowStudent:
    def __init__(self, student):
        self._student = student

    def __getattr__(self, name):
        return getattr(self._student, name)

    def hidden(self, sequences, layers):
        return [states[..., :SMALLER] for states in self._student.hidden(sequences, layers)]


def context(student=VOCABULARY, teacher=VOCABULARY, depth=2):
    shapes = (ModelShape(size, VOCABULARY, depth) for size in (student, teacher))
    return SetupContext(*shapes, tokenizer=None, steps=1)


def states(step, model, layer):
    """A model's hidden states that predict each token of each target, in float64."""
    rows = [[*row, 2] for row in TARGETS]
    return [
        getattr(step, model).model.hidden_states(prompt, row[:t])[layer].detach().double().numpy()
        for prompt, row in enumerate(rows)
        for t in range(len(row))
    ]


def cosine(h, wanted):
    return 1 - h @ wanted / np.sqrt(h @ h) / np.sqrt(wanted @ wanted)


def mse(h, wanted):
    return sum((a - b) ** 2 for a, b in zip(h, wanted, strict=True)) / len(h)


FORMULAS = {"cosine": cosine, "mse": mse}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"loss": "mse", "projection": "always", "mle_weight": 0},
        {"layers": [0, 1, -1], "teacher_layers": [0, -2, 2], "hidden_weight": 0.5},
    ],
)
def test_it_keeps_the_rules(options):
    check_method("hidden", options)


class TestLoss:
    @pytest.mark.parametrize("loss", ["cosine", "mse"])
    def test_it_is_the_mean_distance_summed_over_pairs_of_layers_beside_mle(
        self, hooks, make_step, mean_nll, loss
    ):
        step = make_step(TARGETS)
        hidden = hooks(
            "hidden", loss=loss, layers=[1, -1], teacher_layers=[2, 1], hidden_weight=3, mle_weight=2
        )
        hidden.sequences(step)
        mle, *terms = hidden.aux_loss(step)
        with_end = [[*row, 2] for row in TARGETS]
        assert mle.item() == pytest.approx(2 * mean_nll(step, with_end, with_end), rel=1e-5)
        for term, own, other in zip(terms, (1, -1), (2, 1), strict=True):
            pairs = zip(states(step, "student", own), states(step, "teacher", other), strict=True)
            expected = 3 * sum(FORMULAS[loss](h, wanted) for h, wanted in pairs)
            assert isinstance(term, LossSum)
            assert term.per == "scored_token"
            assert term.total.item() == pytest.approx(expected, rel=1e-5)

    @pytest.mark.parametrize("loss", ["cosine", "mse"])
    def test_states_of_another_size_pass_through_the_matrix_which_is_trained(self, hooks, make_step, loss):
        step = NarrowStep(make_step(TARGETS))
        hidden = hooks("hidden", loss=loss, mle_weight=0)
        torch.manual_seed(0)
        step.state = hidden.setup(context(student=SMALLER))
        hidden.sequences(step)
        (term,) = hidden.aux_loss(step)
        term.total.backward()
        matrix = step.state.weight.detach().double().numpy()
        assert matrix.shape == (VOCABULARY, SMALLER)
        wanted = states(step, "teacher", -1)

        def total(matrix):
            projected = [matrix @ h[:SMALLER] for h in states(step, "student", -1)]
            return sum(FORMULAS[loss](h, w) for h, w in zip(projected, wanted, strict=True))

        assert term.total.item() == pytest.approx(total(matrix), rel=1e-5)
        slope = np.zeros_like(matrix)
        for place in np.ndindex(matrix.shape):
            step_there = np.zeros_like(matrix)
            step_there[place] = 1e-5
            slope[place] = (total(matrix + step_there) - total(matrix - step_there)) / 2e-5
        np.testing.assert_allclose(step.state.weight.grad.numpy(), slope, rtol=1e-3, atol=1e-4)

    def test_its_divergence_is_the_forward_kl(self, hooks, logits):
        given = hooks("hidden", kd_weight=0.5).divergence(*logits)
        torch.testing.assert_close(given, 0.5 * divergences.forward_kl(*logits))

    def test_it_trains_on_the_ground_truth(self, hooks, make_step):
        step = make_step(TARGETS)
        assert hooks("hidden").sequences(step) is step.target

    def test_without_weights_nothing_is_added(self, hooks, make_step):
        assert hooks("hidden", mle_weight=0, hidden_weight=0).aux_loss(make_step(TARGETS)) == []


class TestMatrix:
    def test_models_of_one_size_have_none_unless_told(self, hooks):
        assert hooks("hidden").setup(context()) is None
        assert hooks("hidden", projection="always").setup(context()).weight.shape == (VOCABULARY, VOCABULARY)

    def test_it_is_one_matrix_and_nothing_else(self, hooks):
        state = hooks("hidden", layers=[1, 2], teacher_layers=[1, 2]).setup(context(student=SMALLER))
        assert [tuple(p.shape) for p in state.parameters()] == [(VOCABULARY, SMALLER)]


class TestLayers:
    def test_options_announce_them(self, hooks):
        options = hooks("hidden", layers=[0, 2], teacher_layers=[0, 6]).options
        assert (options.hidden_layers, options.teacher_hidden_layers) == ((0, 2), (0, 6))
        default = hooks("hidden").options
        assert (default.hidden_layers, default.teacher_hidden_layers) == ((-1,), (-1,))

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"layers": [3]}, "hidden: layers: there is no layer 3; the model has layers 0 .* to 2"),
            ({"teacher_layers": [-4]}, "hidden: teacher_layers: there is no layer -4"),
        ],
    )
    def test_one_that_a_model_does_not_have_is_named_before_training(self, hooks, options, words):
        with pytest.raises(UserError, match=words):
            hooks("hidden", **options).setup(context())

    def test_there_must_be_as_many_of_both_models(self, hooks):
        with pytest.raises(ValidationError, match="must be as many, not 2 and 1"):
            hooks("hidden", layers=[1, 2])


@pytest.mark.parametrize("options", [{"layers": []}, {"loss": "l1"}, {"projection": True}])
def test_options_out_of_range_are_errors(hooks, options):
    with pytest.raises(ValidationError):
        hooks("hidden", **options)
