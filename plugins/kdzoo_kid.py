"""KID: knowledge distillation on imperfect data (Zhong et al. 2024, arXiv 2410.11371, section 3).

Some tokens of the ground truth are masked, the student predicts them in one pass, and its predictions are
written in their place. Teacher and student are compared on the sequence that results: it holds errors like
those of inference, at the cost of one forward pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from kdzoo import (
    Method,
    Source,
    StepCost,
    UserError,
    WeightedOptions,
    divergences,
    hookimpl,
    next_tokens,
)

if TYPE_CHECKING:
    from torch import Tensor

    from kdzoo import Sequences, Step


class KIDOptions(WeightedOptions):
    """The choices of section 3, and those that the paper leaves open.

    Of the MLE loss the paper says that its labels are the ground truth's, not what stands before them.
    ``mle_context = "clean"``, the ground truth, is the literal reading, and costs a second scored sequence.
    ``"imperfect"``, the sequence that the divergence is taken on, is the reading that the paper's latencies fit.
    The default is the one that measured better (docs/results.md).
    """

    alpha: float = Field(0.2, gt=0, le=1, description="fraction of each target's tokens that is masked")
    strategy: Literal["random", "uniform", "hard", "easy"] = Field(
        "random",
        description="random, equally spaced, or those of highest (hard) or lowest (easy) student entropy",
    )
    mask_token: str | None = Field(
        None, description="name of the token that masks; if absent, <s>, else BOS, else the end-of-text token"
    )
    mask_eos: bool = Field(False, description="whether the end of sequence may be masked")
    rewrite: Literal["predict", "mask_only", "none"] = Field(
        "predict", description="write predictions in place; keep the masks; or keep the ground truth"
    )
    sample: bool = Field(False, description="sample the predictions instead of taking the most probable")
    mle_context: Literal["clean", "imperfect"] = Field(
        "clean",
        description="what stands before the MLE loss's labels: the ground truth, or the imperfect sequence",
    )

    @property
    def keeps_target_lengths(self) -> bool:
        """Tokens are replaced, none is added or dropped."""
        return True

    @property
    def scores_target(self) -> bool:
        return self.mle_context == "clean"


@hookimpl
def register_method() -> Method:
    return Method(
        name="kid",
        summary="Reverse KL on the ground truth with some tokens rewritten by the student, plus MLE.",
        paper="Zhong et al. 2024, Learning from Imperfect Data (arXiv 2410.11371)",
        training_data="imperfect: masked, predicted, rewritten",
        divergence="KL(q‖p)",
        aux_loss="MLE on y",
        cost=StepCost(student=2, student_no_grad=1, teacher=1),
        options=KIDOptions,
        sources=(Source.IMPERFECT,),
    )


@hookimpl
def make_training_sequence(step: Step, options: KIDOptions) -> Sequences:
    """Mask, predict, rewrite. The prediction of token t is conditioned on the masked sequence before t."""
    y = step.target
    if options.rewrite == "none":
        return y
    chosen = choose_tokens(step, options)
    masked = y.rewritten(y.tokens.masked_fill(chosen, mask_token_id(step, options)), Source.IMPERFECT)
    if options.rewrite == "mask_only":
        return masked
    if options.sample:
        uniform = step.generator.per_row(y.tokens.shape[1]).to(chosen.device)
        sample = lambda logits, uniform: next_tokens(logits, 1.0, uniform)  # noqa: E731
        predicted = step.student.per_token(masked, sample, inputs=uniform, where=chosen)
    else:
        predicted = step.student.per_token(masked, lambda logits: logits.argmax(-1), where=chosen)
    return y.rewritten(predicted.where(chosen, y.tokens), Source.IMPERFECT)


@hookimpl
def divergence(student_logits: Tensor, teacher_logits: Tensor, options: KIDOptions) -> Tensor:
    """Reverse KL, both models conditioned on the imperfect sequence."""
    return options.kd_weight * divergences.reverse_kl(student_logits, teacher_logits)


@hookimpl
def aux_loss(step: Step, options: KIDOptions) -> Tensor:
    """MLE with the true labels, after the true tokens or after the imperfect ones."""
    context = step.target if options.mle_context == "clean" else step.training_sequence
    return options.mle_weight * step.student.cross_entropy(context, labels=step.target)


def choose_tokens(step: Step, options: KIDOptions) -> Tensor:
    """Choose max(1, round(alpha L)) of each row's L maskable tokens, halves rounded up: bool [R, T]."""
    y = step.target
    maskable = y.mask
    if not options.mask_eos:
        last = y.mask & (y.mask.cumsum(1) == y.lengths[:, None])
        for last_token in step.end_ids:
            maskable = maskable & ~(last & (y.tokens == last_token))
    available = maskable.sum(1, keepdim=True)
    count = (options.alpha * available.double() + 0.5).floor().clamp_min(1).minimum(available)
    if options.strategy == "uniform":
        # of the points phase, phase + 1, ... (count of them), each lies in one token's share of [0, count)
        phase = step.generator.per_row(1).to(count)
        end = maskable.cumsum(1)
        start, end = ((edge * count / available - phase).ceil() for edge in (end - 1, end))
        return maskable & (end > start)
    if options.strategy == "random":
        order = step.generator.per_row(y.tokens.shape[1]).to(maskable.device)
    else:
        order = step.student.per_token(y, divergences.entropy, where=maskable)
        order = -order if options.strategy == "hard" else order
    rank = order.masked_fill(~maskable, float("inf")).argsort(dim=1, stable=True).argsort(dim=1)
    return maskable & (rank < count)


def mask_token_id(step: Step, options: KIDOptions) -> int:
    """Find the token that masks: the named one, else <s>, else BOS, else the end-of-text token.

    Raises:
        UserError: the tokenizer has no token of the given name.
    """
    tokenizer = step.tokenizer
    name = "<s>" if options.mask_token is None else options.mask_token
    found = tokenizer.convert_tokens_to_ids(name)  # the unknown token's id, or None, where there is none
    if found is not None and tokenizer.convert_ids_to_tokens(found) == name:
        return int(found)
    if options.mask_token is not None:
        raise UserError(
            f"kid: mask_token: the tokenizer has no token {name!r}; "
            f"its special tokens are {', '.join(map(repr, tokenizer.all_special_tokens))}"
        )
    return int(tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id)
