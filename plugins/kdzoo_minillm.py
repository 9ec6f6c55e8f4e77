"""MiniLLM: reverse KL of whole sequences by policy gradient (Gu et al. 2023, arXiv 2306.08543, section 2.2).

Tokens are sampled from a mixture of both models, alpha p + (1 - alpha) q, and each is weighed by w = q / (alpha p +
(1 - alpha) q) (equations 4 and 5). A step's own part of the divergence is taken over the whole vocabulary (3), and the
token y_t is rewarded for what follows it, by length (6): the gradient is that of the sum over t of::

    w_t (KL(q‖p) at t - R_t log q(y_t)),   R_t = 1 / (T - t) sum over t' > t of log p(y_t') / q(y_t')

w and R get no gradients. R is divided by the number of its terms; the paper writes T - t - 1. Each sample is used for
one update, so that PPO's ratio of the new q to the old is 1. Clipping then acts on w, which is part of the ratio in the
paper's code (microsoft/LMOps, minillm): where w is out of 1 - cliprange to 1 + cliprange, R has no gradient that pulls it
further out. The code passes over its samples four times. Its R also holds the step's own term, is discounted by 0.95 and
standardised over the samples, and it does not weigh the step's own KL.

The paper's language modelling loss on a pretraining corpus, which is none of this method's data, is MLE on the ground truth
here. The sequences count as the student's (`kdzoo.Source.STUDENT`), whichever model a token is drawn from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from kdzoo import Method, StepCost, WeightedOptions, divergences, hookimpl, mle_on_target, next_tokens

if TYPE_CHECKING:
    from torch import Tensor

    from kdzoo import ScoredTokens, Sequences, Step


class MiniLLMOptions(WeightedOptions):
    """The three remedies of the paper's section 2.2, each of which can be taken away, and the clipping."""

    alpha: float = Field(0.2, ge=0, lt=1, description="share of the teacher in what tokens are sampled from")
    single_step: bool = Field(
        True, description="take each step's own KL over the vocabulary; else its sample's log ratio joins R"
    )
    length_norm: bool = Field(True, description="make R a mean over the tokens that follow, not a sum")
    cliprange: float = Field(0.2, gt=0, le=1, description="range of the importance weights around 1")

    @property
    def scores_target(self) -> bool:
        return self.mle_weight > 0


@hookimpl
def register_method() -> Method:
    return Method(
        name="minillm",
        summary="Reverse KL of sequences by policy gradient, sampled with the teacher's help; plus MLE.",
        paper="Gu et al. 2023, MiniLLM: Knowledge Distillation of Large Language Models (arXiv 2306.08543)",
        training_data="sampled from a mixture of student and teacher",
        divergence="w (KL(q‖p) - R log q(y)), by policy gradient",
        aux_loss="MLE on y",
        cost=StepCost(student=2, student_no_grad=1, teacher=2, generation=1),
        options=MiniLLMOptions,
        expected_failed_checks={
            "divergence_is_smallest_at_the_teacher": "a token's loss also rewards it for the tokens that followed"
        },
    )


@hookimpl
def make_training_sequence(step: Step, options: MiniLLMOptions) -> Sequences:
    """Sample from the mixture, and attach R to the tokens."""

    def choose(student_logits: Tensor, teacher_logits: Tensor, uniform: Tensor) -> Tensor:
        own, other = (next_tokens(logits, 1.0, uniform[:, 1]) for logits in (student_logits, teacher_logits))
        return other.where(uniform[:, 0] < options.alpha, own)

    sampled = step.student.generate(beside=step.teacher, choose=choose, draws=2)
    log_ratio = step.teacher.log_probs(sampled) - step.student.log_probs(sampled)
    return sampled.with_values(reward=reward_to_go(log_ratio, sampled.lengths, options))


@hookimpl
def divergence(
    student_logits: Tensor, teacher_logits: Tensor, tokens: ScoredTokens, options: MiniLLMOptions
) -> Tensor:
    weight = divergences.importance_weight(student_logits, teacher_logits, tokens.ids, options.alpha)
    losses = divergences.clipped_policy_gradient(
        student_logits, tokens.ids, tokens.values["reward"], weight, options.cliprange
    )
    if options.single_step:
        losses = losses + weight * divergences.reverse_kl(student_logits, teacher_logits)
    return options.kd_weight * losses


aux_loss = mle_on_target()


def reward_to_go(log_ratio: Tensor, lengths: Tensor, options: MiniLLMOptions) -> Tensor:
    """R of each token of sequences, float [R, T], from log p - log q of their tokens, which is 0 in the padding."""
    reward = log_ratio.flip(1).cumsum(1).flip(1)
    terms = lengths[:, None] + 1 - log_ratio.new_ones(log_ratio.shape).cumsum(1)
    if options.single_step:
        reward, terms = reward - log_ratio, terms - 1
    return reward / terms.clamp_min(1) if options.length_norm else reward
