"""From text to token ids: the prompt as its tokenizer frames it, and the target apart, its end of sequence after it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from transformers import PreTrainedTokenizerBase

from kdzoo.engine.models.plain_text import spells_special_token, text_ids
from kdzoo.engine.models.tokenizers import frame
from kdzoo.engine.prompts.batches import EncodedExample
from kdzoo.engine.prompts.chat import ChatTemplate, Turns
from kdzoo.methods.prompt_template import filled


@dataclass(frozen=True)
class Text:
    """One prompt and its target as text; ``earlier`` is what was said before the prompt."""

    prompt: str
    target: str
    group: str | None = None
    earlier: Turns = ()


@dataclass(frozen=True)
class Encoded:
    """Encoded examples, how many were cut or left out, and how many spell a special token."""

    examples: list[EncodedExample]
    prompts_cut: int
    targets_too_long: int
    special_spelled: int


def prompt_ids(
    tokenizer: PreTrainedTokenizerBase, prompt: str, chat: ChatTemplate | None = None, earlier: Turns = ()
) -> list[int]:
    """Token ids of a prompt: what ``tokenizer(prompt)`` gives, the beginning of sequence that it adds included.

    What was said ``earlier`` stands before it. With a ``chat`` template they are a conversation. A prompt of no token is
    the end of sequence, which a model must be given to say anything.
    """
    if chat is not None:
        return chat.prompt_ids(prompt, earlier)
    before, after = frame(tokenizer)
    text = _joined(prompt, earlier)
    return [*before, *text_ids(tokenizer, text), *after] or [tokenizer.eos_token_id]


def count_prompt_tokens(
    tokenizer: PreTrainedTokenizerBase, prompt: str, chat: ChatTemplate | None = None, earlier: Turns = ()
) -> int:
    """The number of tokens that a prompt takes, its beginning-of-sequence token included."""
    return len(prompt_ids(tokenizer, prompt, chat, earlier))


def cut_prompt(
    tokenizer: PreTrainedTokenizerBase, prompt: str, limit: int, chat: ChatTemplate | None = None
) -> tuple[str, list[int]]:
    """Take as much out of the middle of a prompt as is needed for ``limit`` tokens, so that its ends stay.

    Characters are taken out, not tokens: what is left is a text again, which encodes to the same tokens everywhere.
    Gives it and its tokens.
    """
    cut, ids = _cut(tokenizer, Text(prompt, ""), limit, chat)
    return cut.prompt, ids


def _cut(
    tokenizer: PreTrainedTokenizerBase, text: Text, limit: int, chat: ChatTemplate | None
) -> tuple[Text, list[int]]:
    """The same of a conversation: what was said first goes first, a system message never."""
    if chat is None and text.earlier:
        text = replace(text, prompt=_joined(text.prompt, text.earlier), earlier=())
    ids = prompt_ids(tokenizer, text.prompt, chat, text.earlier)
    while len(ids) > limit and (fewer := _without_first_question(text.earlier)) is not None:
        text = replace(text, earlier=fewer)
        ids = prompt_ids(tokenizer, text.prompt, chat, fewer)
    if len(ids) <= limit:
        return text, ids
    fewest, most = 0, len(text.prompt) - 1
    while fewest < most:
        middle = (fewest + most + 1) // 2
        if count_prompt_tokens(tokenizer, _ends(text.prompt, middle), chat, text.earlier) <= limit:
            fewest = middle
        else:
            most = middle - 1
    cut = replace(text, prompt=_ends(text.prompt, fewest))
    return cut, prompt_ids(tokenizer, cut.prompt, chat, cut.earlier)


def _without_first_question(earlier: Turns) -> Turns | None:
    """A conversation without its first question and what was said until the next; None if it has none."""
    asked = [place for place, (role, _) in enumerate(earlier) if role == "user"]
    if not asked:
        return None
    following = asked[1] if len(asked) > 1 else len(earlier)
    return [*earlier[: asked[0]], *earlier[following:]]


def encode_for_training(
    texts: Iterable[Text],
    tokenizer: PreTrainedTokenizerBase,
    input_limit: int,
    output_limit: int,
    privileged_prompt: str | None = None,
    chat: ChatTemplate | None = None,
) -> Encoded:
    """Encode prompts and targets. A target longer than the limit cannot be learnt whole and is left out.

    A prompt that is still too long is cut in the middle, so that its beginning and the question stay. Where there is a
    template for a ``privileged_prompt``, that is made of the prompt as it was cut and of the target, and not cut again: what
    it is for may stand anywhere in it.
    """
    examples: list[EncodedExample] = []
    cut_count = left_out = spelled = 0
    for index, text in enumerate(texts):
        target = encode_target(tokenizer, text.target, chat)
        if len(target) > output_limit:
            left_out += 1
            continue
        cut, ids = _cut(tokenizer, text, input_limit, chat)
        cut_count += _said(cut) != _said(text)
        spelled += spells_special_token(tokenizer, f"{_said(text)}\n{text.target}")
        privileged = None
        if privileged_prompt is not None:
            with_target = filled(privileged_prompt, cut.prompt, text.target)
            privileged = prompt_ids(tokenizer, with_target, chat, cut.earlier)
        examples.append(EncodedExample(index, ids, target, text.group, privileged=privileged))
    return Encoded(examples, cut_count, left_out, spelled)


def encode_prompts(
    texts: Iterable[Text],
    tokenizer: PreTrainedTokenizerBase,
    input_limit: int,
    chat: ChatTemplate | None = None,
) -> tuple[list[EncodedExample], list[str]]:
    """Encode prompts alone, for generation; the targets are empty. Gives the prompts as they are cut, too.

    With a ``chat`` template these are the conversations as it writes them.
    """
    examples, prompts = [], []
    for index, text in enumerate(texts):
        cut, ids = _cut(tokenizer, text, input_limit, chat)
        examples.append(EncodedExample(index, ids, [], text.group))
        prompts.append(cut.prompt if chat is None else chat.prompt_text(cut.prompt, cut.earlier))
    return examples, prompts


def encode_target(
    tokenizer: PreTrainedTokenizerBase, target: str, chat: ChatTemplate | None = None
) -> list[int]:
    """Encode a target, the tokenizer's end of sequence included, or the ``chat`` template's; it stands nowhere else."""
    if chat is not None:
        return chat.target_ids(target)
    return [*text_ids(tokenizer, target), tokenizer.eos_token_id]


def with_teacher_targets(
    examples: Iterable[EncodedExample], generated: dict[int, list[int]]
) -> list[EncodedExample]:
    """Attach what the teacher generated, by the examples' indices; the rest have none."""
    return [replace(example, teacher_target=generated.get(example.index)) for example in examples]


def decode(tokenizer: PreTrainedTokenizerBase, ids: list[int]) -> str:
    """Turn generated ids into text, without the special tokens; what spells one in ordinary tokens stays."""
    text: str = tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return text.strip()


def _said(text: Text) -> str:
    return _joined(text.prompt, text.earlier)


def _joined(prompt: str, earlier: Turns) -> str:
    """A conversation as plain text: its messages, a blank line between them."""
    return "\n\n".join([*(said for _, said in earlier), prompt])


def _ends(text: str, count: int) -> str:
    """So many characters of both ends of a text together."""
    back = count // 2
    return text[: count - back] + text[len(text) - back :]
