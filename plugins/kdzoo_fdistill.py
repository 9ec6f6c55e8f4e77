"""f-distill: f-divergences between distributions of sequences (Wen et al. 2023, arXiv 2307.15190).

The divergence of two distributions over sequences is estimated token by token, on sequences sampled from
them: the teacher's are made before training and stay, the student's are sampled as it learns. The total
variation distance and the JS divergence need both, KL the teacher's and reverse KL the student's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from kdzoo import (
    Method,
    Source,
    StepCost,
    TeacherDecodingOptions,
    Temperature,
    divergences,
    hookimpl,
)

if TYPE_CHECKING:
    from torch import Tensor

    from kdzoo import ScoredTokens, Sequences, Step


class FDistillOptions(TeacherDecodingOptions):
    """The four divergences of f-distill, and how sequences of its two sources are mixed.

    ``mix = "batch"`` is what the code base does that the KID paper names, and fits the latency that the paper
    measured; there the student generates greedily, ``temperature = 0``. ``"request"`` mixes within a batch.
    ``"both"`` is the original, at twice the cost: the mean over the teacher's tokens and the mean over the
    student's weigh half each, whatever their numbers. The teacher's sequences are samples (the divergences are
    means over its distribution) unless ``teacher_decoding`` says otherwise.
    """

    divergence: Literal["tvd", "kl", "rkl", "js"] = Field(
        "tvd",
        description="on sequences of both (tvd, js), of the teacher (kl) or of the student (rkl)",
    )
    mix: Literal["batch", "request", "both"] = Field(
        "batch",
        description="for tvd and js: one of the two for each optimizer step or for each example, half each; or both for "
        "every example",
    )
    temperature: Temperature = Field(
        1.0, description="sampling temperature of the student; 0 is greedy, else at least 0.01"
    )

    @property
    def needs_teacher_target(self) -> bool:
        return self.divergence != "rkl"


@hookimpl
def register_method() -> Method:
    return Method(
        name="fdistill",
        summary="An f-divergence on sequences of the teacher (made before training) and the student.",
        paper="Wen et al. 2023, f-Divergence Minimization for Sequence-Level KD (arXiv 2307.15190)",
        training_data="half teacher-, half student-generated",
        divergence="TVD (or KL(p‖q), KL(q‖p), JS)",
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
    if options.mix == "batch":
        if step.generator.per_batch() < 0.5:
            return step.student.generate(temperature=options.temperature)
        return step.teacher_target
    if options.mix == "both":
        generated = step.student.generate(temperature=options.temperature)
        return step.teacher_target.beside(generated)
    online = step.generator.per_row(1)[:, 0].to(step.target.tokens.device) < 0.5
    generated = step.student.generate(temperature=options.temperature, rows=online)
    return generated.where(online, step.teacher_target)


@hookimpl
def divergence(
    student_logits: Tensor, teacher_logits: Tensor, tokens: ScoredTokens, options: FDistillOptions
) -> Tensor:
    if options.divergence == "kl":
        return divergences.forward_kl(student_logits, teacher_logits)
    if options.divergence == "rkl":
        return divergences.reverse_kl(student_logits, teacher_logits)
    if options.divergence == "tvd":
        losses = divergences.total_variation(student_logits, teacher_logits)
    else:
        # the two halves of the JSD, each on the sequences of the distribution that it averages over
        of_teacher = divergences.teacher_to_mixture_kl(student_logits, teacher_logits)
        of_student = divergences.student_to_mixture_kl(student_logits, teacher_logits)
        losses = of_teacher.where(tokens.sources == Source.TEACHER, of_student)
    return losses / (2 * tokens.source_shares) if options.mix == "both" else losses
