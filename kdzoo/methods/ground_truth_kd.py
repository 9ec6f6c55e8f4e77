"""What distillation on the ground truth is made of: such methods differ in their divergence alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from kdzoo.methods.hookspecs import hookimpl
from kdzoo.methods.method import Method, StepCost, WeightedOptions

if TYPE_CHECKING:
    from torch import Tensor

    from kdzoo.methods.step import Step

_Hooks: TypeAlias = "tuple[Callable[[], Method], Callable[..., Tensor], Callable[..., Tensor]]"


def ground_truth_kd(
    divergence_of: Callable[[Tensor, Tensor], Tensor], *, name: str, summary: str, paper: str, divergence: str
) -> _Hooks:
    """Make the hooks ``register_method``, ``divergence`` and ``aux_loss`` of a method that trains on the ground truth.

    Its loss is ``kd_weight`` times ``divergence_of`` (the student's and the teacher's logits, [N, V] -> [N]; see
    `kdzoo.divergences`) plus ``mle_weight`` times MLE. The texts are those of `kdzoo.Method`.

    The MLE loss is the KID paper's (arXiv 2410.11371, section 3: "for a fair comparison, we also add the auxiliary
    MLE loss into the baseline KD methods that rely on the ground-truth data").
    """
    method = Method(
        name=name,
        summary=summary,
        paper=paper,
        training_data="ground truth",
        divergence=divergence,
        aux_loss="MLE on y",
        cost=StepCost(student=1, teacher=1),
        options=WeightedOptions,
    )

    @hookimpl
    def register_method() -> Method:
        return method

    @hookimpl
    def weighted_divergence(
        student_logits: Tensor, teacher_logits: Tensor, options: WeightedOptions
    ) -> Tensor:
        return options.kd_weight * divergence_of(student_logits, teacher_logits)

    @hookimpl
    def aux_loss(step: Step, options: WeightedOptions) -> Tensor:
        return options.mle_weight * step.student.cross_entropy(step.target)

    return register_method, weighted_divergence, aux_loss
