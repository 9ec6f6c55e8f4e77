"""Cross entropies in closed form equal torch's and the textbook's, in value and gradient."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kdzoo.methods.closed_form import cross_entropy, sparse_cross_entropy

rows = st.lists(st.floats(-60, 60, width=32), min_size=5, max_size=5)


def value_and_gradient(loss, logits, labels, weights):
    leaf = logits.clone().requires_grad_()
    values = loss(leaf, labels)
    (values * weights).sum().backward()
    return values.detach().double(), leaf.grad.double()


@given(st.lists(st.tuples(rows, st.integers(0, 4), st.floats(0.125, 2)), min_size=1, max_size=4))
def test_it_equals_float64_whatever_the_logits(drawn):
    logits = torch.tensor([row for row, _, _ in drawn])
    labels = torch.tensor([label for _, label, _ in drawn])
    weights = torch.tensor([weight for _, _, weight in drawn])

    def textbook(logits, labels):
        exact = logits.double()
        return exact.logsumexp(-1) - exact.gather(1, labels[:, None]).squeeze(1)

    ours = value_and_gradient(cross_entropy, logits, labels, weights)
    theirs = value_and_gradient(textbook, logits.double(), labels, weights)
    for given_values, expected in zip(ours, theirs, strict=True):
        torch.testing.assert_close(given_values, expected, rtol=1e-5, atol=2e-5)


def test_logits_in_bfloat16_are_computed_in_float32():
    torch.manual_seed(0)
    logits = torch.randn(6, 40).to(torch.bfloat16)
    labels = torch.randint(40, (6,))
    values = cross_entropy(logits, labels)
    assert values.dtype == torch.float32
    expected = torch.nn.functional.cross_entropy(logits.float(), labels, reduction="none")
    torch.testing.assert_close(values, expected)


def test_a_label_of_probability_zero_costs_infinitely_much_and_gives_no_nan():
    logits = torch.tensor([[0.0, -torch.inf]], requires_grad=True)
    value = cross_entropy(logits, torch.tensor([1]))
    assert value.item() == torch.inf
    value.backward()
    assert logits.grad.tolist() == [[1.0, -1.0]]


def test_no_tokens_give_no_values():
    logits = torch.zeros(0, 7, requires_grad=True)
    cross_entropy(logits, torch.zeros(0, dtype=torch.long)).sum().backward()
    assert logits.grad.shape == (0, 7)


@pytest.mark.parametrize("label", [-1, 7])
def test_labels_outside_the_vocabulary_are_refused(label):
    with pytest.raises(RuntimeError, match="index"):
        cross_entropy(torch.zeros(1, 7), torch.tensor([label]))


class TestSparse:
    @given(st.data())
    def test_it_equals_float64_whatever_the_logits_labels_and_weights(self, data):
        count = data.draw(st.integers(1, 3))
        logits = torch.tensor(data.draw(st.lists(rows, min_size=count, max_size=count)))
        several = lambda values: st.lists(  # noqa: E731
            st.lists(values, min_size=4, max_size=4), min_size=count, max_size=count
        )
        labels = torch.tensor(data.draw(several(st.integers(0, 4))))
        weights = torch.tensor(data.draw(several(st.floats(0, 2, width=32))))
        upstream = torch.linspace(0.5, 2, count)

        def textbook(logits, labels):
            log_q = logits.double().log_softmax(-1)
            terms = [
                sum(w * log_q[n, label] for label, w in zip(labels[n], weights[n].double(), strict=True))
                for n in range(count)
            ]
            return -torch.stack(terms)

        ours = value_and_gradient(
            lambda logits, labels: sparse_cross_entropy(logits, labels, weights), logits, labels, upstream
        )
        theirs = value_and_gradient(textbook, logits.double(), labels, upstream)
        for found, expected in zip(ours, theirs, strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=5e-5)

    def test_one_label_of_weight_1_is_the_cross_entropy(self):
        torch.manual_seed(0)
        logits, labels = torch.randn(6, 40), torch.randint(40, (6,))
        found = sparse_cross_entropy(logits, labels[:, None], torch.ones(6, 1))
        torch.testing.assert_close(found, cross_entropy(logits, labels))

    def test_what_has_no_weight_counts_nothing_even_where_it_is_impossible(self):
        logits = torch.tensor([[0.0, 0.0, -torch.inf]], requires_grad=True)
        labels, weights = torch.tensor([[0, 2]]), torch.tensor([[1.0, 0.0]])
        value = sparse_cross_entropy(logits, labels, weights)
        value.backward()
        assert value.item() == pytest.approx(math.log(2))
        assert logits.grad.tolist() == [[-0.5, 0.5, 0.0]]
