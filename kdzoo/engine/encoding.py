"""From text to token ids: prompt and target apart, beginning of sequence before, end of sequence after."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from transformers import PreTrainedTokenizerBase

from kdzoo.engine.batches import EncodedExample


@dataclass(frozen=True)
class Text:
    """One prompt and its target as text."""

    prompt: str
    target: str
    group: str | None = None


@dataclass(frozen=True)
class Encoded:
    """Encoded examples, and how many were cut or left out."""

    examples: list[EncodedExample]
    prompts_cut: int
    targets_too_long: int


def count_prompt_tokens(tokenizer: PreTrainedTokenizerBase, prompt: str) -> int:
    """The number of tokens that a prompt takes, its beginning-of-sequence token included."""
    return len(_prompt_ids(tokenizer, prompt))


def encode_for_training(
    texts: Iterable[Text], tokenizer: PreTrainedTokenizerBase, input_limit: int, output_limit: int
) -> Encoded:
    """Encode prompts and targets. A target longer than the limit cannot be learnt whole and is left out.

    A prompt that is still too long loses tokens in the middle, so that its beginning and the question stay.
    """
    examples: list[EncodedExample] = []
    cut = left_out = 0
    for index, text in enumerate(texts):
        target = encode_target(tokenizer, text.target)
        if len(target) > output_limit:
            left_out += 1
            continue
        prompt, was_cut = _limited(_prompt_ids(tokenizer, text.prompt), input_limit)
        cut += was_cut
        examples.append(EncodedExample(index, prompt, target, text.group))
    return Encoded(examples, cut, left_out)


def encode_prompts(
    texts: Iterable[Text], tokenizer: PreTrainedTokenizerBase, input_limit: int
) -> list[EncodedExample]:
    """Encode prompts alone, for generation. The targets are empty."""
    return [
        EncodedExample(index, _limited(_prompt_ids(tokenizer, text.prompt), input_limit)[0], [], text.group)
        for index, text in enumerate(texts)
    ]


def encode_target(tokenizer: PreTrainedTokenizerBase, target: str) -> list[int]:
    """Encode a target, the end of sequence included."""
    return [*tokenizer.encode(target, add_special_tokens=False), tokenizer.eos_token_id]


def with_teacher_targets(
    examples: Iterable[EncodedExample], generated: dict[int, list[int]]
) -> list[EncodedExample]:
    """Attach what the teacher generated, by the examples' indices."""
    return [replace(example, teacher_target=generated[example.index]) for example in examples]


def decode(tokenizer: PreTrainedTokenizerBase, ids: list[int]) -> str:
    """Turn generated ids into text, without special tokens."""
    text: str = tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return text.strip()


def _prompt_ids(tokenizer: PreTrainedTokenizerBase, prompt: str) -> list[int]:
    ids: list[int] = tokenizer.encode(prompt, add_special_tokens=False)
    if tokenizer.bos_token_id is not None:
        return [tokenizer.bos_token_id, *ids]
    return ids or [tokenizer.eos_token_id]


def _limited(ids: list[int], limit: int) -> tuple[list[int], bool]:
    if len(ids) <= limit:
        return ids, False
    front = limit // 2
    return ids[:front] + ids[len(ids) - (limit - front) :], True
