"""DistiLLM-2: contrastive distillation (Ko et al. 2025, arXiv 2503.07067, equation 2).

Skewed KL raises the student's probability of what the teacher says, y_t; skewed reverse KL lowers that of what the student
says, y_s. Both were generated before training, y_s by the student as it was then; a token's loss is averaged over its kind::

    (1 - beta) KL(p‖alpha_t p + (1 - alpha_t) q) on y_t + beta KL(q‖(1 - alpha_s) p + alpha_s q) on y_s

The skew is a sequence's own: 1 - (1 - alpha_0) m / d, between 0.01 and alpha_0 (section 3.3). d is by how much the one who
said it finds it more probable, exp of the mean log probability of its tokens, than the other model, and m the mean of d over
the beginning of the training, up to ``curriculum_start``, during which the skew is alpha_0. That is the reading of the paper's
code (jongwooko/distillm-2), where m is the mean up to the first line that is logged; the paper begins with its second epoch
of three. beta grows from 1/2 to 3/4 over the first half of the training, as in the code; algorithm 1 has another schedule, to 1.
The code as it is published has both switched off (``update_alpha``, ``gradual_beta``), and its reverse KL has no gradient
through the mixture; equation 2 and DistiLLM have. The paper generates anew before every epoch, its code once; both sample at
temperature 0.8, from the 0.95 most probable (top-p), which is not done here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from kdzoo import Method, Source, StepCost, TeacherDecodingOptions, Temperature, divergences, hookimpl

if TYPE_CHECKING:
    from torch import Tensor, nn

    from kdzoo import FinishedStep, ScoredTokens, Sequences, Step


class DistiLLM2Options(TeacherDecodingOptions):
    """The skew, the weights of both losses, and how the sequences are generated."""

    base_alpha: float = Field(0.1, ge=0.01, lt=1, description="alpha_0: skew at the beginning, and the most")
    update_alpha: bool = Field(True, description="each sequence has its own skew, by its difficulty")
    gradual_beta: bool = Field(True, description="beta grows from 1/2 to 3/4, instead of staying 1/2")
    curriculum_start: float = Field(
        1 / 3, ge=0, le=1, description="progress from which skews differ; m is the mean until then"
    )
    temperature: Temperature = Field(
        0.8, description="sampling temperature of the student; 0 is greedy, else at least 0.01"
    )
    teacher_temperature: Temperature = Field(
        0.8, description="temperature at which the teacher's targets are sampled"
    )

    @property
    def needs_teacher_target(self) -> bool:
        return True

    def beta(self, progress: float) -> float:
        """The weight of the skewed reverse KL at a progress from 0 to 1."""
        return 0.5 + 0.25 * min(1.0, 2 * progress) if self.gradual_beta else 0.5


@hookimpl
def register_method() -> Method:
    return Method(
        name="distillm2",
        summary="Skewed KL on the teacher's sequences and skewed reverse KL on the student's, made before training.",
        paper="Ko et al. 2025, DistiLLM-2: A Contrastive Approach (arXiv 2503.07067)",
        training_data="teacher- and student-generated, before training",
        divergence="KL(p‖m) on y_t, KL(q‖m) on y_s, m of p and q",
        aux_loss="-",
        cost=StepCost(student=2, student_no_grad=2, teacher=4),
        options=DistiLLM2Options,
        sources=(Source.TEACHER, Source.STUDENT),
    )


@hookimpl
def setup(options: DistiLLM2Options) -> nn.Module | None:
    """Sums of d over the teacher's sequences and the student's, and how many of each they are of."""
    if not options.update_alpha:
        return None
    import torch

    state = torch.nn.Module()
    state.register_buffer("sums", torch.zeros(2))
    state.register_buffer("count", torch.zeros(()))
    return state


@hookimpl
def prepare(step: Step, options: DistiLLM2Options) -> dict[str, Tensor]:
    generated = step.student.generate(temperature=options.temperature)
    return {"tokens": generated.tokens, "lengths": generated.lengths}


@hookimpl
def make_training_sequence(step: Step, options: DistiLLM2Options) -> Sequences:
    """Give each prompt the teacher's sequence and then the student's, with their skews."""
    from kdzoo import Sequences

    tokens, lengths = step.prepared["tokens"], step.prepared["lengths"]
    of_student = Sequences(tokens, lengths, lengths.new_full(lengths.shape, int(Source.STUDENT)))
    both = step.teacher_target.beside(of_student)
    if not options.update_alpha:
        return both
    q, p = (
        (model.log_probs(both).sum(1) / both.lengths.clamp_min(1)).exp().reshape(-1, 2)
        for model in (step.student, step.teacher)
    )
    gap = (p - q) * p.new_tensor([1.0, -1.0])
    skew = gap.new_full(gap.shape, options.base_alpha)
    state = step.state
    if step.progress >= options.curriculum_start and state.count > 0:
        harder = (1 - options.base_alpha) * state.sums / state.count / (gap + 1e-5)
        skew = (1 - harder).clamp(0.01, options.base_alpha)
    of_tokens = [values.reshape(-1, 1).expand(both.tokens.shape) for values in (skew, gap)]
    return both.with_values(skew=of_tokens[0], gap=of_tokens[1])


@hookimpl
def divergence(
    student_logits: Tensor,
    teacher_logits: Tensor,
    tokens: ScoredTokens,
    step: Step,
    options: DistiLLM2Options,
) -> Tensor:
    skew = tokens.values.get("skew", options.base_alpha)
    beta = options.beta(step.progress)
    on_teacher = (1 - beta) * divergences.skew_kl(student_logits, teacher_logits, skew)
    on_student = beta * divergences.skew_reverse_kl(student_logits, teacher_logits, skew)
    return on_teacher.where(tokens.sources == Source.TEACHER, on_student) / tokens.source_shares


@hookimpl
def after_step(step: FinishedStep, options: DistiLLM2Options) -> None:
    """Sum up d until the curriculum starts, and over the first step in any case."""
    if options.update_alpha and (step.progress < options.curriculum_start or step.state.count == 0):
        gaps = step.training_sequence.values["gap"][:, 0].reshape(-1, 2).to(step.state.sums)
        step.state.sums += gaps.sum(0)
        step.state.count += len(gaps)
