"""Weights spread over processes: here one process has all parts; two are tried in tests/runs/test_processes.py."""

from collections.abc import Iterator

import pytest
import torch
from torch import nn
from torch.distributed.tensor import DTensor
from transformers import LlamaConfig, LlamaForCausalLM

from kdzoo.engine.models.sharding import (
    free,
    gathered,
    is_sharded,
    of_this_process,
    shard_layers,
    whole,
    whole_weights,
)
from kdzoo.errors import RunError

CPU = torch.device("cpu")


@pytest.fixture
def alone(tmp_path) -> Iterator[None]:
    """A group of this process only."""
    store = torch.distributed.FileStore(str(tmp_path / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def make_model() -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=30, hidden_size=8, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2
    )
    return LlamaForCausalLM(config).eval()


def test_a_model_with_sharded_layers_gives_the_same_logits(alone):
    model, same = make_model(), make_model()
    shard_layers(model, CPU)
    tokens = torch.arange(6)[None]
    assert is_sharded(model)
    assert not is_sharded(same)
    with torch.no_grad():
        assert torch.equal(model(tokens).logits, same(tokens).logits)
        with gathered(model.modules()):
            assert torch.equal(model(tokens).logits, same(tokens).logits)
        assert torch.equal(model(tokens).logits, same(tokens).logits)


def test_layers_are_whole_in_the_block_and_freed_after_it(alone):
    model = make_model()
    shard_layers(model, CPU)
    weight = model.model.layers[0].mlp.up_proj
    assert isinstance(weight.weight, DTensor)
    for block in (whole(model), gathered(model.modules())):
        with block:
            assert not isinstance(weight.weight, DTensor)
        assert isinstance(weight.weight, DTensor)
    assert not isinstance(model.lm_head.weight, DTensor)


def test_the_whole_weights_are_those_that_were_sharded(alone):
    model, same = make_model(), make_model()
    assert whole_weights(same) is None
    shard_layers(model, CPU)
    found = whole_weights(model)
    assert found is not None
    assert found.keys() == same.state_dict().keys()
    assert all(torch.equal(found[name], value) for name, value in same.state_dict().items())
    assert sum(of_this_process(p).numel() for p in model.parameters()) == sum(
        p.numel() for p in same.parameters()
    )


def test_freeing_what_is_not_sharded_does_nothing(alone):
    model, same = make_model(), make_model()
    free(model)
    assert torch.equal(model.lm_head.weight, same.lm_head.weight)


def test_a_model_that_does_not_say_what_its_layers_are_is_refused():
    with pytest.raises(RunError, match="Linear cannot be sharded"):
        shard_layers(nn.Linear(2, 2), CPU)
