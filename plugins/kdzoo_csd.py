"""CSD: concrete score distillation (Kim et al. 2025, arXiv 2509.25837, equation 8).

The student's logits are matched to the teacher's up to a constant, by their differences over all pairs of vocabulary
entries y and x, weighted by w1(y) w2(x); with d = student's - teacher's logits::

    1/4 sum over y, x of w1(y) w2(x) (d(x) - d(y))^2

That is half of the paper's equation, as in its code (aailab-kaist/CSD), which takes its gradient by theorem 3; weights get
no gradients. The defaults are the paper's main results', CSD (S, S). With these, and ``loss_temp`` 1, the gradient
is that of the reverse KL, which follows from the formulas; other weights and temperatures train otherwise. The paper has
(T, S) for distillation on single tasks and (U, S) for diversity. It trains without MLE, on the ground truth; and on
what the student generates, where it is combined with on-policy methods.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from kdzoo import TrainingDataOptions, divergences, ground_truth_kd, target_or_generated

if TYPE_CHECKING:
    from torch import Tensor


class CSDOptions(TrainingDataOptions):
    """The weights of a pair of vocabulary entries: the product of one weight of each. They may change places."""

    w1: Literal["student", "teacher", "uniform"] = Field(
        "student", description="distribution that weighs the one entry of a pair"
    )
    w2: Literal["student", "teacher", "uniform"] = Field(
        "student", description="distribution that weighs the other entry"
    )
    loss_temp: float = Field(
        1.0, ge=0.01, le=100, description="temperature of the student's distribution where it is a weight"
    )


def concrete_score(student_logits: Tensor, teacher_logits: Tensor, options: CSDOptions) -> Tensor:
    """The loss of each scored token, [N, V] -> [N]."""
    return divergences.concrete_score(
        student_logits, teacher_logits, options.w1, options.w2, options.loss_temp
    )


register_method, divergence, aux_loss = ground_truth_kd(
    concrete_score,
    name="csd",
    summary="The differences of logits between all pairs of vocabulary entries, matched to the teacher's.",
    paper="Kim et al. 2025, Distillation of LLMs via Concrete Score Matching (arXiv 2509.25837)",
    training_data="ground truth (or student-generated)",
    divergence="mean of (d(x) - d(y))^2, d of logits",
    options=CSDOptions,
)


make_training_sequence = target_or_generated()
