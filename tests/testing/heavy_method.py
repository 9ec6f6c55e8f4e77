"""A method that imports torch too early."""

import torch

from kdzoo import Method, StepCost, hookimpl


@hookimpl
def register_method() -> Method:
    return Method("heavy", "A method of a test.", "-", "ground truth", "-", "-", StepCost())


@hookimpl
def divergence(student_logits: torch.Tensor) -> torch.Tensor:
    return student_logits.logsumexp(-1)
