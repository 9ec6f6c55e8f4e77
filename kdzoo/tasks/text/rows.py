"""Rows of the field's usual forms: conversations, prompts with what follows them, and texts that hold both."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from kdzoo.errors import UserError
from kdzoo.tasks.dataset import OnError
from kdzoo.tasks.entries import is_unicode

_ROLES = ("system", "user", "assistant")
_ROWS_SHOWN = 3

NO_TARGET = "an empty target"
NO_PROMPT = "an empty prompt"
OTHER_FORM = "another form"
HALF = "half a character (a lone surrogate)"
NO_ANSWER = "no answer of the assistant at the end"


@dataclass(frozen=True)
class Turn:
    """A prompt, what follows it, and what was said before: role and text of each message."""

    prompt: str
    target: str
    earlier: tuple[tuple[str, str], ...] = ()


@dataclass
class WrongRows:
    """The rows of a split that cannot be used, by reason."""

    where: str
    on_error: OnError
    rows: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))

    def note(self, row: int, reason: str) -> None:
        """Remember a row, by its number from 0."""
        self.rows[reason].append(row)

    def finish(self) -> dict[str, int]:
        """Give how many rows were left out, by reason.

        Raises:
            UserError: there are some, and they must not be skipped.
        """
        if self.rows and self.on_error == "raise":
            told = "; ".join(
                f"{len(rows)} with {reason} ({_shown(rows)})" for reason, rows in self.rows.items()
            )
            raise UserError(
                f'{self.where}: rows that cannot be used: {told}; on_error = "skip" leaves them out'
            )
        return {f"rows left out: {reason}": len(rows) for reason, rows in self.rows.items()}


def conversation_of(messages: Any, *, all_turns: bool) -> list[Turn] | str:
    """The assistant's last turn in a conversation, or all that answer a user; or why it cannot be used.

    ``messages`` are a list of tables with role (system, user, assistant) and content.
    """
    said = _messages(messages)
    if said is None:
        return OTHER_FORM
    answers = [place for place in range(1, len(said)) if _is_answered(said, place)]
    if not said or said[-1][0] != "assistant" or not answers or answers[-1] != len(said) - 1:
        return NO_ANSWER
    turns = []
    for place in answers if all_turns else answers[-1:]:
        turn = Turn(said[place - 1][1], said[place][1], tuple(said[: place - 1]))
        reason = _why_not(turn)
        if reason is not None:
            return reason
        turns.append(turn)
    return turns


def pair_of(prompt: Any, completion: Any) -> list[Turn] | str:
    """A prompt and what follows it, as two texts or as two lists of messages; or why it cannot be used."""
    if isinstance(prompt, Sequence) and not isinstance(prompt, str):
        if isinstance(completion, str):
            completion = [{"role": "assistant", "content": completion}]
        if not isinstance(completion, Sequence) or len(completion) != 1:
            return OTHER_FORM
        return conversation_of([*prompt, *completion], all_turns=False)
    if prompt is None or completion is None:
        return NO_PROMPT if prompt is None else NO_TARGET
    if not isinstance(prompt, str) or not isinstance(completion, str):
        return OTHER_FORM
    return _checked(Turn(prompt, completion))


def split_text(text: Any, separator: str) -> list[Turn] | str:
    """A text cut after its last separator, which ends the prompt; or why it cannot be used."""
    if not isinstance(text, str):
        return OTHER_FORM
    before, found, after = text.rpartition(separator)
    if not found:
        return "no separator"
    return NO_PROMPT if not before.strip() else _checked(Turn(before + found, after))


def _messages(messages: Any) -> list[tuple[str, str]] | None:
    if not isinstance(messages, Sequence) or isinstance(messages, str):
        return None
    said = []
    for message in messages:
        if not isinstance(message, dict):
            return None
        role, content = message.get("role"), message.get("content")
        if role not in _ROLES or not isinstance(content, str):
            return None
        said.append((str(role), content))
    return said


def _is_answered(said: Sequence[tuple[str, str]], place: int) -> bool:
    return said[place][0] == "assistant" and said[place - 1][0] == "user"


def _checked(turn: Turn) -> list[Turn] | str:
    return _why_not(turn) or [turn]


def _why_not(turn: Turn) -> str | None:
    """Why a turn cannot be used, if it cannot."""
    if not turn.target.strip():
        return NO_TARGET
    if not turn.prompt.strip():
        return NO_PROMPT
    texts = (turn.prompt, turn.target, *(text for _, text in turn.earlier))
    return None if all(map(is_unicode, texts)) else HALF


def _shown(rows: Sequence[int]) -> str:
    """The numbers of the first of some rows."""
    word = "row" if len(rows) == 1 else "rows"
    more = ", ..." if len(rows) > _ROWS_SHOWN else ""
    return f"{word} {', '.join(map(str, rows[:_ROWS_SHOWN]))}{more}"
