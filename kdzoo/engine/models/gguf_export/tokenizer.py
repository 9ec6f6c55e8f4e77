"""A tokenizer as GGUF has it: tokens with their types, merges, special ids, chat template."""

from __future__ import annotations

import json
from typing import Any

from gguf import GGUFWriter, TokenType
from transformers import PreTrainedTokenizerBase

from kdzoo.engine.models.gguf_export.pre_tokenizer import name_of
from kdzoo.engine.models.gguf_export.refusal import refused
from kdzoo.engine.models.gguf_export.sentencepiece import (
    LOWEST,
    begins_once_with_space,
    begins_with_space,
    is_sentencepiece,
    scores_of,
    type_of,
)
from kdzoo.engine.models.tokenizers import frame

_SPACES = "the tokenizer puts a space before a text, and llama.cpp one after special tokens too, so that chats are read otherwise"


def add_tokenizer(
    writer: GGUFWriter, tokenizer: PreTrainedTokenizerBase, vocabulary: int, ends: tuple[int, ...]
) -> list[str]:
    """Write a tokenizer, of byte-level BPE or of SentencePiece's kind.

    Its model has logits for ``vocabulary`` tokens, and ends its answers with any of ``ends``.
    Gives what is to be known of how llama.cpp reads texts otherwise.

    Raises:
        UserError: it is of another kind, has more tokens than the model, or ends texts with more than three tokens.
    """
    if not tokenizer.is_fast:
        raise refused("its tokenizer is not a fast one, so that there are no merges to write")
    content: dict[str, Any] = json.loads(tokenizer.backend_tokenizer.to_str())
    if is_sentencepiece(content):
        _add_pieces(writer, content, tokenizer.unk_token, vocabulary)
    else:
        _add_bytes(writer, content, vocabulary)
    _add_frame(writer, tokenizer)
    _add_special_ids(writer, tokenizer, ends)
    template = tokenizer.chat_template
    if isinstance(template, dict):
        template = [{"name": name, "template": text} for name, text in template.items()]
    if not template:
        return []
    writer.add_chat_template(template)
    return [_SPACES] if is_sentencepiece(content) and begins_once_with_space(content) else []


def _add_bytes(writer: GGUFWriter, content: dict[str, Any], vocabulary: int) -> None:
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(name_of(content))
    types = dict.fromkeys(content["model"]["vocab"], TokenType.NORMAL)
    _add_tokens(writer, content, types, vocabulary)
    writer.add_token_merges([" ".join(_pair(merge)) for merge in content["model"]["merges"]])


def _add_pieces(writer: GGUFWriter, content: dict[str, Any], unknown: str | None, vocabulary: int) -> None:
    scores = scores_of(content)
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_add_space_prefix(begins_with_space(content))
    types = {piece: type_of(piece, unknown) for piece in content["model"]["vocab"]}
    tokens = _add_tokens(writer, content, types, vocabulary)
    writer.add_token_scores([scores.get(token, LOWEST) for token in tokens])


def _add_tokens(
    writer: GGUFWriter, content: dict[str, Any], types: dict[str, TokenType], vocabulary: int
) -> list[str]:
    """Each id's token and its type; ids that no token has, as a padded vocabulary has them, get names of their own."""
    named = {number: (token, types[token]) for token, number in content["model"]["vocab"].items()}
    for added in content["added_tokens"]:
        if types.get(added["content"]) == TokenType.UNKNOWN:
            continue
        kind = TokenType.CONTROL if added["special"] else TokenType.USER_DEFINED
        named[added["id"]] = (added["content"], kind)
    if max(named) >= vocabulary:
        raise refused(f"its tokenizer has the token id {max(named)}, and the model logits for {vocabulary}")
    filled = [named.get(number, (f"[PAD{number}]", TokenType.UNUSED)) for number in range(vocabulary)]
    writer.add_token_list([token for token, _ in filled])
    writer.add_token_types([kind for _, kind in filled])
    return [token for token, _ in filled]


def _pair(merge: Any) -> list[str]:
    return merge.split(" ") if isinstance(merge, str) else list(merge)


def _add_frame(writer: GGUFWriter, tokenizer: PreTrainedTokenizerBase) -> None:
    """Whether a text begins with the beginning of sequence, and ends with its end."""
    before, after = frame(tokenizer)
    begins, ends = [tokenizer.bos_token_id], [tokenizer.eos_token_id]
    if before not in ([], begins) or after not in ([], ends):
        raise refused("its tokenizer puts more around a text than a beginning and an end of sequence")
    writer.add_add_bos_token(before == begins)
    writer.add_add_eos_token(after == ends)


def _add_special_ids(writer: GGUFWriter, tokenizer: PreTrainedTokenizerBase, ends: tuple[int, ...]) -> None:
    """The ids of beginning, padding and unknown, and those that end an answer: a GGUF file has three places for these."""
    for add, number in (
        (writer.add_bos_token_id, tokenizer.bos_token_id),
        (writer.add_pad_token_id, tokenizer.pad_token_id),
        (writer.add_unk_token_id, tokenizer.unk_token_id),
    ):
        if number is not None:
            add(number)
    own = tokenizer.eos_token_id
    ordered = [own, *(number for number in ends if number != own)]
    places = (writer.add_eos_token_id, writer.add_eot_token_id, writer.add_eom_token_id)
    if len(ordered) > len(places):
        raise refused(
            f"its answers end with any of {len(ordered)} tokens, and a GGUF file names three at most"
        )
    for add, number in zip(places, ordered, strict=False):
        add(number)
