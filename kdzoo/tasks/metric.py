"""What a metric says of itself, what it is given, and what it gives. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from kdzoo.tasks.example import Example, Splits

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Item = TypeVar("Item")


class Settings(Protocol):
    """The [evaluation] table of a recipe, with everything filled in."""

    @property
    def batch_size(self) -> int: ...
    @property
    def time_limit(self) -> float | None: ...
    @property
    def sql_executor(self) -> str: ...
    @property
    def input_limit(self) -> int: ...
    @property
    def output_limit(self) -> int: ...
    @property
    def samples(self) -> int: ...
    @property
    def temperature(self) -> float: ...
    @property
    def exaccerr_samples(self) -> int: ...
    @property
    def exaccerr_prefix(self) -> Any: ...
    @property
    def exaccerr_average(self) -> Any: ...
    @property
    def exaccerr_first_token(self) -> bool: ...
    @property
    def exaccerr_length(self) -> int | None: ...


class Track(Protocol):
    """Shows the user how far a metric is, while it goes through ``count`` items."""

    def __call__(self, what: str, items: Iterable[Item], count: int) -> Iterator[Item]: ...


@dataclass(frozen=True)
class ComparedModels:
    """A student and the teacher that it is compared with, both in eval mode and without gradients.

    ``prompts`` are the examples' encoded prompts (`kdzoo.engine.prompts.batches.EncodedExample`), ``end_ids`` the tokens
    that end what either model generates, ``seed`` the recipe's, ``chat`` the tokenizer's chat template
    (`kdzoo.engine.prompts.chat.ChatTemplate`) where prompts are written by it.
    """

    student: PreTrainedModel | PeftModel
    teacher: PreTrainedModel | PeftModel
    tokenizer: PreTrainedTokenizerBase
    prompts: Sequence[Any]
    end_ids: tuple[int, ...]
    seed: int
    chat: Any = None


@dataclass(frozen=True)
class Answers:
    """What one model has answered, and what a metric may use to judge it.

    ``predictions`` are its answers to ``examples``, which belong to the evaluation's part of ``splits``. ``say`` is called with a
    line for the user. ``samples`` gives a metric that ``needs_samples`` the sampled answers to each example. ``models`` gives a metric that ``compares_with_teacher`` the models; it is None for others.
    """

    splits: Splits
    examples: Sequence[Example]
    predictions: Sequence[str]
    settings: Settings
    say: Callable[[str], None]
    track: Track
    models: ComparedModels | None = None
    samples: Sequence[Sequence[str]] = ()


@dataclass(frozen=True)
class Measured:
    """What a metric makes of one model's answers.

    ``score`` is a fraction, unless the metric has its own ``text_of``; None if it is undefined. ``lines`` are written
    beside the predictions, one for each or none at all. What a line has under the metric's own name, true, false or a
    number, is the question's score: where the metric's score is their mean, intervals and tests are made from them.
    ``details`` lie behind the score, as JSON has them; a list "curve" in them is drawn over the length of answers from 1 on.
    """

    score: float | None
    lines: Sequence[Mapping[str, Any]] = ()
    details: Mapping[str, Any] | None = None


def _percentage(fraction: float) -> str:
    return f"{100 * fraction:.1f}%"


def _nothing_to_tell(examples: Sequence[Example]) -> Iterable[str]:
    return ()


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One metric, found by its name in the entry-point group ``kdzoo.metrics``.

    ``measure`` judges the answers of one model. A metric that ``compares_with_teacher`` is asked for students only, and a
    recipe that names it needs a [teacher].
    One that ``needs_samples`` is given several sampled answers to each example, beside the greedy one.
    ``settings`` are the keys of [evaluation] that change its scores, beside ``max_examples`` and the limits of prompts
    and answers, which change them all.
    ``datasets`` are those of other packages that it fits; a dataset's own ``metrics`` need not be named.
    ``notices`` gives what is worth telling before a run of how it measures these examples, ``problems`` why it cannot, and
    ``meaningless`` why its scores on them would not be what its name says; what to do is part of each.
    ``heading`` is what a table calls it: its name in capitals, unless given. ``text_of`` writes a score there: as a
    percentage of the fraction that it is, unless given. ``in_average`` says whether it counts in a model's average score,
    as a share of right answers does.
    """

    name: str
    summary: str
    measure: Callable[[Answers], Measured]
    compares_with_teacher: bool = False
    needs_samples: bool = False
    settings: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    notices: Callable[[Sequence[Example]], Iterable[str]] = field(default=_nothing_to_tell)
    problems: Callable[[Sequence[Example]], Iterable[str]] = field(default=_nothing_to_tell)
    meaningless: Callable[[Sequence[Example]], Iterable[str]] = field(default=_nothing_to_tell)
    heading: str = ""
    text_of: Callable[[float], str] = field(default=_percentage)
    in_average: bool = True

    @property
    def judges_one_answer(self) -> bool:
        """Whether it needs no more than one answer of one model to each example."""
        return not self.compares_with_teacher and not self.needs_samples
