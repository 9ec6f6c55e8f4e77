"""GKD: generalised knowledge distillation (Agarwal et al. 2024, arXiv 2306.13649, algorithm 1).

Teacher and student are compared on what the student generates as it learns, sampled without gradients, or
with probability 1 - lambda on given sequences. The defaults are those of the KID paper's GKD row: on-policy,
reverse KL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import ConfigDict, Field

from kdzoo import Method, StepCost, TeacherDecodingOptions, Temperature, divergences, hookimpl

if TYPE_CHECKING:
    from torch import Tensor

    from kdzoo import Sequences, Step


class GKDOptions(TeacherDecodingOptions):
    """GKD's choices. The field ``lambda_`` is ``lambda`` in recipes (a reserved word of Python).

    The code base that the KID paper names lets the student generate greedily: ``temperature = 0``.
    """

    model_config = ConfigDict(populate_by_name=True)

    lambda_: float = Field(
        1.0,
        ge=0,
        le=1,
        alias="lambda",
        description="probability that a batch is student-generated (in GKD 0.5)",
    )
    divergence: Literal["rkl", "fkl", "jsd"] = Field(
        "rkl", description="reverse KL, forward KL, generalised JSD"
    )
    beta: float = Field(0.5, ge=0, le=1, description="share of the teacher in the mixture of jsd")
    temperature: Temperature = Field(
        1.0, description="sampling temperature of the student; 0 is greedy, else at least 0.01"
    )
    seq_kd: bool = Field(False, description="the other batches are teacher-generated, not ground truth")

    @property
    def needs_teacher_target(self) -> bool:
        return self.seq_kd and self.lambda_ < 1


@hookimpl
def register_method() -> Method:
    return Method(
        name="gkd",
        summary="A divergence on sequences that the student generates as it learns.",
        paper="Agarwal et al. 2024, On-Policy Distillation of Language Models (arXiv 2306.13649)",
        training_data="student-generated",
        divergence="KL(q‖p) (or KL(p‖q), JSD(beta))",
        aux_loss="-",
        cost=StepCost(student=1, teacher=1, generation=1),
        options=GKDOptions,
    )


@hookimpl
def make_training_sequence(step: Step, options: GKDOptions) -> Sequences:
    """Decide once per batch, as algorithm 1 does."""
    if step.generator.per_batch() < options.lambda_:
        return step.student.generate(temperature=options.temperature)
    return step.teacher_target if options.seq_kd else step.target


@hookimpl
def divergence(student_logits: Tensor, teacher_logits: Tensor, options: GKDOptions) -> Tensor:
    if options.divergence == "fkl":
        return divergences.forward_kl(student_logits, teacher_logits)
    if options.divergence == "jsd":
        return divergences.jensen_shannon(student_logits, teacher_logits, options.beta)
    return divergences.reverse_kl(student_logits, teacher_logits)
