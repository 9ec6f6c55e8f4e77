"""f-distill: f-divergence minimisation on teacher- and student-generated sequences (Wen et al. 2023, arXiv 2307.15190)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from kdzoo import Kind, Method, Options, StepCost, divergences, hookimpl

if TYPE_CHECKING:
    from torch import Tensor

    from kdzoo import ScoredTokens, Sequences, Step


class FDistillOptions(Options):
    """The four divergences of f-distill, and how its two kinds of sequences are mixed."""

    divergence: Literal["tvd", "kl", "rkl", "js"] = Field(
        "tvd",
        description="tvd: both kinds; kl: teacher-generated; rkl: student-generated; js: a KL to the mixture on each kind",
    )
    mix: Literal["request", "both"] = Field(
        "request", description="one kind per example, half each; or both kinds every step (the original)"
    )
    temperature: float = Field(1.0, gt=0, allow_inf_nan=False, description="sampling temperature of the student")

    @property
    def needs_teacher_target(self) -> bool:
        return self.divergence != "rkl"


@hookimpl
def register_method() -> Method:
    return Method(
        name="fdistill",
        summary="An f-divergence on sequences of the teacher (made beforehand) and of the student (made online).",
        paper="Wen et al. 2023, f-Divergence Minimization for Sequence-Level Knowledge Distillation (arXiv 2307.15190)",
        training_data="half teacher-generated, half student-generated",
        divergence="TVD; or KL(p‖q), KL(q‖p), JS",
        aux_loss="-",
        cost=StepCost(student=1, teacher=1, generation=0.5),
        options=FDistillOptions,
    )


@hookimpl
def make_training_sequence(step: Step, options: FDistillOptions) -> Sequences:
    if options.divergence == "kl":
        return step.teacher_target
    if options.divergence == "rkl":
        return step.student.generate(temperature=options.temperature)
    if options.mix == "both":
        generated = step.student.generate(temperature=options.temperature)
        return step.teacher_target.beside(generated)
    by_student = step.generator.per_row(1)[:, 0].to(step.target.tokens.device) < 0.5
    return step.student.generate(temperature=options.temperature, rows=by_student).where(by_student, step.teacher_target)


@hookimpl
def divergence(
    student_logits: Tensor, teacher_logits: Tensor, tokens: ScoredTokens, options: FDistillOptions
) -> Tensor:
    if options.divergence == "kl":
        return divergences.forward_kl(student_logits, teacher_logits)
    if options.divergence == "rkl":
        return divergences.reverse_kl(student_logits, teacher_logits)
    if options.divergence == "tvd":
        return divergences.total_variation(student_logits, teacher_logits)
    of_teacher = divergences.teacher_to_mixture_kl(student_logits, teacher_logits)
    of_student = divergences.student_to_mixture_kl(student_logits, teacher_logits)
    return of_teacher.where(tokens.kinds == Kind.TEACHER, of_student)
