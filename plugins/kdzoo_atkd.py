"""ATKD: adaptive teaching by the difficulty of tokens (Zhong et al. 2024, arXiv 2402.11890).

Forward KL is the sum of a target-oriented part, TKD, on the probability of the sequence's own token y, and of a
diversity-oriented part, DKD, on the others, normalised without y, which is weighted by the teacher's uncertainty
UnC = 1 - p(y): it hardly counts where a large teacher is sure. Here the factor is left out, and TKD is taught on hard tokens
only, those of the greatest uncertainty::

    lambda (mean of DKD over the easy tokens) + (1 - lambda) (mean of TKD + DKD over the hard tokens)

The paper ranks the tokens of a mini-batch, and half of them are hard; its code (WHU-ZQH/ATKD) takes those at or above the
lower median of what a device has at once, by default one sequence. Here it is each sequence by itself, so that a loss does
not depend on how a batch is put together: ``k`` of its tokens, halves rounded up, and at least one, are hard. For a
sequence of an odd length that is the code's reading. Both means are those of a sequence, and sequences count by their
lengths. The paper trains on the ground truth or what other methods train on, without MLE.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ConfigDict, Field

from kdzoo import Method, StepCost, TrainingDataOptions, divergences, hookimpl

if TYPE_CHECKING:
    from torch import Tensor

    from kdzoo import ScoredTokens, Sequences, Step


class ATKDOptions(TrainingDataOptions):
    """Which tokens are hard, and how they count. The field ``lambda_`` is ``lambda`` in recipes."""

    model_config = ConfigDict(populate_by_name=True)

    k: float = Field(0.5, gt=0, le=1, description="share of a sequence's tokens that is hard to learn")
    lambda_: float = Field(0.2, ge=0, le=1, alias="lambda", description="weight of the easy tokens")


@hookimpl
def register_method() -> Method:
    return Method(
        name="atkd",
        summary="What the teacher says beside the target, and of the target where it is unsure of it.",
        paper="Zhong et al. 2024, Revisiting KD for Autoregressive Language Models (arXiv 2402.11890)",
        training_data="ground truth (or student-generated)",
        divergence="DKD on easy, TKD + DKD on hard tokens",
        aux_loss="- (or MLE on y)",
        cost=StepCost(student=1, teacher=2),
        options=ATKDOptions,
    )


@hookimpl
def make_training_sequence(step: Step, options: ATKDOptions) -> Sequences:
    """Mark the hard tokens of each sequence, and weigh all tokens so that their mean is that of both means."""
    y = step.student.generate(temperature=options.temperature) if options.data == "student" else step.target
    uncertainty = step.teacher.per_token(y, uncertainty_of, inputs=y.tokens)
    length = y.lengths[:, None]
    count = (options.k * length.double() + 0.5).floor().clamp_min(1)
    rank = (-uncertainty).masked_fill(~y.mask, float("inf")).argsort(dim=1, stable=True).argsort(dim=1)
    hard = y.mask & (rank < count)
    of_hard = (1 - options.lambda_) * length / count
    of_easy = options.lambda_ * length / (length - count).clamp_min(1)
    return y.with_values(hard=hard.float(), weight=of_hard.where(hard, of_easy).float())


@hookimpl
def divergence(
    student_logits: Tensor, teacher_logits: Tensor, tokens: ScoredTokens, options: ATKDOptions
) -> Tensor:
    target = divergences.target_kl(student_logits, teacher_logits, tokens.ids)
    others = divergences.non_target_kl(student_logits, teacher_logits, tokens.ids)
    return options.kd_weight * tokens.values["weight"] * (tokens.values["hard"] * target + others)


@hookimpl
def aux_loss(step: Step, options: ATKDOptions) -> Tensor | None:
    if options.mle_weight == 0:
        return None
    # of the two, the one that the divergence is taken on: the student is not run again
    y = step.training_sequence if options.data == "ground_truth" else step.target
    return options.mle_weight * step.student.cross_entropy(y)


def uncertainty_of(logits: Tensor, tokens: Tensor) -> Tensor:
    """1 - p(y) of each row of logits [n, V] and its token: float32 [n]."""
    others = logits.float().log_softmax(-1).scatter(1, tokens[:, None], float("-inf"))
    return others.exp().sum(-1)
