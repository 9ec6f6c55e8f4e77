"""A tokenizer's chat template: conversations as the model was trained to read them, and what of an answer is learnt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from jinja2.exceptions import TemplateError
from transformers import PreTrainedTokenizerBase

from kdzoo.engine.models.plain_text import text_ids
from kdzoo.errors import UserError

Turns = Sequence[tuple[str, str]]
"""What was said before a prompt: role ("system", "user" or "assistant") and text of each message."""

# Stands for an answer where only what the template puts around one is of interest.
_ANSWER = "answer0"
# Templates that name the day would make other prompts tomorrow; this is what Llama 3's say where they know of none.
TEMPLATE_SETTINGS = {"enable_thinking": False, "date_string": "26 Jul 2024"}

_Call = Literal["asks", "has answered"]


class ChatTemplate:
    """Encodes conversations by the tokenizer's own template, its reasoning switched off where it knows how.

    What spells a special token in a message is text; those that the template writes are tokens. No other beginning of
    sequence is put before a conversation than the template's. ``end`` is the token that ends an answer.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, system: str | None = None) -> None:
        """Take the tokenizer's template; ``system`` begins the conversations that have no system message of their own.

        Raises:
            UserError: the tokenizer has no chat template, or one that refuses a question and an answer.
        """
        if not tokenizer.chat_template:
            raise UserError(
                'the tokenizer has no chat template; template = "plain" gives prompts as they are, and [tokenizer] path '
                "may name a folder or hub name whose tokenizer has one"
            )
        self._tokenizer = tokenizer
        self._system = system
        self._asked = self._messages([], "x")
        self._before = self._ids(self._asked, "asks")
        self._before_text = self._text(self._asked, "asks")
        whole = self._text([*self._asked, _said("assistant", _ANSWER)], "has answered")
        if _ANSWER not in whole:
            raise UserError("the tokenizer's chat template leaves out what the assistant says")
        self._after = whole.rpartition(_ANSWER)[2]
        end = _first_added(tokenizer, self._after.lstrip())
        self._writes_end = end is not None
        self._end_name: str = tokenizer.eos_token if end is None else end
        self.end: int = tokenizer.convert_tokens_to_ids(self._end_name)

    @property
    def bytes_added(self) -> int:
        """The most tokens that the template adds to a single message: each stands for one byte at least."""
        return len(self._before_text.encode())

    def prompt_ids(self, prompt: str, earlier: Turns = ()) -> list[int]:
        """Token ids of a conversation that ends with a prompt, up to where the assistant's answer begins.

        Raises:
            UserError: the template refuses the conversation.
        """
        return self._ids(self._messages(earlier, prompt), "asks")

    def prompt_text(self, prompt: str, earlier: Turns = ()) -> str:
        """The same as the template writes it.

        Raises:
            UserError: the template refuses the conversation.
        """
        return self._text(self._messages(earlier, prompt), "asks")

    def target_ids(self, target: str) -> list[int]:
        """Token ids of an answer as they follow those of a prompt: what the template makes of it, through its end.

        Raises:
            UserError: the template refuses the answer.
        """
        conversation = [*self._asked, _said("assistant", target)]
        with _only_special_tokens_are_guarded(self._tokenizer):
            whole = self._ids(conversation, "has answered")
        start = len(self._before)
        if self._writes_end and whole[:start] == self._before and self.end in whole[start:]:
            return whole[start : len(whole) - whole[::-1].index(self.end)]
        # tokens that go across the beginning of the answer, or a template that writes it otherwise than it asks for it
        return [*text_ids(self._tokenizer, self._answer(conversation, target)), self.end]

    def _answer(self, conversation: list[dict[str, str]], target: str) -> str:
        whole = self._text(conversation, "has answered")
        if not whole.startswith(self._before_text):
            return target.strip() if target not in whole else target
        answer = whole[len(self._before_text) :]
        return answer.rpartition(self._end_name)[0] if self._writes_end else answer.removesuffix(self._after)

    def _messages(self, earlier: Turns, prompt: str) -> list[dict[str, str]]:
        messages = [_said(role, text) for role, text in earlier]
        if self._system is not None and not any(message["role"] == "system" for message in messages):
            messages.insert(0, _said("system", self._system))
        return [*messages, _said("user", prompt)]

    def _text(self, messages: list[dict[str, str]], call: _Call) -> str:
        text: str = self._applied(messages, call, tokenize=False)
        return text

    def _ids(self, messages: list[dict[str, str]], call: _Call) -> list[int]:
        ids: list[int] = self._applied(
            messages, call, tokenize=True, return_dict=False, sanitize_control_tokens=True
        )
        return ids

    def _applied(self, messages: list[dict[str, str]], call: _Call, **how: Any) -> Any:
        try:
            return self._tokenizer.apply_chat_template(
                messages, add_generation_prompt=call == "asks", **how, **TEMPLATE_SETTINGS
            )
        except (TemplateError, ValueError, TypeError, NotImplementedError) as error:
            roles = ", ".join(message["role"] for message in messages)
            reason = " ".join(str(error).split())
            raise UserError(
                f"the tokenizer's chat template cannot be used for these messages ({roles}): {reason}"
            ) from error


def _said(role: str, text: str) -> dict[str, str]:
    return {"role": role, "content": text}


def _first_added(tokenizer: PreTrainedTokenizerBase, text: str) -> str | None:
    """The added token that a text begins with, the longest of several."""
    names = (str(token) for token in tokenizer.added_tokens_decoder.values())
    return max((name for name in names if text.startswith(name)), key=len, default=None)


@contextmanager
def _only_special_tokens_are_guarded(tokenizer: PreTrainedTokenizerBase) -> Iterator[None]:
    """An answer may well call a tool: other added tokens in it are words of the vocabulary."""
    usual = tokenizer.chat_control_tokens
    tokenizer.chat_control_tokens = []
    try:
        yield
    finally:
        tokenizer.chat_control_tokens = usual
