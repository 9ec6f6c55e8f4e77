"""A model without its adapter is its base, and afterwards what it was."""

import copy

import pytest
import torch

from kdzoo.engine.models.without_adapter import WithoutAdapter

TOKENS = torch.arange(5, 17)[None]


@pytest.fixture
def model(make_model):
    return make_model("llama", lora=True)


def test_it_computes_what_its_base_does(model):
    base = copy.deepcopy(model).unload()
    expected, adapted = base(TOKENS).logits, model(TOKENS).logits
    with WithoutAdapter(model).block():
        found = model(TOKENS).logits
    assert torch.equal(found, expected)
    assert not torch.allclose(adapted, expected, atol=1e-2)
    assert torch.equal(model(TOKENS).logits, adapted)


def test_gradients_of_what_was_run_before_and_after_do_not_notice_it(model):
    def gradients(interrupted):
        model.zero_grad()
        without = WithoutAdapter(model)
        loss = model(TOKENS).logits.logsumexp(-1).sum()
        if interrupted:
            with torch.no_grad(), without.block():
                model(TOKENS)
        (loss + model(TOKENS[:, :7]).logits.square().sum()).backward()
        return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}

    expected, found = gradients(False), gradients(True)
    assert expected.keys() == found.keys() == {n for n, p in model.named_parameters() if p.requires_grad}
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_an_adapter_that_is_not_trained_stays_so(model):
    model.requires_grad_(False)
    with WithoutAdapter(model).block():
        pass
    assert not any(p.requires_grad for p in model.parameters())


def test_an_error_within_the_block_leaves_the_adapter_on(model):
    expected = model(TOKENS).logits
    with pytest.raises(ValueError, match="within"), WithoutAdapter(model).block():
        raise ValueError("within")
    assert torch.equal(model(TOKENS).logits, expected)
