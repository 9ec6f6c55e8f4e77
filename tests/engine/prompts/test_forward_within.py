"""A model that is run in another state gives what a model that is always in that state gives, and stays as it was."""

import copy

import pytest
import torch

from kdzoo.engine.losses import scored_hidden_states as scored_module
from kdzoo.engine.models.average import AveragedWeights
from kdzoo.engine.models.without_adapter import WithoutAdapter
from kdzoo.engine.prompts.batches import EncodedExample, make_batch
from kdzoo.engine.prompts.conditioned_model import condition
from kdzoo.engine.prompts.sampling import SamplingLimits
from kdzoo.engine.prompts.way import Full, PrefixCached
from kdzoo.methods.randomness import StepGenerator
from kdzoo.methods.sequences import Source

WAYS = {
    "full": Full(),
    "row-by-row": Full(1, caches=False),
    "prefix-cached": PrefixCached(),
    "packed": PrefixCached(packs=True),
}


def without_adapter(make_model):
    """A student whose projection has an adapter too, and its base."""
    model = make_model("llama", lora=True)
    return model, WithoutAdapter(model).block, copy.deepcopy(model).unload()


def averaged(make_model):
    """A student whose weights have moved, and what it was before."""
    model = make_model("llama")
    average, old = AveragedWeights(model, 1.0), copy.deepcopy(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return model, average.block, old


@pytest.fixture(params=[without_adapter, averaged])
def in_another_state(request, make_model):
    return request.param(make_model)


def on_prompts(model, prompts, way, block=None):
    rows = [EncodedExample(i, prompt, [2]) for i, prompt in enumerate(prompts)]
    batch = make_batch(rows, share_beginnings=True)
    generator = StepGenerator(0, 0, batch.examples)
    return condition(
        model, batch, SamplingLimits(6, (2,)), generator, source=Source.TEACHER, way=way, block=block
    )


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("chunk", [1 << 24, 300], ids=["at once", "in chunks"])
def test_everything_that_is_asked_of_it(in_another_state, prompts, targets, way, chunk, monkeypatch):
    monkeypatch.setattr(scored_module, "CHUNK_ELEMENTS", chunk)
    model, block, other = in_another_state
    model.train()
    within = on_prompts(model, prompts, way, block)
    expected = on_prompts(other.eval(), prompts, way)

    def asked(of):
        yield of.logits(targets)
        yield of.per_token(targets, lambda logits: logits.logsumexp(-1))
        yield of.log_probs(targets)
        yield of.cross_entropy(targets)
        yield from of.hidden(targets, (1, -1))
        states = of.eval_states(targets)
        yield of.eval_logits(states, slice(2, 5))
        yield of.generate(temperature=0).tokens
        yield of.generate().tokens
        yield of.logits(targets.beside(targets))

    for found, wanted in zip(asked(within), asked(expected), strict=True):
        assert not found.requires_grad
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
    assert all(module.training for module in model.modules())


def test_it_generates_beside_the_model_in_its_usual_state(in_another_state, prompts):
    """Both at every token: the sum of the two models' logits, from one set of modules or from two."""
    model, block, other = in_another_state

    def generated(beside):
        usual = on_prompts(model.eval(), prompts, PrefixCached())
        return usual.generate(beside=beside, choose=lambda own, theirs, uniform: (own + theirs).argmax(-1))

    one = generated(on_prompts(model, prompts, PrefixCached(), block))
    two = generated(on_prompts(other.eval(), prompts, PrefixCached()))
    assert torch.equal(one.tokens, two.tokens)
    assert not torch.equal(
        one.tokens, on_prompts(model, prompts, PrefixCached()).generate(temperature=0).tokens
    )
