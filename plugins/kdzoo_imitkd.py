"""ImitKD: imitation learning with the teacher as the oracle (Lin et al. 2020, arXiv 2009.07253, algorithm 1).

Each example, or each batch, is trained on its ground truth with probability b, and else on what the student
generates; the teacher says at every token what should have come next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from kdzoo import Method, Options, StepCost, Temperature, divergences, hookimpl

if TYPE_CHECKING:
    from torch import Tensor

    from kdzoo import Sequences, Step


class ImitKDOptions(Options):
    """How the probability b of the ground truth moves as training goes on, and what it decides about.

    The original is ``schedule = "exponential"``; ``"constant"`` at one half fits the latency that the KID paper
    measured. The original chooses for each example: ``mix = "request"``. The code base that the KID paper names
    chooses for a whole batch, ``"batch"``, and lets the student generate greedily, ``temperature = 0``.
    """

    schedule: Literal["constant", "exponential", "linear"] = Field(
        "constant", description="b is constant, base ** -progress (the original), or 1 - progress"
    )
    constant: float = Field(0.5, ge=0, le=1, description="b of the constant schedule")
    base: float = Field(200.0, gt=1, allow_inf_nan=False, description="base of the exponential schedule")
    mix: Literal["request", "batch"] = Field(
        "request", description="chosen for each example, or once for all examples of an optimizer step"
    )
    temperature: Temperature = Field(
        1.0, description="sampling temperature of the student; 0 is greedy, else at least 0.01"
    )

    def ground_truth_probability(self, progress: float) -> float:
        """The probability b at a progress from 0 to 1."""
        if self.schedule == "exponential":
            return float(self.base**-progress)
        return self.constant if self.schedule == "constant" else 1 - progress


@hookimpl
def register_method() -> Method:
    return Method(
        name="imitkd",
        summary="Forward KL on a mixture of the ground truth and the student's own generations.",
        paper="Lin et al. 2020, Autoregressive KD through Imitation Learning (arXiv 2009.07253)",
        training_data="half ground truth, half student-generated",
        divergence="KL(p‖q)",
        aux_loss="-",
        cost=StepCost(student=1, teacher=1, generation=0.5),
        options=ImitKDOptions,
    )


@hookimpl
def make_training_sequence(step: Step, options: ImitKDOptions) -> Sequences:
    b = options.ground_truth_probability(step.progress)
    if options.mix == "batch":
        if step.generator.per_batch() < b:
            return step.target
        return step.student.generate(temperature=options.temperature)
    generated = step.generator.per_row(1)[:, 0].to(step.target.tokens.device) >= b
    return step.student.generate(temperature=options.temperature, rows=generated).where(
        generated, step.target
    )


@hookimpl
def divergence(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    return divergences.forward_kl(student_logits, teacher_logits)
