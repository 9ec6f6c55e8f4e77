"""DPKD: direct preference knowledge distillation (Li et al. 2024, arXiv 2406.19774, equation 9 and algorithm 1).

Of each prompt the teacher's response y_t, generated before training, is to be preferred to what the student generates as it
learns, y_s. With an implicit reward beta log q(y) / p(y), by length, the loss is Bradley and Terry's, a mean over prompts::

    -log sigmoid(beta / |y_t| log(q(y_t) / p(y_t)) - beta / |y_s| log(q(y_s) / p(y_s)))

Gradients reach log q alone. The paper adds a language modelling loss on a pretraining corpus, which is none of this method's
data: here MLE on the ground truth stands for it. Both losses weigh alike, as in the paper's code (microsoft/LMOps, dpkd),
whose ``beta`` is the default; the paper gives none. The code otherwise has another loss: on texts of the teacher it compares,
at each token, the teacher's most probable token with the student's. Here it is the paper's, on whole responses.
All of it stands in ``aux_loss``, as no token has a loss of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from kdzoo import (
    LossSum,
    Method,
    StepCost,
    TeacherDecodingOptions,
    Temperature,
    WeightedOptions,
    hookimpl,
)

if TYPE_CHECKING:
    from torch import Tensor

    from kdzoo import Sequences, Step


class DPKDOptions(WeightedOptions, TeacherDecodingOptions):
    """The reward, and where the two responses come from."""

    beta: float = Field(0.1, gt=0, allow_inf_nan=False, description="factor of the log ratios in the reward")
    length_normalization: bool = Field(
        True, description="divide each log ratio by its sequence's length (equation 9, not 8)"
    )
    preferred: Literal["teacher", "ground_truth"] = Field(
        "teacher",
        description="what is preferred to the student's response: the teacher's, or the ground truth",
    )
    temperature: Temperature = Field(
        1.0, description="sampling temperature of the student; 0 is greedy, else at least 0.01"
    )

    @property
    def needs_teacher_target(self) -> bool:
        return self.preferred == "teacher"

    @property
    def scores_target(self) -> bool:
        return self.mle_weight > 0


@hookimpl
def register_method() -> Method:
    return Method(
        name="dpkd",
        summary="The teacher's response is preferred to the student's, by the log ratios of both models; plus MLE.",
        paper="Li et al. 2024, Direct Preference KD for Large Language Models (arXiv 2406.19774)",
        training_data="teacher-generated beside student-generated",
        divergence="-",
        aux_loss="-log σ(r(y_t) - r(y_s)), r of log q/p; MLE on y",
        cost=StepCost(student=3, teacher=2, generation=1),
        options=DPKDOptions,
    )


@hookimpl
def make_training_sequence(step: Step, options: DPKDOptions) -> Sequences:
    """Give each prompt the response that is preferred, and then the student's."""
    preferred = step.teacher_target if options.preferred == "teacher" else step.target
    return preferred.beside(step.student.generate(temperature=options.temperature))


@hookimpl
def aux_loss(step: Step, options: DPKDOptions) -> list[Tensor | LossSum]:
    from torch.nn.functional import logsigmoid

    both = step.training_sequence
    log_ratio = (step.student.log_probs(both) - step.teacher.log_probs(both)).sum(1)
    if options.length_normalization:
        log_ratio = log_ratio / both.lengths.clamp_min(1)
    preferred, own = log_ratio.reshape(-1, 2).unbind(1)
    losses = -logsigmoid(options.beta * (preferred - own))
    terms: list[Tensor | LossSum] = [LossSum(options.kd_weight * losses.sum(), per="prompt")]
    if options.mle_weight:
        terms.append(options.mle_weight * step.student.cross_entropy(step.target))
    return terms
