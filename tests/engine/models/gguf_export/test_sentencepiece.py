"""Merges told as scores. That llama.cpp then reads texts as the same tokens: test_write."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
import tokenizer_kinds

pytest.importorskip("gguf", reason="GGUF files need the package gguf")

from gguf import TokenType
from gguf_models import TEXTS, sentencepiece, tokenizer_of

from kdzoo.engine.models.gguf_export.sentencepiece import (
    LOWEST,
    begins_once_with_space,
    begins_with_space,
    is_sentencepiece,
    scores_of,
    type_of,
)
from kdzoo.errors import UserError

PREPEND = {"type": "Prepend", "prepend": "▁"}
REPLACE = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}


def content(tokenizer: Any) -> dict[str, Any]:
    return json.loads(tokenizer.backend_tokenizer.to_str())


def merged(text: str, scores: dict[str, float]) -> list[str]:
    """SentencePiece's way, plainly: of all neighbours that make a piece, the best first, and of these the leftmost."""
    pieces = list(text)
    while True:
        pairs = [(scores.get(a + b, LOWEST), -i) for i, (a, b) in enumerate(pairwise(pieces))]
        best, place = max(pairs, default=(LOWEST, 0))
        if best == LOWEST:
            return pieces
        pieces[-place : 2 - place] = ["".join(pieces[-place : 2 - place])]


def test_scores_merge_as_the_list_does() -> None:
    tokenizer = sentencepiece("never")
    scores, vocabulary = scores_of(content(tokenizer)), tokenizer.get_vocab()
    tokenizer.split_special_tokens = True
    for text in TEXTS:
        pieces = merged(text.replace(" ", "▁"), scores)
        said = tokenizer.convert_ids_to_tokens(tokenizer(text, add_special_tokens=False).input_ids)
        assert [piece for piece in pieces if piece in vocabulary] == [
            p for p in said if not p.startswith("<0x")
        ]


def test_nothing_merges_into_what_is_special() -> None:
    scores = scores_of(content(sentencepiece()))
    assert {scores[token] for token in ("<s>", "</s>", "<unk>", "<0x0A>", "e")} == {LOWEST}


def test_a_list_that_scores_cannot_tell_is_refused() -> None:
    for kind in (tokenizer_kinds.llama2(), sentencepiece()):
        changed = content(kind)
        if kind is sentencepiece():  # the ways of one piece are apart
            changed["model"]["merges"].append(changed["model"]["merges"].pop(0))
            changed["model"]["merges"].append(changed["model"]["merges"][0])
        with pytest.raises(UserError, match="merges are not those of a SentencePiece model"):
            scores_of(changed)


@pytest.mark.parametrize(
    ("normalizer", "splitter", "begins"),
    [
        (None, {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False}, True),
        (None, {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never", "split": False}, False),
        (None, {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": True}, None),
        ({"type": "Sequence", "normalizers": [PREPEND, REPLACE]}, None, True),
        (REPLACE, None, False),
        ({"type": "Lowercase"}, None, None),
        (None, None, None),
    ],
)
def test_a_text_begins_with_a_space_or_not(normalizer: Any, splitter: Any, begins: bool | None) -> None:
    changed = {"normalizer": normalizer, "pre_tokenizer": splitter}
    if begins is None:
        with pytest.raises(UserError, match="treats spaces in a way that is not known here"):
            begins_with_space(changed)
    else:
        assert begins_with_space(changed) == begins
        once = splitter is not None and splitter["prepend_scheme"] == "first"
        assert begins_once_with_space(changed) == once


def test_kinds_are_told_apart() -> None:
    assert is_sentencepiece(content(sentencepiece()))
    assert not is_sentencepiece(content(tokenizer_of("qwen2")))
    assert not is_sentencepiece(content(tokenizer_kinds.unigram()))


@pytest.mark.parametrize(
    ("piece", "kind"),
    [
        ("<unk>", TokenType.UNKNOWN),
        ("<0x0A>", TokenType.BYTE),
        ("<0xZZ>", TokenType.NORMAL),
        ("▁the", TokenType.NORMAL),
    ],
)
def test_a_piece_has_its_type(piece: str, kind: TokenType) -> None:
    assert type_of(piece, "<unk>") == kind
