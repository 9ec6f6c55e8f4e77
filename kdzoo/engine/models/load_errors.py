"""What a library's reader raises, told as a mistake in what it was given to read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from kdzoo.errors import UserError
from kdzoo.files import is_out_of_memory

# What libraries advise in terms of their own arguments, and what a recipe says to the same end.
_MEANINGS = {
    "`trust_remote_code=True`": "it needs code that comes with it, and that is not run unless the recipe's "
    "table says trust_remote_code = true (read the code first)",
    "`use_safetensors=True`": "it has no safetensors; only those are read, since a pickle can run code: convert it with "
    "save_pretrained",
}


@contextmanager
def told_as(what: str) -> Iterator[None]:
    """Raise whatever is raised inside as a UserError that begins with ``what``, unless memory is what is missing.

    Each kind of file has its own reader with its own errors, so all of them are caught.
    """
    try:
        yield
    except (UserError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise UserError(f"{what}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """The first line of a message, with the next where it announces that; only a name, if there is no message."""
    for words, meaning in _MEANINGS.items():
        if words in str(error):
            return meaning
    lines = str(error).split("\n") if str(error).strip() else [type(error).__name__]
    if lines[0].rstrip().endswith(":"):
        lines[0] += " " + " ".join(lines[1:2])
    return " ".join(lines[0].split())
