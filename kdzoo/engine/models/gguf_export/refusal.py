"""What is said of a model that cannot be written as GGUF here."""

from __future__ import annotations

from kdzoo.errors import UserError


def refused(what: str) -> UserError:
    """The error for a model that ``what`` keeps from being written here; it names the program that knows more kinds."""
    return UserError(
        f"--gguf: {what}; without --gguf the folder is written, and llama.cpp's own converter may know it: "
        "python convert_hf_to_gguf.py DIR"
    )
