"""KID: knowledge distillation on imperfect data (Zhong et al. 2024, arXiv 2410.11371, section 3).

The student predicts some masked tokens of the ground truth in one pass; the predictions are written in their place,
and teacher and student are compared on the sequence that results: errors like those of inference, at the cost of one
forward pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from kdzoo import Kind, Method, StepCost, UserError, WeightedOptions, divergences, hookimpl

if TYPE_CHECKING:
    from torch import Tensor

    from kdzoo import Sequences, Step


class KIDOptions(WeightedOptions):
    """The choices of section 3, and those that the paper leaves open."""

    alpha: float = Field(0.2, gt=0, le=1, description="fraction of each target's tokens that is masked")
    strategy: Literal["random", "uniform", "hard", "easy"] = Field(
        "random",
        description="which tokens: random; equally spaced; of highest (hard) or lowest (easy) student entropy",
    )
    mask_token: str | None = Field(
        None, description="the token that masks; default: <s>, else the beginning-of-sequence, else the end-of-text token"
    )
    mask_eos: bool = Field(False, description="whether the end of sequence may be masked")
    rewrite: Literal["predict", "mask_only", "none"] = Field(
        "predict", description="write predictions in place; train on the masked sequence; leave the ground truth"
    )
    sample: bool = Field(False, description="sample the predictions instead of taking the most probable")
    mle_context: Literal["clean", "imperfect"] = Field(
        "clean", description="what precedes the labels of the MLE loss: the ground truth, or the imperfect sequence"
    )


@hookimpl
def register_method() -> Method:
    return Method(
        name="kid",
        summary="Reverse KL on the ground truth with some tokens rewritten by the student's own predictions, plus MLE.",
        paper="Zhong et al. 2024, Learning from Imperfect Data (arXiv 2410.11371)",
        training_data="imperfect: tokens masked, predicted by the student in one pass, rewritten",
        divergence="KL(q‖p)",
        aux_loss="MLE on the ground truth",
        cost=StepCost(student=2, student_no_grad=1, teacher=1),
        options=KIDOptions,
    )


@hookimpl
def make_training_sequence(step: Step, options: KIDOptions) -> Sequences:
    y = step.target
    if options.rewrite == "none":
        return y
    chosen = masked_positions(step, options)
    masked = y.rewritten(y.tokens.masked_fill(chosen, mask_token_id(step, options)), Kind.IMPERFECT)
    if options.rewrite == "mask_only":
        return masked
    if options.sample:
        uniform = step.generator.per_row(y.tokens.shape[1]).to(y.tokens.device)
        predicted = step.student.per_token(masked, sample_token, uniform)
    else:
        predicted = step.student.per_token(masked, lambda logits: logits.argmax(-1))
    return y.rewritten(predicted.where(chosen, y.tokens), Kind.IMPERFECT)


@hookimpl
def divergence(student_logits: Tensor, teacher_logits: Tensor, options: KIDOptions) -> Tensor:
    return options.kd_weight * divergences.reverse_kl(student_logits, teacher_logits)


@hookimpl
def aux_loss(step: Step, options: KIDOptions) -> Tensor:
    context = step.target if options.mle_context == "clean" else step.training_sequence
    return options.mle_weight * step.student.cross_entropy(context, labels=step.target)


def masked_positions(step: Step, options: KIDOptions) -> Tensor:
    """Choose max(1, round(alpha L)) of each row's L maskable tokens: bool [R, T]. Halves are rounded up."""
    y = step.target
    maskable = y.mask
    if not options.mask_eos:
        # where a token stands last and is the end of sequence
        last = y.mask & ~y.mask.roll(-1, dims=1).index_fill(1, y.lengths.new_tensor([y.mask.shape[1] - 1]), False)
        maskable = maskable & ~(last & (y.tokens == step.tokenizer.eos_token_id))
    lengths = maskable.sum(1)
    counts = (options.alpha * lengths + 0.5).floor().clamp_min(1).minimum(lengths)
    if options.strategy == "uniform":
        return maskable & evenly_spaced(lengths, counts, step.generator.per_row(1).to(y.tokens.device), y.mask.shape[1])
    if options.strategy == "random":
        order = step.generator.per_row(y.tokens.shape[1]).to(y.tokens.device)
    else:
        order = step.student.per_token(y, divergences.entropy)
        order = -order if options.strategy == "hard" else order
    rank = order.masked_fill(~maskable, float("inf")).argsort(dim=1, stable=True).argsort(dim=1)
    return rank < counts[:, None]


def evenly_spaced(lengths: Tensor, counts: Tensor, phase: Tensor, width: int) -> Tensor:
    """Mark ``counts`` of the first ``lengths`` positions at equal distances, from a random phase: bool [R, width]."""
    marked = lengths.new_zeros(len(lengths), width + 1).bool()
    distance = lengths / counts.clamp_min(1)
    for k in range(int(counts.max()) if len(counts) else 0):
        position = ((k + phase[:, 0]) * distance).floor().long().minimum(lengths - 1)
        # rows that have no k-th position mark the spare column
        marked.scatter_(1, position.where(k < counts, width)[:, None], True)
    return marked[:, :width]


def mask_token_id(step: Step, options: KIDOptions) -> int:
    """Resolve the mask token in the tokenizer's vocabulary.

    Raises:
        UserError: the vocabulary has no token of that name.
    """
    tokenizer = step.tokenizer
    vocabulary = tokenizer.get_vocab()
    if options.mask_token is not None:
        if options.mask_token not in vocabulary:
            raise UserError(f"kid: mask_token: the tokenizer has no token {options.mask_token!r}")
        return int(vocabulary[options.mask_token])
    if "<s>" in vocabulary:
        return int(vocabulary["<s>"])
    return int(tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id)


def sample_token(logits: Tensor, uniform: Tensor) -> Tensor:
    """Sample a token from each row of logits [n, V] by its uniform number: int64 [n]."""
    cumulative = logits.float().softmax(-1).double().cumsum(-1)
    below = cumulative <= uniform[:, None] * cumulative[:, -1:]
    return below.sum(-1).clamp_max(logits.shape[-1] - 1)
