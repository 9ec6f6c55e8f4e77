"""From text to token ids: the prompt as its tokenizer frames it, and the target apart, its end of sequence after it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from transformers import PreTrainedTokenizerBase

from kdzoo.engine.models.plain_text import spells_special_token, text_ids
from kdzoo.engine.models.tokenizers import frame
from kdzoo.engine.prompts.batches import EncodedExample
from kdzoo.methods.prompt_template import filled


@dataclass(frozen=True)
class Text:
    """One prompt and its target as text."""

    prompt: str
    target: str
    group: str | None = None


@dataclass(frozen=True)
class Encoded:
    """Encoded examples, how many were cut or left out, and how many spell a special token."""

    examples: list[EncodedExample]
    prompts_cut: int
    targets_too_long: int
    special_spelled: int


def prompt_ids(tokenizer: PreTrainedTokenizerBase, prompt: str) -> list[int]:
    """Token ids of a prompt: what ``tokenizer(prompt)`` gives, the beginning of sequence that it adds included.

    A prompt of no token is the end of sequence, which a model must be given to say anything.
    """
    before, after = frame(tokenizer)
    return [*before, *text_ids(tokenizer, prompt), *after] or [tokenizer.eos_token_id]


def count_prompt_tokens(tokenizer: PreTrainedTokenizerBase, prompt: str) -> int:
    """The number of tokens that a prompt takes, its beginning-of-sequence token included."""
    return len(prompt_ids(tokenizer, prompt))


def cut_prompt(tokenizer: PreTrainedTokenizerBase, prompt: str, limit: int) -> tuple[str, list[int]]:
    """Take as much out of the middle of a prompt as is needed for ``limit`` tokens, so that its ends stay.

    Characters are taken out, not tokens: what is left is a text again, which encodes to the same tokens everywhere.
    Gives it and its tokens.
    """
    ids = prompt_ids(tokenizer, prompt)
    if len(ids) <= limit:
        return prompt, ids
    fewest, most = 0, len(prompt) - 1
    while fewest < most:
        middle = (fewest + most + 1) // 2
        if count_prompt_tokens(tokenizer, _ends(prompt, middle)) <= limit:
            fewest = middle
        else:
            most = middle - 1
    cut = _ends(prompt, fewest)
    return cut, prompt_ids(tokenizer, cut)


def encode_for_training(
    texts: Iterable[Text],
    tokenizer: PreTrainedTokenizerBase,
    input_limit: int,
    output_limit: int,
    privileged_prompt: str | None = None,
) -> Encoded:
    """Encode prompts and targets. A target longer than the limit cannot be learnt whole and is left out.

    A prompt that is still too long is cut in the middle, so that its beginning and the question stay. Where there is a
    template for a ``privileged_prompt``, that is made of the prompt as it was cut and of the target, and not cut again: what
    it is for may stand anywhere in it.
    """
    examples: list[EncodedExample] = []
    cut = left_out = spelled = 0
    for index, text in enumerate(texts):
        target = encode_target(tokenizer, text.target)
        if len(target) > output_limit:
            left_out += 1
            continue
        prompt, ids = cut_prompt(tokenizer, text.prompt, input_limit)
        cut += prompt != text.prompt
        spelled += any(spells_special_token(tokenizer, part) for part in (text.prompt, text.target))
        privileged = None
        if privileged_prompt is not None:
            privileged = prompt_ids(tokenizer, filled(privileged_prompt, prompt, text.target))
        examples.append(EncodedExample(index, ids, target, text.group, privileged=privileged))
    return Encoded(examples, cut, left_out, spelled)


def encode_prompts(
    texts: Iterable[Text], tokenizer: PreTrainedTokenizerBase, input_limit: int
) -> tuple[list[EncodedExample], list[str]]:
    """Encode prompts alone, for generation; the targets are empty. Gives the prompts as they are cut, too."""
    examples, prompts = [], []
    for index, text in enumerate(texts):
        prompt, ids = cut_prompt(tokenizer, text.prompt, input_limit)
        examples.append(EncodedExample(index, ids, [], text.group))
        prompts.append(prompt)
    return examples, prompts


def encode_target(tokenizer: PreTrainedTokenizerBase, target: str) -> list[int]:
    """Encode a target, the tokenizer's end of sequence included; it stands nowhere else."""
    return [*text_ids(tokenizer, target), tokenizer.eos_token_id]


def with_teacher_targets(
    examples: Iterable[EncodedExample], generated: dict[int, list[int]]
) -> list[EncodedExample]:
    """Attach what the teacher generated, by the examples' indices."""
    return [replace(example, teacher_target=generated[example.index]) for example in examples]


def decode(tokenizer: PreTrainedTokenizerBase, ids: list[int]) -> str:
    """Turn generated ids into text, without the special tokens; what spells one in ordinary tokens stays."""
    text: str = tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return text.strip()


def _ends(text: str, count: int) -> str:
    """So many characters of both ends of a text together."""
    back = count // 2
    return text[: count - back] + text[len(text) - back :]
