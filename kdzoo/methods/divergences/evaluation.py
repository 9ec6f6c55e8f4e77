"""From a formula to a divergence. Imports torch when it is first called, so that methods are listed without."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from kdzoo.methods.closed_form import Formula


def evaluate(formula: Formula, student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """Apply a formula to logits [N, V] of any float type: float32 [N]. See `kdzoo.methods.closed_form.evaluate`."""
    from kdzoo.methods import closed_form

    return closed_form.evaluate(formula, student_logits, teacher_logits)
