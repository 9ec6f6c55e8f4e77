"""mymethod: what the method does, and where it comes from (Authors YEAR, arXiv NUMBER, equation N)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from kdzoo import Method, Options, StepCost, divergences, hookimpl

# kdzoo list describes all methods without torch: import it here, or in the functions that need it
if TYPE_CHECKING:
    from torch import Tensor


class MyOptions(Options):
    """What a recipe may choose. Each option has a default, and some hook reads it."""

    forward_share: float = Field(0.5, ge=0, le=1, description="share of KL(p‖q); the rest is KL(q‖p)")


@hookimpl
def register_method() -> Method:
    return Method(
        name="mymethod",
        summary="A mixture of forward and reverse KL on the ground truth.",
        paper="-",  # Authors et al. YEAR, Title (arXiv NUMBER)
        training_data="ground truth",
        divergence="s KL(p‖q) + (1 - s) KL(q‖p)",
        aux_loss="-",
        cost=StepCost(student=1, teacher=1),  # generation=1 if the student generates every sequence
        options=MyOptions,
    )


@hookimpl
def divergence(student_logits: Tensor, teacher_logits: Tensor, options: MyOptions) -> Tensor:
    """The loss of each scored token: logits float [N, V] of both models, float32 [N] in nats.

    No padding, no prompt and no shift is left to handle. Other arguments that may be declared: tokens, step.
    """
    forward = divergences.forward_kl(student_logits, teacher_logits)
    reverse = divergences.reverse_kl(student_logits, teacher_logits)
    return options.forward_share * forward + (1 - options.forward_share) * reverse


# Other hooks have defaults: make_training_sequence(step, options) gives the sequences that both models are scored on (the
# ground truth), aux_loss(step, options) a loss that is added (none). kdzoo/methods/hookspecs.py has all of them, and
# "kdzoo show kid --source" prints a method that uses these.
