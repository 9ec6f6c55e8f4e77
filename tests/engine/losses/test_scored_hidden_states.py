"""A loss over chunks of logits equals the loss over all logits, in value and gradient."""

import pytest
import torch
from peft import LoraConfig, get_peft_model

from kdzoo import divergences
from kdzoo.engine.losses import scored_hidden_states as features_module
from kdzoo.engine.losses.scored_hidden_states import (
    ScoredHiddenStates,
    log_probabilities,
    map_tokens,
    sum_over_tokens,
)
from kdzoo.methods.closed_form import cross_entropy

TOKENS, HIDDEN, VOCABULARY = 37, 16, 50


def setup(dtype):
    torch.manual_seed(0)
    head = torch.nn.Linear(HIDDEN, VOCABULARY).to(dtype)
    rows = torch.randn(TOKENS, HIDDEN, dtype=dtype, requires_grad=True)
    teacher = torch.randn(TOKENS, VOCABULARY, dtype=dtype) * 3
    return head, rows, teacher


def value_and_gradients(loss, head, rows, teacher, limit, monkeypatch):
    monkeypatch.setattr(features_module, "CHUNK_ELEMENTS", limit)
    rows.grad = None
    head.zero_grad()
    states = ScoredHiddenStates(rows, head, VOCABULARY, list(head.parameters()))
    total = sum_over_tokens(states, lambda logits, part: loss(logits, teacher[part])) / 3
    total.backward()
    return total.detach(), rows.grad.clone(), head.weight.grad.clone(), head.bias.grad.clone()


LOSSES = {
    "fkl": divergences.forward_kl,
    "rkl": divergences.reverse_kl,
    "jsd": lambda q, p: divergences.jensen_shannon(q, p, beta=0.3),
    "tvd": divergences.total_variation,
    "head and tail": divergences.head_tail_kl,
    "alpha-beta": lambda q, p: divergences.alpha_beta(q, p, 0.2, 0.7),
    "assistant": lambda q, p: divergences.assistant_alpha_beta(q, p, alpha=0.5, share=0.5),
    "concrete": lambda q, p: divergences.concrete_score(q, p, "teacher", "student"),
    "mle": lambda q, p: cross_entropy(q, p.argmax(-1)),
}


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
def test_chunks_change_nothing(loss, dtype, tolerance, monkeypatch):
    head, rows, teacher = setup(dtype)
    whole = value_and_gradients(loss, head, rows, teacher, TOKENS * VOCABULARY, monkeypatch)
    chunked = value_and_gradients(loss, head, rows, teacher, 5 * VOCABULARY, monkeypatch)
    for expected, given in zip(whole, chunked, strict=True):
        assert (given.float() - expected.float()).norm() <= tolerance * expected.float().norm()


def test_a_frozen_projection_gets_no_gradient(monkeypatch):
    head, rows, teacher = setup(torch.float32)
    head.requires_grad_(False)
    monkeypatch.setattr(features_module, "CHUNK_ELEMENTS", 5 * VOCABULARY)
    states = ScoredHiddenStates(rows, head, VOCABULARY, [])
    sum_over_tokens(states, lambda logits, part: divergences.reverse_kl(logits, teacher[part])).backward()
    assert head.weight.grad is None
    assert rows.grad.norm() > 0


def test_what_a_method_trains_gets_its_gradient_from_every_chunk(monkeypatch):
    gradients = []
    for limit in (TOKENS * VOCABULARY, 5 * VOCABULARY):
        monkeypatch.setattr(features_module, "CHUNK_ELEMENTS", limit)
        head, rows, teacher = setup(torch.float32)
        weights, unused = (torch.ones(TOKENS, requires_grad=True) for _ in range(2))

        def loss(logits, part, teacher=teacher, weights=weights):
            return weights[part].exp() * divergences.reverse_kl(logits, teacher[part])

        states = ScoredHiddenStates(rows, head, VOCABULARY, list(head.parameters()))
        sum_over_tokens(states, loss, of_method=[weights, unused]).backward()
        gradients.append(weights.grad)
        assert unused.grad is None or not unused.grad.any()
    assert gradients[0].norm() > 0
    assert torch.allclose(*gradients, rtol=1e-5)


def test_only_one_chunk_of_logits_exists_at_a_time(monkeypatch):
    head, rows, _ = setup(torch.float32)
    monkeypatch.setattr(features_module, "CHUNK_ELEMENTS", 5 * VOCABULARY)
    sizes = []

    def loss(logits, part):
        sizes.append(logits.shape[0])
        return logits.sum(-1)

    sum_over_tokens(ScoredHiddenStates(rows, head, VOCABULARY, list(head.parameters())), loss)
    assert sizes == [5] * 7 + [2]


def test_no_tokens_give_zero():
    head, rows, _ = setup(torch.float32)
    total = sum_over_tokens(
        ScoredHiddenStates(rows[:0], head, VOCABULARY), lambda logits, part: logits.sum(-1)
    )
    assert total.item() == 0
    total.backward()


def test_mapping_tokens_gives_a_value_for_each(monkeypatch):
    head, rows, _ = setup(torch.float32)
    monkeypatch.setattr(features_module, "CHUNK_ELEMENTS", 5 * VOCABULARY)
    with torch.no_grad():
        mapped = map_tokens(
            ScoredHiddenStates(rows, head, VOCABULARY), lambda logits, part: logits.argmax(-1)
        )
        assert torch.equal(mapped, head(rows).argmax(-1))


class TestLogProbabilities:
    KNOWN = 45
    labels = torch.arange(TOKENS) % KNOWN

    def states(self, head, rows, limit, monkeypatch):
        monkeypatch.setattr(features_module, "CHUNK_ELEMENTS", limit * VOCABULARY)
        trained = [p for p in head.parameters() if p.requires_grad]
        return ScoredHiddenStates(rows, head, VOCABULARY, trained)

    def textbook(self, head, rows, known=KNOWN):
        logits = head(rows)[:, :known]
        return logits.log_softmax(-1).gather(1, self.labels[:, None]).squeeze(1)

    @pytest.mark.parametrize("limit", [1, 5, TOKENS - 1, TOKENS])
    @pytest.mark.parametrize("lora", [False, True], ids=["full", "lora"])
    def test_they_and_their_gradients_are_the_textbook_s(self, limit, lora, monkeypatch):
        head, rows, _ = setup(torch.float64)
        if lora:
            head = get_peft_model(
                torch.nn.Sequential(head), LoraConfig(target_modules=["0"], init_lora_weights=False)
            ).double()
        weights = torch.randn(TOKENS, dtype=torch.float64)
        found = log_probabilities(self.states(head, rows, limit, monkeypatch), self.labels, self.KNOWN)
        expected = self.textbook(head, rows)
        torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=1e-6)
        trained = [rows, *(p for p in head.parameters() if p.requires_grad)]
        assert len(trained) == 3
        ours, theirs = (
            torch.autograd.grad((weights * some).sum(), trained, retain_graph=True)
            for some in (found, expected)
        )
        for one, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize("limit", [5, TOKENS])
    def test_without_gradients_they_are_the_same(self, limit, monkeypatch):
        head, rows, _ = setup(torch.float64)
        with torch.no_grad():
            found = log_probabilities(self.states(head, rows, limit, monkeypatch), self.labels, None)
            assert found.dtype == torch.float32
            torch.testing.assert_close(found.double(), self.textbook(head, rows, VOCABULARY))

    def test_no_tokens_have_none(self):
        head, rows, _ = setup(torch.float32)
        found = log_probabilities(ScoredHiddenStates(rows[:0], head, VOCABULARY), self.labels[:0], None)
        assert found.shape == (0,)
        found.sum().backward()

    def test_only_one_chunk_of_logits_exists_at_a_time(self, monkeypatch):
        head, rows, _ = setup(torch.float32)
        alive, most = 0, 0

        def kept(tensor):
            nonlocal alive, most
            alive += tensor.numel() * (tensor.shape[-1:] == (VOCABULARY,))
            most = max(most, alive)
            return tensor

        states = self.states(head, rows, 5, monkeypatch)
        with torch.autograd.graph.saved_tensors_hooks(kept, lambda tensor: tensor):
            log_probabilities(states, self.labels, None).sum().backward()
        assert most <= 5 * VOCABULARY

    def test_dropout_on_the_head_is_the_same_in_the_backward_pass(self, monkeypatch):
        """The gradient is that of the value that was given, not of another draw."""
        head, rows, _ = setup(torch.float64)
        head.requires_grad_(False)
        noisy = torch.nn.Sequential(torch.nn.Dropout(0.5), head)
        torch.manual_seed(1)
        states = self.states(noisy, rows, 5, monkeypatch)
        found = log_probabilities(states, self.labels, None)
        torch.manual_seed(1)
        expected = torch.cat(
            [
                noisy(some).log_softmax(-1).gather(1, labels[:, None])[:, 0]
                for some, labels in zip(rows.split(5), self.labels.split(5), strict=True)
            ]
        )
        torch.testing.assert_close(found.double(), expected)
        ours, theirs = (torch.autograd.grad(some.sum(), rows)[0] for some in (found, expected))
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
