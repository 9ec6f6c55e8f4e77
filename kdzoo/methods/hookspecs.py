"""The hooks of a method. A plugin implements those in which it differs from the defaults; most need two or three.

An implementation declares only the arguments that it uses: ``def divergence(student_logits, teacher_logits)``
is enough for most. Tensors are described by shape: N scored tokens, V vocabulary entries, R sequences, T
tokens, B prompts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import pluggy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor, nn

    from kdzoo.methods.loss_sum import LossSum
    from kdzoo.methods.method import Method, Options
    from kdzoo.methods.sequences import ScoredTokens, Sequences
    from kdzoo.methods.step import FinishedStep, SetupContext, Step, StepLosses

PROJECT = "kdzoo"

_Hook = TypeVar("_Hook", bound="Callable[..., object]")

_hookspec = pluggy.HookspecMarker(PROJECT)
_hookimpl = pluggy.HookimplMarker(PROJECT)


def hookimpl(function: _Hook) -> _Hook:
    """Mark a function of a plugin as the implementation of the hook that has its name."""
    return _hookimpl(function)


@_hookspec(firstresult=True)
def register_method() -> Method:  # type: ignore[empty-body]
    """Describe the method. Every plugin implements this hook, and it must not import torch."""


@_hookspec(firstresult=True)
def setup(context: SetupContext, options: Options) -> nn.Module | None:
    """Give what the method itself trains or keeps, as ``step.state`` has it; None (the default) if there is nothing.

    Called once, before training. The module's parameters are trained with the student's, and it is saved and resumed with
    every checkpoint: its parameters, its buffers, and what its ``get_extra_state`` gives (tensors, numbers, texts, lists and
    dictionaries of them). torch's global generators are seeded for the call and put back, so that layers may initialise
    themselves.
    """


@_hookspec(firstresult=True)
def prepare(step: Step, options: Options) -> dict[str, Tensor]:  # type: ignore[empty-body]
    """Give tensors [B, ...] by name that hold what is made once for each prompt, before training.

    Called without gradients on one batch after another. Each row is kept with its prompt, on disk too, so that an
    interrupted preparation continues; ``step.prepared`` then has those of a step's prompts. Where their shapes differ from
    batch to batch they are padded with zeros, at the end. A row must not depend on the batch's other rows.
    """


@_hookspec(firstresult=True)
def make_training_sequence(step: Step, options: Options) -> Sequences:  # type: ignore[empty-body]
    """Give the sequences that teacher and student are both scored on.

    Called without gradients. Default: the ground truth, ``step.target``. Randomness comes from
    ``step.generator``. What is known of each token can be attached: `kdzoo.Sequences.with_values`.
    """


@_hookspec(firstresult=True)
def divergence(  # type: ignore[empty-body]
    student_logits: Tensor,
    teacher_logits: Tensor,
    other_logits: Mapping[str, Tensor],
    tokens: ScoredTokens,
    step: Step,
    options: Options,
) -> Tensor:
    """Give the KD loss of each scored token, in nats: float [N], with gradients to the student.

    Both logits have shape [N, V], are conditioned on the training sequence and predict ``tokens``; no
    padding, no prompt, no shift is left to handle. ``other_logits`` are those of further models by the names that
    `Step.model` knows them by, after the ordinary prompts and without gradients: each model is run when its logits are
    first read. The hook may be called several times in a step, on parts
    of the scored tokens, so that a token's loss must not depend on the other tokens. The core averages over
    all scored tokens of the step; ``tokens.source_shares`` are what to divide by where the tokens of each source
    are to be averaged by themselves. A method without this hook has no KD loss.
    """


@_hookspec(firstresult=True)
def aux_loss(step: Step, options: Options) -> Tensor | LossSum | Sequence[Tensor | LossSum] | None:
    """Give a scalar that is added to the KD loss, a list or tuple of several, or None (the default).

    A tensor is taken to be a mean over the ground truth's tokens, and is weighted by their number where a batch is
    split (gradient accumulation, processes), so that the split does not change the result. `kdzoo.LossSum` is a sum
    that is divided by another number, with the same care.
    """


@_hookspec(firstresult=True)
def after_step(step: FinishedStep, losses: StepLosses, options: Options) -> None:
    """Adapt what ``setup`` has given, ``step.state``, to what the optimizer's step has shown.

    Called without gradients, once for each optimizer step, whatever parts its batch was split into, after the weights have
    changed.
    """
