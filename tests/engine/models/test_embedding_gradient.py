"""Several lookups give the embeddings and the gradient that the embedding itself gives."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kdzoo.engine.models.embedding_gradient import DenseGradientEmbedding

VOCABULARY, HIDDEN = 9, 4

batches_of_tokens = st.lists(
    st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=12), min_size=1, max_size=4
)


def gradient(embedding, look_up, batches):
    """Of a loss in which every lookup and every place weighs differently."""
    embedding.zero_grad()
    total = torch.zeros(())
    for number, tokens in enumerate(batches):
        found = look_up(torch.tensor([tokens]))
        total = (
            total + (found * torch.arange(1.0, found.numel() + 1).view_as(found).sqrt() * (number + 1)).sum()
        )
    total.backward()
    return total.detach(), embedding.weight.grad


@settings(max_examples=50, deadline=None)
@given(batches=batches_of_tokens, padding=st.sampled_from([None, 0, 3]))
def test_gradients_of_all_lookups_add_up(batches, padding):
    torch.manual_seed(0)
    embedding = torch.nn.Embedding(VOCABULARY, HIDDEN, padding_idx=padding)
    value, expected = gradient(embedding, embedding, batches)
    given_value, given_gradient = gradient(embedding, DenseGradientEmbedding(embedding), batches)
    assert given_value == value
    assert given_gradient.layout == torch.strided
    torch.testing.assert_close(given_gradient, expected)


def test_a_tied_projection_adds_its_own_gradient():
    torch.manual_seed(0)
    embedding = torch.nn.Embedding(VOCABULARY, HIDDEN)
    look_up, tokens = DenseGradientEmbedding(embedding), torch.tensor([1, 5, 5])

    def gradient_through(lookup):
        logits = lookup(tokens) @ embedding.weight.T
        return torch.autograd.grad(logits.square().sum(), embedding.weight)[0]

    torch.testing.assert_close(gradient_through(look_up), gradient_through(embedding))


def test_a_lookup_without_gradients_leaves_those_after_it_theirs():
    embedding = torch.nn.Embedding(VOCABULARY, HIDDEN)
    look_up, tokens = DenseGradientEmbedding(embedding), torch.tensor([2])
    with torch.no_grad():
        assert not look_up(tokens).requires_grad
    assert torch.equal(look_up(tokens), embedding.weight[2:3])
    assert look_up(tokens).requires_grad
