"""What every dataset gives: examples with a prompt and a target."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Example:
    """One prompt x and its ground-truth target y, with what evaluation and batching need to know.

    ``group`` names what the example shares its prompt's beginning with (the database), ``database`` is the
    SQLite file that a SQL target runs on, ``test_suite`` the folder of its test suite's databases (None: they lie beside
    it). ``difficulty`` is the dataset's own label, where it has one.
    ``shorten`` gives a shorter prompt: it takes a test that says whether a text fits, and whether the example
    is trained on. ``earlier`` is what was said before the prompt: role ("system", "user" or "assistant") and text of each
    message, in their order.
    """

    id: str
    prompt: str
    target: str
    question: str = ""
    group: str | None = None
    database: Path | None = None
    difficulty: str | None = None
    shorten: Callable[[Callable[[str], bool], bool], str] | None = None
    test_suite: Path | None = None
    earlier: tuple[tuple[str, str], ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        """All that is said: what came before the prompt, the prompt, and the target."""
        return (*(text for _, text in self.earlier), self.prompt, self.target)


@dataclass(frozen=True)
class Splits:
    """The examples to train on and the ones to evaluate on.

    ``sql_rule`` says for examples of SQL by whose definition two results are equal.
    ``report`` holds counts worth telling the user, such as skipped entries.
    """

    train: list[Example]
    evaluation: list[Example]
    sql_rule: Literal["spider", "bird"] | None = None
    report: dict[str, int] = field(default_factory=dict)
