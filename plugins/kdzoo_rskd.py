"""RS-KD: random sampling knowledge distillation (Anshumann et al. 2025, arXiv 2503.16870, Sparse Logit Sampling).

The teacher is run once, before training. At each token of the ground truth, ``rounds`` tokens are drawn from it with
replacement, and each one's share of the draws is kept, an unbiased estimate of its probability; the student is then
trained on those few numbers, without the teacher::

    L = sum over kept tokens i of w_i (-log q_i),   w_i = count_i / rounds

That is the cross entropy with the sampled distribution; the KL divergence, as the paper has it, is a constant less, and has the
same gradient, which over all draws is that of KL(p‖q). Drawn from another distribution r, the teacher's at a
``temperature`` (the paper's powers p^t, t = 1 / temperature), a token has the weight count_i / rounds times p_i / r_i. These
are plain importance weights: they are unbiased, and need not sum to 1.

50 rounds, which give about 12 tokens, are the paper's main setting. Its authors have published no code; the weights are
those of their poster (akhilkedia/RandomSamplingKD). Eight bytes are kept of each token, and for every target token of a
batch that prepares as many tokens as for the one that needs the most.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from kdzoo import Method, StepCost, WeightedOptions, divergences, hookimpl, mle_on_target

if TYPE_CHECKING:
    from torch import Tensor

    from kdzoo import ScoredTokens, Step


class RSKDOptions(WeightedOptions):
    """How the teacher's distribution is sampled."""

    rounds: int = Field(
        50, ge=1, le=10_000, description="tokens drawn from the teacher for each target token"
    )
    temperature: float = Field(1.0, ge=0.1, le=10, description="temperature of the distribution drawn from")
    mle_weight: float = Field(
        0.0, ge=0, allow_inf_nan=False, description="factor of the MLE loss on the ground truth"
    )


@hookimpl
def register_method() -> Method:
    return Method(
        name="rskd",
        summary="Cross entropy with a few tokens that are drawn from the teacher once, before training.",
        paper="Anshumann et al. 2025, Sparse Logit Sampling: Accelerating KD in LLMs (arXiv 2503.16870)",
        training_data="ground truth",
        divergence="sum of w (-log q), w of samples of p",
        aux_loss="- (or MLE on y)",
        cost=StepCost(student=1, teacher=0),
        options=RSKDOptions,
        expected_failed_checks={
            "divergence_is_smallest_at_the_teacher": "it is smallest where the student gives the samples' shares"
        },
    )


@hookimpl
def prepare(step: Step, options: RSKDOptions) -> dict[str, Tensor]:
    """Tokens int32 [B, T, K] and their weights float32 [B, T, K]; those beyond a target token's own have weight 0."""
    y = step.target
    uniform = step.generator.per_row(y.tokens.shape[1] * options.rounds)
    drawn = step.teacher.per_token(
        y,
        lambda logits, uniform: sample(logits, uniform, options.temperature),
        inputs=uniform.reshape(*y.tokens.shape, options.rounds),
    )
    tokens, weights = drawn.unbind(-2)
    most = 1 + max(weights.nonzero()[:, -1].tolist(), default=-1)
    return {"tokens": tokens[..., :most].int(), "weights": weights[..., :most]}


@hookimpl
def divergence(student_logits: Tensor, tokens: ScoredTokens, step: Step, options: RSKDOptions) -> Tensor:
    """Without ``teacher_logits``: the teacher is not run."""
    kept, weights = (step.prepared[name][tokens.rows, tokens.positions] for name in ("tokens", "weights"))
    return options.kd_weight * divergences.sparse_cross_entropy(student_logits, kept.long(), weights)


aux_loss = mle_on_target()


def sample(logits: Tensor, uniform: Tensor, temperature: float) -> Tensor:
    """Draw tokens by uniform numbers [n, rounds] in [0, 1) and give each one's weight once: float32 [n, 2, rounds].

    The first of both are the tokens' ids (float32 holds them up to 2^24), in ascending order; unused places have weight 0
    and the id 0.
    """
    import torch

    log_p = logits.float().log_softmax(-1)
    log_r = (log_p / temperature).log_softmax(-1)
    cumulative = log_r.exp().double().cumsum(-1)
    # never a token of probability 0: the first at which the sum is beyond the number
    ids = torch.searchsorted(cumulative, uniform.double() * cumulative[:, -1:], right=True)
    ids = ids.sort(-1).values
    ratio = (log_p - log_r).gather(1, ids).exp() / uniform.shape[1]
    is_new = ids.diff(dim=-1, prepend=ids.new_full((len(ids), 1), -1)) > 0
    place = is_new.cumsum(-1) - 1
    kept = torch.zeros_like(ids).scatter_(1, place, ids)
    weights = torch.zeros_like(ratio).scatter_add_(1, place, ratio)
    return torch.stack([kept.float(), weights], dim=1)
