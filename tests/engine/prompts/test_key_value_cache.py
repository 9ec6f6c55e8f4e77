"""Caches that continue from a prompt: they hold what was appended, and leave the prompt as it was."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from kdzoo.engine.prompts import key_value_cache
from kdzoo.engine.prompts.key_value_cache import (
    KeyValues,
    branch,
    continued,
    first_pass,
    growing_branch,
    keep_rows,
)

HEADS, SIZE = 2, 4


def some(rows, tokens, seed=0):
    """Keys or values of that many rows and tokens."""
    return torch.randn(rows, HEADS, tokens, SIZE, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def prompt():
    """Two layers of two rows of five tokens."""
    return KeyValues(tuple((some(2, 5, layer), some(2, 5, layer + 10)) for layer in range(2)))


def appended(cache, layer, rows, tokens, seed):
    """Append to a layer: what the layer then gives, and what it must give."""
    new = some(rows, tokens, seed)
    keys, values = cache.layers[layer].update(new, -new)
    return keys, values, new


def test_a_branch_holds_the_prompt_and_what_was_appended(prompt):
    keys, values, new = appended(branch(prompt, 3), 1, 2, 3, seed=7)
    torch.testing.assert_close(keys, torch.cat([prompt.layers[1][0], new], dim=2), rtol=0, atol=0)
    torch.testing.assert_close(values, torch.cat([prompt.layers[1][1], -new], dim=2), rtol=0, atol=0)


def test_what_is_continued_keeps_what_was_appended_and_a_branch_does_not(prompt):
    kept, passed = continued(prompt, 3), branch(prompt, 3)
    for cache in (kept, passed):
        for layer in range(2):
            appended(cache, layer, 2, 3, seed=7)
    assert (KeyValues.of(kept).length, KeyValues.of(passed).length) == (8, 5)


@pytest.mark.parametrize("make", [lambda prompt: continued(prompt, 3), lambda _: first_pass()])
def test_a_pass_that_is_computed_again_gives_the_same(prompt, make):
    cache, new = make(prompt), some(2, 3)
    first, again = (cache.update(new, -new, 0) for _ in range(2))
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))
    assert torch.equal(KeyValues.of(cache).layers[0][0][:, :, -3:], new)


def test_branches_do_not_see_each_other_and_leave_the_prompt_as_it_was(prompt):
    before = [tensor.clone() for layer in prompt.layers for tensor in layer]
    first = appended(branch(prompt, 3), 0, 2, 3, seed=7)[0].clone()
    second = appended(branch(prompt, 2), 0, 2, 2, seed=8)[0]
    assert (first.shape[2], second.shape[2]) == (8, 7)
    assert all(
        torch.equal(a, b) for a, b in zip(before, (t for kv in prompt.layers for t in kv), strict=True)
    )


def test_gradients_of_branches_add_up_in_the_prompt(prompt):
    leaf = some(2, 5).requires_grad_()
    grown = prompt.map(lambda kv: kv + leaf)
    for factor in (1.0, 2.0):
        keys, values, _ = appended(branch(grown, 3), 0, 2, 3, seed=7)
        (factor * (keys.sum() + values.sum())).backward(retain_graph=True)
    torch.testing.assert_close(leaf.grad, torch.full_like(leaf, 2 * (1.0 + 2.0)))


@pytest.mark.parametrize("times", [(2, 2), (1, 3)], ids=["groups of one size", "groups of two sizes"])
def test_repeated_rows_have_room_for_branches_behind_them(prompt, times):
    repeated = prompt.repeated(times, room=4)
    expected = prompt.layers[0][0].repeat_interleave(torch.tensor(times), dim=0)
    assert torch.equal(repeated.layers[0][0], expected)
    assert (repeated.length, repeated.room) == (5, 4)
    keys, _, new = appended(branch(repeated, 4), 0, 4, 4, seed=7)
    assert torch.equal(keys, torch.cat([expected, new], dim=2))
    assert keys.data_ptr() == repeated.buffers[0][0].data_ptr(), "nothing was copied"
    # the next branch writes over what this one has written
    keys, _, other = appended(branch(repeated, 2), 0, 4, 2, seed=8)
    assert torch.equal(keys, torch.cat([expected, other], dim=2))


def test_a_branch_longer_than_the_room_is_copied(prompt):
    repeated = prompt.repeated((1, 1), room=2)
    keys, _, new = appended(branch(repeated, 3), 0, 2, 3, seed=7)
    assert torch.equal(keys, torch.cat([prompt.layers[0][0], new], dim=2))
    assert keys.data_ptr() != repeated.buffers[0][0].data_ptr()


def test_rows_that_have_ended_are_dropped_from_a_growing_branch(prompt):
    cache = growing_branch(prompt, torch.tensor([1, 0, 1]), room=3)
    first, _, new = appended(cache, 0, 3, 1, seed=7)
    assert torch.equal(first[:, :, :5], prompt.layers[0][0][[1, 0, 1]])
    keep_rows(cache, torch.tensor([0, 2]))
    keys, _, last = appended(cache, 0, 2, 1, seed=8)
    expected = torch.cat([prompt.layers[0][0][[1, 1]], new[[0, 2]], last], dim=2)
    assert torch.equal(keys, expected)


def test_each_layer_of_a_model_that_is_spread_over_devices_stays_on_its_own(monkeypatch):
    """On devices that torch only pretends to have; an operation across two of them is an error there too."""
    monkeypatch.setattr(key_value_cache._InPlace, "_view", lambda layer: None)  # they cannot be sliced
    with FakeTensorMode():
        layers = [torch.empty(2, HEADS, 5, SIZE, device=f"cuda:{number}") for number in range(2)]
        cache = growing_branch(
            KeyValues(tuple((layer, layer) for layer in layers)),
            torch.empty(1, dtype=torch.long, device="cuda:0"),
            room=3,
        )
        keep_rows(cache, torch.empty(1, dtype=torch.long, device="cuda:0"))
    assert [str(layer.all_keys.device) for layer in cache.layers] == ["cuda:0", "cuda:1"]
    assert [layer.all_values.shape for layer in cache.layers] == [(1, HEADS, 8, SIZE)] * 2
