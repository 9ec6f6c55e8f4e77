"""Bytes that are alive: counted as tensors come and go, once where several share them."""

import torch

from kdzoo.engine.memory.live_bytes import LiveBytes

KIB = 1024


def test_bytes_are_counted_while_they_are_there():
    with LiveBytes() as live:
        first = torch.ones(256)
        assert live.live == KIB
        second = first + 1
        view = second[:4]
        assert live.live == 2 * KIB
        del second
        assert live.live == 2 * KIB  # the view holds them
        del view
        assert (live.live, live.peak) == (KIB, 2 * KIB)
        live.forget_peak()
        assert live.peak == KIB


def test_what_autograd_keeps_counts_until_the_backward_pass():
    weight = torch.ones(256, requires_grad=True)
    with LiveBytes() as live:
        loss = weight.exp().square().sum()
        assert live.live >= KIB
        loss.backward()
        del loss
        assert live.live == KIB  # the gradient


def test_a_mask_may_choose_from_what_has_no_numbers():
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode(allow_non_fake_inputs=True):
        rows = torch.ones(4, 8, requires_grad=True)
    with LiveBytes():
        chosen = rows[torch.tensor([True, False, True, True])]
        chosen.sum().backward()
    assert chosen.shape == (3, 8)
    assert rows.grad is not None
    assert rows.grad.shape == (4, 8)
