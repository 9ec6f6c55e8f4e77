"""A method that imports torch too early."""

import torch

from kdzoo import Method, StepCost, hookimpl


@hookimpl
def register_method() -> Method:
    return Method(
        "heavy",
        "A method of a test.",
        "-",
        "ground truth",
        "-",
        "-",
        StepCost(),
        expected_failed_checks={"divergence_is_smallest_at_the_teacher": "It knows no teacher."},
    )


@hookimpl
def divergence(student_logits: torch.Tensor) -> torch.Tensor:
    return student_logits.logsumexp(-1)
