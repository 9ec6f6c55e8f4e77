"""A metric under check, with answers to judge."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from kdzoo.recipe import Evaluation
from kdzoo.tasks.example import Example, Splits
from kdzoo.tasks.metric import Answers, ComparedModels, Metric

_Item = TypeVar("_Item")

_MOST_EXAMPLES = 24
_ODD = "\u202eødd \x00 'text'\n\twith \U0001f600"

_WORDS = ("a", "to be", "see", "Ünïcödé", "SELECT 1", "two\nlines", "x" * 300)
MADE_UP = Splits(
    [], [Example(f"made-up-{n}", f"say {word}", word, question=word) for n, word in enumerate(_WORDS)]
)
"""Examples of text alone: none has a group, a database or a difficulty."""


@dataclass(frozen=True)
class MetricCase:
    """The metric under check with the data that are answered; ``models`` where it compares any."""

    metric: Metric
    splits: Splits
    models: ComparedModels | None = None

    @property
    def name(self) -> str:
        return self.metric.name

    @property
    def examples(self) -> tuple[Example, ...]:
        """What is answered: the first examples to evaluate on, as many as the models have prompts where there are any."""
        count = _MOST_EXAMPLES if self.models is None else len(self.models.prompts)
        return tuple(self.splits.evaluation[:count])

    @property
    def predictions(self) -> tuple[str, ...]:
        """Answers that are right, those to other questions, right ones with more behind them, empty ones, and odd ones."""
        targets = [example.target for example in self.examples]
        return tuple(
            (target, targets[n - 1], f"{target} and more", "", _ODD)[n % 5]
            for n, target in enumerate(targets)
        )

    @cached_property
    def measured(self) -> Any:
        """What it makes of the answers; it is not looked at."""
        return self.measure()

    @property
    def writes_fractions(self) -> bool:
        """Whether its scores are fractions, which tables write as percentages."""
        return self.metric.text_of is Metric.__dataclass_fields__["text_of"].default

    def measure(self, *, backwards: bool = False) -> Any:
        """Call ``measure`` as the core does."""
        examples, predictions = self.examples, self.predictions
        models = self.models
        answers = Answers(
            self.splits,
            examples[::-1] if backwards else examples,
            predictions[::-1] if backwards else predictions,
            Evaluation(input_limit=1024, output_limit=128),
            say=_nothing,
            track=_untracked,
            models=models if self.metric.compares_with_teacher else None,
            samples=[[one, one, _ODD] for one in (predictions[::-1] if backwards else predictions)],
        )
        return self.metric.measure(answers)


def _nothing(line: str) -> None:
    """Nobody listens."""


def _untracked(what: str, items: Iterable[_Item], count: int) -> Iterator[_Item]:
    return iter(items)
