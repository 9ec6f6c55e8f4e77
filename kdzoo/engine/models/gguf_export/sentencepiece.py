"""A tokenizer that was a SentencePiece model of merges, as LLaMA-2's and Mistral's, told by scores, as GGUF has it.

SentencePiece merges any two neighbours that make a piece, of all such the piece of the highest score first. A tokenizer.json has
a list of merges instead. Both are the same where that list has all ways to make each piece, the ways of one together.
"""

from __future__ import annotations

import re
from itertools import groupby
from typing import Any

from gguf import TokenType

from kdzoo.engine.models.gguf_export.refusal import refused

_BYTE = re.compile(r"<0x[0-9A-F]{2}>")
_SPACE = "▁"
_REPLACE = {"type": "Replace", "pattern": {"String": " "}, "content": _SPACE}
_PREPEND = {"type": "Prepend", "prepend": _SPACE}
# Of what nothing merges into: below all pieces.
LOWEST = -1e9


def is_sentencepiece(tokenizer: dict[str, Any]) -> bool:
    """Whether a tokenizer (the content of its tokenizer.json) falls back to bytes, as SentencePiece does."""
    model = tokenizer["model"]
    return model["type"] == "BPE" and bool(model.get("byte_fallback"))


def begins_with_space(tokenizer: dict[str, Any]) -> bool:
    """Whether a space is put before a text.

    Raises:
        UserError: spaces are treated in another way than by a mark in their place.
    """
    normalizer, splitter = tokenizer.get("normalizer"), tokenizer.get("pre_tokenizer")
    if normalizer is None and splitter is not None and splitter["type"] == "Metaspace":
        if splitter.get("replacement") == _SPACE and not splitter.get("split", True):
            return bool(splitter.get("prepend_scheme") != "never")
    elif normalizer is not None and splitter is None:
        parts = normalizer["normalizers"] if normalizer["type"] == "Sequence" else [normalizer]
        if parts in ([_PREPEND, _REPLACE], [_REPLACE]):
            return len(parts) == 2
    raise refused("its tokenizer treats spaces in a way that is not known here")


def begins_once_with_space(tokenizer: dict[str, Any]) -> bool:
    """Whether that is so of the whole text, and not of each part between special tokens."""
    splitter = tokenizer.get("pre_tokenizer") or {}
    return bool(splitter.get("prepend_scheme") == "first")


def scores_of(tokenizer: dict[str, Any]) -> dict[str, float]:
    """Each piece's score: the higher, the sooner it is merged.

    Raises:
        UserError: the merges are none that scores could tell.
    """
    vocabulary = tokenizer["model"]["vocab"]
    special = {added["content"] for added in tokenizer["added_tokens"]}
    pieces = [p for p in vocabulary if p not in special and not _BYTE.fullmatch(p)]
    merges = [tuple(m.split(" ")) if isinstance(m, str) else tuple(m) for m in tokenizer["model"]["merges"]]
    order = [piece for piece, _ in groupby("".join(merge) for merge in merges)]
    listed, known = set(merges), set(pieces)
    ways = {(p[:i], p[i:]) for p in pieces for i in range(1, len(p)) if p[:i] in known and p[i:] in known}
    if len(order) != len(set(order)) or not ways <= listed:
        raise refused("its tokenizer's merges are not those of a SentencePiece model")
    return dict.fromkeys(vocabulary, LOWEST) | {piece: -float(n) for n, piece in enumerate(order)}


def type_of(piece: str, unknown: str | None) -> TokenType:
    """What a piece of the vocabulary is that was not added to it."""
    if piece == unknown:
        return TokenType.UNKNOWN
    return TokenType.BYTE if _BYTE.fullmatch(piece) else TokenType.NORMAL
