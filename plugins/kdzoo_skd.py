"""SKD: speculative knowledge distillation (Xu et al. 2024, arXiv 2410.11325, algorithm 1).

Student and teacher write the training sequences together. The student proposes each token, sampled from its own
distribution; the proposal stays if it is among the teacher's ``top_k`` most probable tokens, otherwise a token sampled from
the teacher's whole distribution takes its place. Where the student proposes badly that is supervised distillation, where
it proposes well on-policy distillation. The divergence is then taken on the sequence (forward KL, as in the paper).

Each proposal is judged before the next is made, as algorithm 1 has it; the paper's code (google-research/speculative_kd)
proposes five at a time, for speed. Its configuration draws the student's tokens at temperature 0.5 and the teacher's at 0.2,
both within the 0.5 most probable (top-p); here both are drawn from all tokens, at temperature 1 unless told otherwise.
Of equally probable tokens none is less probable than another, so that more than ``top_k`` may be accepted. The sequences
count as the student's (`kdzoo.Source.STUDENT`), whoever chose their tokens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from kdzoo import Method, Options, StepCost, Temperature, divergences, hookimpl, next_tokens

if TYPE_CHECKING:
    from torch import Tensor

    from kdzoo import Sequences, Step


class SKDOptions(Options):
    """Which proposals the teacher accepts, how both models sample, and the divergence."""

    top_k: int = Field(
        25,
        ge=1,
        description="a proposal is kept if it is among so many of the teacher's most probable tokens",
    )
    temperature: Temperature = Field(
        1.0, description="temperature at which the student proposes; 0 is greedy, else at least 0.01"
    )
    teacher_temperature: Temperature = Field(
        1.0, description="temperature at which the teacher replaces proposals"
    )
    divergence: Literal["fkl", "rkl", "jsd"] = Field(
        "fkl", description="forward KL, reverse KL, Jensen-Shannon divergence"
    )


@hookimpl
def register_method() -> Method:
    return Method(
        name="skd",
        summary="A divergence on what the student proposes and the teacher corrects, token by token.",
        paper="Xu et al. 2024, Speculative Knowledge Distillation (arXiv 2410.11325)",
        training_data="student-generated, with tokens replaced by the teacher",
        divergence="KL(p‖q) (or KL(q‖p), JSD)",
        aux_loss="-",
        cost=StepCost(student=1, teacher=1, generation=1),
        options=SKDOptions,
    )


@hookimpl
def make_training_sequence(step: Step, options: SKDOptions) -> Sequences:
    def choose(student_logits: Tensor, teacher_logits: Tensor, uniform: Tensor) -> Tensor:
        proposed = next_tokens(student_logits, options.temperature, uniform[:, 0])
        replacement = next_tokens(teacher_logits, options.teacher_temperature, uniform[:, 1])
        more_probable = teacher_logits > teacher_logits.gather(1, proposed[:, None])
        return proposed.where(more_probable.sum(1) < options.top_k, replacement)

    return step.student.generate(beside=step.teacher, choose=choose, draws=2)


@hookimpl
def divergence(student_logits: Tensor, teacher_logits: Tensor, options: SKDOptions) -> Tensor:
    if options.divergence == "rkl":
        return divergences.reverse_kl(student_logits, teacher_logits)
    if options.divergence == "jsd":
        return divergences.jensen_shannon(student_logits, teacher_logits)
    return divergences.forward_kl(student_logits, teacher_logits)
