"""Layers behind a prompt's cache: computed again they give the same, and keep little until then."""

import os

import pytest
import torch

from kdzoo.engine.memory.live_bytes import LiveBytes
from kdzoo.engine.prompts.batches import EncodedExample, make_batch
from kdzoo.engine.prompts.conditioned_model import condition
from kdzoo.engine.prompts.layer_passes import Checkpoints, few_copies
from kdzoo.engine.prompts.sampling import SamplingLimits
from kdzoo.engine.prompts.way import Full, PrefixCached
from kdzoo.methods.randomness import StepGenerator
from kdzoo.methods.sequences import Sequences, Source

SHARED = PrefixCached(packs=True, repeatable=True)


def gradients(model, prompts, several, way):
    """The loss over several sequences, its gradients, and the bytes that were kept for them."""
    batch = make_batch([EncodedExample(i, p, [2]) for i, p in enumerate(prompts)], share_beginnings=True)
    generator = StepGenerator(0, 0, batch.examples)
    with LiveBytes() as live:
        ours = condition(
            model, batch, SamplingLimits(8, (2,)), generator, source=Source.STUDENT, way=way, trains=True
        )
        ours.score_together(*several)
        loss = sum(ours.cross_entropy(one) for one in several)
        kept = live.live
    model.zero_grad()
    loss.backward()
    grads = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
    return loss.detach(), grads, kept


@pytest.mark.parametrize("lora", [False, True], ids=["whole", "lora"])
@pytest.mark.parametrize("architecture", ["llama", "gemma2", "gpt_neox"])
def test_checkpoints_change_nothing_but_what_is_kept(make_model, prompts, targets, architecture, lora):
    model = make_model(architecture, lora=lora).train()
    other = Sequences.of([row[: len(row) // 2 + 1] for row in targets.tokens.tolist()], Source.IMPERFECT)
    several = (targets, other)
    alone = gradients(model, prompts, several, Full(1))
    plain = gradients(model, prompts, several, SHARED)
    model.activation_checkpointing_enable({"use_reentrant": False})
    if lora:
        model.enable_input_require_grads()
    checkpointed = gradients(model, prompts, several, SHARED)
    for loss, grads, _ in (plain, checkpointed):
        torch.testing.assert_close(loss, alone[0], rtol=1e-5, atol=0)
        assert (grads - alone[1]).norm() <= 1e-5 * alone[1].norm()
    assert checkpointed[2] < 0.7 * plain[2]


def test_a_model_is_as_it_was_behind_the_block(make_model):
    model = make_model("llama").train()
    model.activation_checkpointing_enable({"use_reentrant": False})
    found = Checkpoints.of(model)
    assert len(found.layers) == 2
    assert found.why_not_beside_a_cache() is None
    before = [layer._gradient_checkpointing_func for layer in found.layers]
    with found.beside_a_cache(torch.device("cpu")):
        assert not model.model.gradient_checkpointing
    assert model.model.gradient_checkpointing
    assert [layer._gradient_checkpointing_func for layer in found.layers] == before
    assert not any(layer._can_checkpoint_with_cache for layer in found.layers)


def test_checkpoints_of_a_model_s_own_kind_are_named():
    owner = torch.nn.Module()
    owner.gradient_checkpointing = True
    assert "of its own kind" in Checkpoints.of(owner).why_not_beside_a_cache()


@pytest.mark.parametrize("before", [None, "0"])
def test_the_switch_of_transformers_is_put_back(monkeypatch, before):
    name = "TRANSFORMERS_SDPA_FORCE_GQA"
    monkeypatch.delenv(name, raising=False)
    if before is not None:
        monkeypatch.setenv(name, before)
    with few_copies(torch.device("cpu")):
        assert os.environ[name] == "1"
    assert os.environ.get(name) == before
    with few_copies(torch.device("meta")):
        assert os.environ.get(name) == before
