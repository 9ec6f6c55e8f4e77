"""A process that is alone takes the first GPU that there is, and else the processor."""

import pytest
import torch

from kdzoo.runs.devices import gpu_count, own_device


@pytest.mark.parametrize(
    ("cuda", "mps", "device"), [(True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")]
)
def test_the_fastest_device_that_is_there_is_taken(
    monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, device: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert own_device() == torch.device(device)


def test_without_a_gpu_there_is_none_to_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu_count() == 0
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert gpu_count() == 4
