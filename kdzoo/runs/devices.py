"""The device that a process computes on where it is alone."""

from __future__ import annotations

import torch


def gpu_count() -> int:
    """The GPUs of this machine, of which a run uses the first."""
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def own_device() -> torch.device:
    """The first GPU, Apple's, or else the processor."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")
