"""The fused cross entropy equals the textbook's in float64, whatever the chunks, with its gradients."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kdzoo.engine.losses import linear_cross_entropy as module
from kdzoo.engine.losses.linear_cross_entropy import linear_cross_entropy
from kdzoo.engine.losses.scored_hidden_states import ScoredHiddenStates, sum_of_cross_entropies

HIDDEN = 6


def textbook(rows, weight, labels):
    """Value and gradients in float64, recorded operation by operation."""
    rows, weight = (x.detach().double().requires_grad_() for x in (rows, weight))
    total = -(rows @ weight.T).log_softmax(-1).gather(1, labels[:, None]).sum()
    return total.detach(), *torch.autograd.grad(total, [rows, weight])


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    tokens=st.integers(1, 20),
    vocabulary=st.integers(2, 40) | st.just(3000),
    chunk=st.integers(1, 9),
    scale=st.sampled_from([0.1, 1.0, 30.0]),
)
def test_it_equals_the_textbook(seed, tokens, vocabulary, chunk, scale):
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(tokens, HIDDEN, generator=generator).mul(scale).requires_grad_()
    weight = torch.randn(vocabulary, HIDDEN, generator=generator).requires_grad_()
    labels = torch.randint(vocabulary, (tokens,), generator=generator)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_CHUNK_ELEMENTS", chunk * vocabulary)
        total = linear_cross_entropy(rows, weight, labels)
    (total / 7).backward()
    value, of_rows, of_weight = textbook(rows, weight, labels)
    tolerance = {"rtol": 1e-4, "atol": 1e-5 * scale * tokens}
    torch.testing.assert_close(total.detach().double(), value, **tolerance)
    torch.testing.assert_close(rows.grad.double(), of_rows / 7, **tolerance)
    torch.testing.assert_close(weight.grad.double(), of_weight / 7, **tolerance)


def test_a_label_of_probability_zero_costs_its_logit_and_not_infinity():
    rows, weight = torch.tensor([[1000.0]], requires_grad=True), torch.tensor([[1.0], [-1.0]])
    total = linear_cross_entropy(rows, weight, torch.tensor([1]))
    total.backward()
    assert total.item() == 2000
    assert rows.grad.item() == 2


def test_a_frozen_weight_gets_no_gradient():
    torch.manual_seed(0)
    rows, weight = torch.randn(4, HIDDEN, requires_grad=True), torch.randn(9, HIDDEN)
    labels = torch.tensor([0, 3, 8, 3])
    linear_cross_entropy(rows, weight, labels).backward()
    assert weight.grad is None
    torch.testing.assert_close(rows.grad.double(), textbook(rows, weight, labels)[1])


def test_asking_for_the_gradients_twice_is_an_error():
    rows, weight = torch.randn(2, HIDDEN, requires_grad=True), torch.randn(3, HIDDEN)
    total = linear_cross_entropy(rows, weight, torch.tensor([0, 1]))
    total.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="compute it again"):
        total.backward()


class TestWithFeatures:
    """Where tokens meet the vocabulary for this loss alone, it is fused; the result is the same everywhere."""

    @pytest.fixture
    def used(self, monkeypatch):
        calls = []

        def watched(*arguments):
            calls.append(arguments)
            return linear_cross_entropy(*arguments)

        monkeypatch.setattr("kdzoo.engine.losses.scored_hidden_states.linear_cross_entropy", watched)
        return calls

    def states(self, dtype=torch.float32, weighted=True):
        torch.manual_seed(0)
        head = torch.nn.Linear(HIDDEN, 11, bias=False, dtype=dtype)
        rows = torch.randn(5, HIDDEN, dtype=dtype, requires_grad=True)
        return ScoredHiddenStates(rows, head, 11, [head.weight], head.weight if weighted else None)

    labels = torch.tensor([1, 0, 10, 4, 4])

    def loss_and_gradients(self, states):
        total = sum_of_cross_entropies(states, self.labels)
        return total, *torch.autograd.grad(total, [states.rows, *states.parameters])

    def test_it_equals_the_loss_on_logits(self, used):
        fused = self.loss_and_gradients(self.states())
        recorded = self.loss_and_gradients(self.states(weighted=False))
        assert len(used) == 1
        for one, other in zip(fused, recorded, strict=True):
            torch.testing.assert_close(one, other)

    def test_logits_that_another_loss_has_asked_for_are_used_again(self, used):
        states = self.states()
        states.all_logits()
        self.loss_and_gradients(states)
        assert not used

    def test_lower_precision_and_mixed_precision_go_by_the_logits(self, used):
        self.loss_and_gradients(self.states(torch.bfloat16))
        with torch.autocast("cpu", torch.bfloat16):
            self.loss_and_gradients(self.states())
        assert not used

    def test_without_gradients_nothing_is_fused(self, used):
        with torch.no_grad():
            sum_of_cross_entropies(self.states(), self.labels)
        assert not used
