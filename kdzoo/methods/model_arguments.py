"""What a `kdzoo.ConditionedModel` may be asked for: the mistakes that can be seen in the arguments alone."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from kdzoo.errors import RunError
from kdzoo.methods.sequences import Sequences


def check_generate_arguments(
    *,
    prompts: int,
    output_limit: int,
    temperature: float,
    prefix: Sequences | None,
    beside: object | None,
    choose: Callable[..., Tensor] | None,
    draws: int,
) -> None:
    """Check what `kdzoo.ConditionedModel.generate` is asked for, over so many prompts.

    Raises:
        RunError: two arguments contradict each other, or the prefix is not one sequence a prompt within the limit.
    """
    if choose is None and (beside is not None or draws != 1):
        raise RunError(
            "generate: beside and draws are for choose, which picks the tokens by them; there is none"
        )
    if choose is not None and temperature != 1:
        raise RunError(
            "generate: choose picks the tokens, so that temperature has no effect; let choose divide the logits by it"
        )
    if draws < 1:
        raise RunError(f"generate: draws must be 1 or more, not {draws}")
    if prefix is None:
        return
    if len(prefix.lengths) != prompts or prefix.per_prompt != 1:
        raise RunError(
            f"generate: prefix must have one sequence for each of {prompts} prompts; it has {len(prefix.lengths)}, "
            f"with per_prompt={prefix.per_prompt}"
        )
    longest = int(prefix.lengths.max()) if prompts else 0
    if longest > output_limit:
        raise RunError(
            f"generate: prefix has a sequence of {longest} tokens, and the output limit, which counts them, "
            f"is {output_limit}"
        )


def check_chosen(chosen: Tensor, rows: int) -> None:
    """Check what a ``choose`` has given for so many rows.

    Raises:
        RunError: it is not the id of a token for each of them.
    """
    if chosen.shape != (rows,) or chosen.dtype != torch.long:
        raise RunError(
            f"generate: choose must give the id of a token for each of {rows} rows (int64 [{rows}]), "
            f"not {chosen.dtype} {list(chosen.shape)}"
        )


def check_labels(sequences: Sequences, labels: Sequences) -> None:
    """Check that there is a label for each token.

    Raises:
        RunError: the labels have other lengths than the sequences.
    """
    same_shape = labels.tokens.shape == sequences.tokens.shape
    if not same_shape or not torch.equal(labels.lengths, sequences.lengths):
        raise RunError(
            "labels must have the lengths of the sequences that they are to be predicted after: "
            f"{list(labels.tokens.shape)} and {list(sequences.tokens.shape)} tokens with padding, "
            f"{int(labels.lengths.sum())} and {int(sequences.lengths.sum())} without"
        )
