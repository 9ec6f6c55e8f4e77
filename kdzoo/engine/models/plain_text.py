"""Text as the plain text that it is: what spells a special token is never read as one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from transformers import PreTrainedTokenizerBase


def text_ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Token ids of a text, without a beginning or an end; none of them is a special token's.

    The unknown token alone may stand there, for what the vocabulary lacks. Added tokens that are not special (runs of
    white space, for example) are ordinary words of the vocabulary.
    """
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
    special = special_tokens(tokenizer)
    found = [name for number in {*ids} if (name := special.get(number)) is not None]
    if all(name == tokenizer.unk_token and name not in text for name in found):
        return ids
    # some vocabularies hold special tokens among their words too, and a word can be as long as that
    return _ids_of_parts(tokenizer, text, special.values())


def spells_special_token(tokenizer: PreTrainedTokenizerBase, text: str) -> bool:
    """Whether a text holds what others may mean for a special token, as the end of a chat's turn."""
    return _special_name(tokenizer).search(text) is not None


@lru_cache(maxsize=8)
def special_tokens(tokenizer: PreTrainedTokenizerBase) -> dict[int, str]:
    """The special tokens by their ids."""
    added = {number: str(token) for number, token in tokenizer.added_tokens_decoder.items() if token.special}
    return {**added, **dict(zip(tokenizer.all_special_ids, tokenizer.all_special_tokens, strict=True))}


@lru_cache(maxsize=8)
def _special_name(tokenizer: PreTrainedTokenizerBase) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, special_tokens(tokenizer).values())))


def _ids_of_parts(tokenizer: PreTrainedTokenizerBase, text: str, special: Iterable[str]) -> list[int]:
    """Encode a text cut after the first character of every special token that it spells, so that none is seen whole."""
    names = sorted(filter(None, special), key=len, reverse=True)
    spelled = re.compile("|".join(f"(?<={re.escape(name[0])})(?={re.escape(name[1:])})" for name in names))
    if not tokenizer.is_fast:
        parts = [tokenizer.tokenize(part, split_special_tokens=True) for part in spelled.split(text)]
        ids: list[int] = tokenizer.convert_tokens_to_ids([token for part in parts for token in part])
        return ids
    backend = tokenizer.backend_tokenizer
    if backend.normalizer is not None:
        text = backend.normalizer.normalize_str(text)
    words = [text]
    if backend.pre_tokenizer is not None:
        words = [word for word, _ in backend.pre_tokenizer.pre_tokenize_str(text)]
    return [
        token.id
        for word in words
        for part in spelled.split(word)
        if part
        for token in backend.model.tokenize(part)
    ]
