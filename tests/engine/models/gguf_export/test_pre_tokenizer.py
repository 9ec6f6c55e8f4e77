"""How llama.cpp calls the way in which a tokenizer splits texts. What it makes of the names: see test_write."""

from __future__ import annotations

import json
from typing import Any

import pytest
import tokenizer_kinds

pytest.importorskip("gguf", reason="GGUF files need the package gguf")

from gguf_models import tokenizer_of

from kdzoo.engine.models.gguf_export.pre_tokenizer import NAMES, name_of
from kdzoo.errors import UserError


def content(tokenizer: Any) -> dict[str, Any]:
    return json.loads(tokenizer.backend_tokenizer.to_str())


@pytest.mark.parametrize("name", NAMES.values())
def test_each_kind_is_known_by_its_splits(name: str) -> None:
    assert name_of(content(tokenizer_of(name))) == name


def test_what_a_recipe_trains_splits_as_qwen2_s() -> None:
    assert name_of(content(tokenizer_kinds.trained())) == "qwen2"


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("llama2", "neither of byte-level BPE"),
        ("unigram", "neither of byte-level BPE"),
        ("wordpiece", "neither of byte-level BPE"),
        ("llama3", "splits texts in a way that is not known here"),
    ],
)
def test_others_are_refused(kind: str, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        name_of(content(tokenizer_kinds.ALL[kind]()))


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("normalizer", {"type": "Lowercase"}, r"changes texts first \(Lowercase\)"),
        ("normalizer", {"type": "Sequence", "normalizers": [{"type": "NFC"}]}, None),
        ("pre_tokenizer", {"type": "ByteLevel", "add_prefix_space": True}, "splits texts in a way"),
        ("pre_tokenizer", None, "splits texts in a way"),
    ],
)
def test_so_is_what_a_file_cannot_say(key: str, value: Any, reason: str | None) -> None:
    changed = {**content(tokenizer_of("qwen2")), key: value}
    if reason is None:
        assert name_of(changed) == "qwen2"
    else:
        with pytest.raises(UserError, match=reason):
            name_of(changed)


def test_words_that_are_never_taken_apart_have_a_name_for_llama_3_s_splits_alone() -> None:
    for name, found in (("smaug-bpe", "llama-bpe"), ("qwen2", None)):
        changed = content(tokenizer_of(name))
        changed["model"]["ignore_merges"] = True
        if found is not None:
            assert name_of(changed) == found
        else:
            with pytest.raises(UserError, match="splits texts"):
                name_of(changed)
