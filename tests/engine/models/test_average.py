"""The moving average of a model's trained weights: its numbers, the model with it, and its checkpoint."""

import copy

import pytest
import torch
from torch import nn

from kdzoo.engine.models.average import AveragedWeights
from kdzoo.errors import RunError

TOKENS = torch.arange(5, 17)[None]


def moved(model, seed):
    """Change the trained weights, as an optimizer would."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.3)


def numbers(model):
    return {name: p.detach().double().clone() for name, p in model.named_parameters() if p.requires_grad}


@pytest.mark.parametrize("decay", [0.0, 0.9, 1.0])
def test_it_is_the_exponential_moving_average_of_what_the_weights_were(decay):
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    model[0].bias.requires_grad_(False)
    average, expected = AveragedWeights(model, decay), numbers(model)
    for step in range(5):
        moved(model, step)
        average.update()
        for name, weight in numbers(model).items():
            expected[name] = decay * expected[name] + (1 - decay) * weight
    with average.block():
        found = {name: p.double() for name, p in model.named_parameters() if name in expected}
    assert found.keys() == {"0.weight", "1.weight", "1.bias"}
    for name, value in expected.items():
        torch.testing.assert_close(found[name].detach(), value, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("lora", [False, True], ids=["full", "lora"])
@pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
def test_within_a_block_the_model_computes_with_it_and_afterwards_as_before(make_model, lora, tied):
    model = make_model("llama", lora=lora, tie_word_embeddings=tied)
    parameters = dict(model.named_parameters())
    average, old = AveragedWeights(model, 1.0), copy.deepcopy(model)
    moved(model, 0)
    expected, now = old(TOKENS).logits, model(TOKENS).logits
    with average.block():
        found = model(TOKENS).logits
    assert torch.equal(found, expected)
    assert not torch.allclose(now, expected, atol=1e-2)
    assert torch.equal(model(TOKENS).logits, now)
    after = dict(model.named_parameters())
    assert after.keys() == parameters.keys()
    assert all(after[name] is parameter for name, parameter in parameters.items())


def test_gradients_of_what_was_run_before_do_not_notice_it(make_model):
    model = make_model("llama")
    average = AveragedWeights(model, 1.0)
    moved(model, 0)

    def gradients(interrupted):
        model.zero_grad()
        loss = model(TOKENS).logits.logsumexp(-1).sum()
        if interrupted:
            with torch.no_grad(), average.block():
                model(TOKENS)
        loss.backward()
        return [p.grad.clone() for p in model.parameters()]

    assert all(torch.equal(*pair) for pair in zip(gradients(False), gradients(True), strict=True))


def test_what_autocast_has_cast_of_the_weights_is_not_taken_for_the_average(make_model):
    model = make_model("llama")
    average, old = AveragedWeights(model, 1.0), copy.deepcopy(model)
    moved(model, 0)
    with torch.autocast("cpu", torch.bfloat16):
        expected = old(TOKENS).logits
    with torch.autocast("cpu", torch.bfloat16):
        now = model(TOKENS).logits
        with torch.no_grad(), average.block():
            found = model(TOKENS).logits
        again = model(TOKENS).logits
    assert torch.equal(found, expected)
    assert not torch.equal(now, expected)
    assert torch.equal(again, now)


def test_it_is_written_and_read_bit_for_bit(make_model, tmp_path):
    model = make_model("llama", lora=True)
    one, other = AveragedWeights(model, 0.9), AveragedWeights(model, 0.9)
    moved(model, 0)
    one.update()
    one.save(tmp_path)
    other.load(tmp_path)
    with one.block():
        expected = model(TOKENS).logits
    with other.block():
        assert torch.equal(model(TOKENS).logits, expected)


def test_a_checkpoint_without_it_or_of_other_weights_is_named(make_model, tmp_path):
    average = AveragedWeights(make_model("llama"), 0.9)
    with pytest.raises(RunError, match=r"average\.safetensors: the average of the weights cannot be read"):
        average.load(tmp_path)
    AveragedWeights(nn.Linear(2, 2), 0.9).save(tmp_path)
    with pytest.raises(RunError, match="has the average of other weights than are trained"):
        average.load(tmp_path)


def test_a_decay_that_is_none_is_named():
    with pytest.raises(RunError, match=r"Options\.average_decay must be a number from 0 to 1, not 1\.5"):
        AveragedWeights(nn.Linear(2, 2), 1.5)
