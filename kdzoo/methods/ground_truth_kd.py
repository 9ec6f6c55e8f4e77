"""What distillation on the ground truth is made of: such methods differ in their divergence alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from kdzoo.methods.hookspecs import hookimpl
from kdzoo.methods.method import Method, StepCost, WeightedOptions
from kdzoo.methods.shared_hooks import mle_on_target

if TYPE_CHECKING:
    from torch import Tensor


_Hooks: TypeAlias = "tuple[Callable[[], Method], Callable[..., Tensor], Callable[..., Tensor | None]]"


def ground_truth_kd(
    divergence_of: Callable[..., Tensor],
    *,
    name: str,
    summary: str,
    paper: str,
    divergence: str,
    training_data: str = "ground truth",
    options: type[WeightedOptions] | None = None,
) -> _Hooks:
    """Make the hooks ``register_method``, ``divergence`` and ``aux_loss`` of a method that trains on the ground truth.

    Its loss is ``kd_weight`` times ``divergence_of`` (the student's and the teacher's logits, [N, V] -> [N]; see
    `kdzoo.divergences`) plus ``mle_weight`` times MLE. Where ``options`` are given, a model with more of them,
    ``divergence_of`` gets the method's options as a third argument. The texts are those of `kdzoo.Method`.

    The MLE loss is the KID paper's (arXiv 2410.11371, section 3: "for a fair comparison, we also add the auxiliary
    MLE loss into the baseline KD methods that rely on the ground-truth data").
    """
    model = WeightedOptions if options is None else options
    uses_mle = model().mle_weight > 0
    method = Method(
        name=name,
        summary=summary,
        paper=paper,
        training_data=training_data,
        divergence=divergence,
        aux_loss="MLE on y" if uses_mle else "- (or MLE on y)",
        cost=StepCost(student=1, teacher=1),
        options=model,
    )
    takes_options = options is not None

    @hookimpl
    def register_method() -> Method:
        return method

    @hookimpl
    def weighted_divergence(
        student_logits: Tensor, teacher_logits: Tensor, options: WeightedOptions
    ) -> Tensor:
        more = (options,) if takes_options else ()
        return options.kd_weight * divergence_of(student_logits, teacher_logits, *more)

    return register_method, weighted_divergence, mle_on_target()
