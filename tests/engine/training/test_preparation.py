"""What a method prepares is a tensor with a row for each prompt, whatever the other prompts are."""

import pytest
import torch
from keeping_method import keeping
from tiny_training import make_examples

from kdzoo.engine.prompts.batches import make_batch
from kdzoo.errors import RunError


def test_each_row_is_what_the_prompt_has_alone(make_module):
    module, examples = make_module(keeping()), make_examples(6)
    together = make_batch(examples, share_beginnings=True)
    likely = module.prepare(together)["likely"]
    assert not likely.requires_grad
    for row, index in enumerate(together.examples):
        alone = module.prepare(make_batch([examples[index]], share_beginnings=True))["likely"][0]
        assert torch.allclose(likely[row, : len(alone)], alone, rtol=1e-5)
        assert not likely[row, len(alone) :].any()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([1], "must give tensors by name, not list"),
        ({"a": torch.ones(2)}, r"'a' must be a tensor with a row for each of the 3 prompts, not \[2\]"),
        ({"a": torch.ones(())}, r"'a' must be a tensor with a row for each of the 3 prompts, not \[\]"),
        ({"a": 1.0}, "'a' must be a tensor with a row for each of the 3 prompts, not float"),
    ],
)
def test_what_is_none_is_named(make_module, given, words):
    module = make_module(keeping(prepare=lambda: given))
    with pytest.raises(RunError, match=f"prepare of method 'keeping'.*{words}"):
        module.prepare(make_batch(make_examples(3), share_beginnings=True))
