"""A tokenizer in a GGUF file, read with the package that reads such files."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import tokenizer_kinds
from transformers import AddedToken, PreTrainedTokenizerBase

pytest.importorskip("gguf", reason="GGUF files need the package gguf")

import gguf
from gguf_models import VOCABULARY, sentencepiece, tokenizer_of

from kdzoo.engine.models.gguf_export.tokenizer import add_tokenizer
from kdzoo.errors import UserError


def written(
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
    ends: tuple[int, ...] = (1,),
    vocabulary: int = VOCABULARY,
) -> dict[str, Any]:
    file = folder / "t.gguf"
    writer = gguf.GGUFWriter(file, "llama")
    add_tokenizer(writer, tokenizer, vocabulary, ends)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    fields = gguf.GGUFReader(file).fields
    return {
        name.removeprefix("tokenizer."): field.contents()
        for name, field in fields.items()
        if name.startswith("tokenizer.")
    }


def test_tokens_stand_at_their_ids_with_their_types(tmp_path: Path) -> None:
    tokenizer = copy.deepcopy(tokenizer_of("qwen2"))
    tokenizer.add_tokens([AddedToken("<tool_call>", special=False, normalized=False)])
    found = written(tokenizer, tmp_path)
    tokens, types = found["ggml.tokens"], found["ggml.token_type"]
    assert len(tokens) == len(types) == VOCABULARY
    assert {token: n for n, token in enumerate(tokens) if n < len(tokenizer)} == tokenizer.get_vocab()
    # a padded vocabulary has logits for tokens that there are not
    padded = range(len(tokenizer), VOCABULARY)
    assert [tokens[n] for n in padded] == [f"[PAD{n}]" for n in padded]
    kinds = {
        gguf.TokenType(kind): [t for t, k in zip(tokens, types, strict=True) if k == kind]
        for kind in set(types)
    }
    assert kinds[gguf.TokenType.CONTROL] == ["<|begin|>", "<|end|>", "<|im_end|>"]
    assert kinds[gguf.TokenType.USER_DEFINED] == ["<tool_call>"]
    assert len(kinds[gguf.TokenType.UNUSED]) == len(padded)


@pytest.mark.parametrize("begins", [False, True])
def test_a_text_begins_as_the_tokenizer_says(begins: bool, tmp_path: Path) -> None:
    found = written(tokenizer_of("qwen2", begins=begins), tmp_path)
    assert (found["ggml.add_bos_token"], found["ggml.add_eos_token"]) == (begins, False)
    assert (found["ggml.bos_token_id"], found["ggml.eos_token_id"]) == (0, 1)


def test_all_that_ends_an_answer_is_named(tmp_path: Path) -> None:
    found = written(tokenizer_of("qwen2"), tmp_path, ends=(2, 1, 50))
    places = [found[f"ggml.{name}_token_id"] for name in ("eos", "eot", "eom")]
    assert places == [1, 2, 50]


def test_the_chat_template_goes_along(tmp_path: Path) -> None:
    tokenizer = copy.deepcopy(tokenizer_of("qwen2"))
    assert "chat_template" not in written(tokenizer, tmp_path)
    tokenizer.chat_template = "{{ messages }}"
    assert written(tokenizer, tmp_path)["chat_template"] == "{{ messages }}"
    tokenizer.chat_template = {"default": "{{ messages }}", "tools": "{{ tools }}"}
    found = written(tokenizer, tmp_path)
    assert (found["chat_template"], found["chat_template.tools"]) == ("{{ messages }}", "{{ tools }}")


def test_more_ends_than_a_file_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="end with any of 4 tokens, and a GGUF file names three"):
        written(tokenizer_of("qwen2"), tmp_path, ends=(1, 2, 3, 4))


def test_so_are_tokens_that_the_model_has_no_logits_for(tmp_path: Path) -> None:
    tokenizer = tokenizer_of("qwen2")
    last = len(tokenizer) - 1
    with pytest.raises(UserError, match=f"has the token id {last}, and the model logits for {last}"):
        written(tokenizer, tmp_path, vocabulary=last)


def test_so_is_a_tokenizer_in_python(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a fast one"):
        written(tokenizer_kinds.slow(), tmp_path)


def test_sentencepiece_s_kind_has_scores_and_bytes(tmp_path: Path) -> None:
    tokenizer = sentencepiece()
    found = written(tokenizer, tmp_path, ends=(2,), vocabulary=len(tokenizer))
    assert (found["ggml.model"], found["ggml.add_space_prefix"]) == ("llama", True)
    types = dict(zip(found["ggml.tokens"], found["ggml.token_type"], strict=True))
    assert [types[token] for token in ("<unk>", "<s>", "<0x0A>", "a")] == [
        gguf.TokenType.UNKNOWN,
        gguf.TokenType.CONTROL,
        gguf.TokenType.BYTE,
        gguf.TokenType.NORMAL,
    ]
    assert len(found["ggml.scores"]) == len(tokenizer)
    assert "ggml.merges" not in found


@pytest.mark.parametrize(("scheme", "notes"), [("first", 1), ("always", 0)])
def test_that_llama_cpp_adds_spaces_in_chats_is_told(scheme: str, notes: int, tmp_path: Path) -> None:
    tokenizer = copy.deepcopy(sentencepiece(scheme))
    tokenizer.chat_template = "{{ messages }}"
    told = add_tokenizer(gguf.GGUFWriter(tmp_path / "t.gguf", "llama"), tokenizer, VOCABULARY, (2,))
    assert len(told) == notes
