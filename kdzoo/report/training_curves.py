"""What was logged while the models of a group were trained: a number over the steps, as the mean over seeds."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from kdzoo.report.groups import ModelGroup
from kdzoo.report.measured import Column, MeasuredModel
from kdzoo.report.run_files import DamagedError, is_number, read_lines

# More points than a picture has room for are put together.
_POINTS = 80


@dataclass(frozen=True)
class OverSteps:
    """A number at each of some steps: its mean over seeds, and the lowest and highest of them."""

    steps: list[float]
    mean: list[float]
    low: list[float]
    high: list[float]


Lines = list[Mapping[str, Any]]


def logged_lines(group: ModelGroup, notes: list[str]) -> list[Lines]:
    """The lines of each of a group's metrics.jsonl; those of models that are being trained too."""
    return [list(_lines(member, notes)) for member in group.members if member.trained is not None]


def number_over_steps(logs: list[Lines], key: str) -> OverSteps | None:
    """A number that lines of steps have, as "loss"; None where none has it."""
    return _over_steps(logs, lambda line: [line.get(key)])


def score_over_steps(logs: list[Lines], column: Column) -> OverSteps | None:
    """The scores of a set by a metric while training; None where it was not scored."""
    return _over_steps(logs, lambda line: [score for found, score in _scores(line) if found == column])


def scored_columns(logs: list[Lines]) -> list[Column]:
    """What was scored while training."""
    return list(dict.fromkeys(column for lines in logs for line in lines for column, _ in _scores(line)))


def _scores(line: Mapping[str, Any]) -> Iterator[tuple[Column, Any]]:
    scores = line.get("scores")
    if isinstance(scores, dict):
        for metric, score in scores.items():
            yield Column(str(line.get("set")), metric), score


def _lines(member: MeasuredModel, notes: list[str]) -> Iterator[dict[str, Any]]:
    assert member.trained is not None
    folder = member.run.folder / member.trained.name if member.training is None else member.training.folder
    file = folder / "metrics.jsonl"
    if not file.is_file():
        return
    try:
        yield from read_lines(file, may_be_growing=member.training is None)
    except DamagedError as error:
        notes.append(f"{error}; curves end there")


def _over_steps(logs: list[Lines], values: Callable[[Mapping[str, Any]], Iterable[Any]]) -> OverSteps | None:
    by_step: dict[int, list[float]] = defaultdict(list)
    for lines in logs:
        for line in lines:
            step = line.get("step")
            if isinstance(step, int):
                by_step[step] += [value for value in values(line) if is_number(value)]
    found = sorted((step, numbers) for step, numbers in by_step.items() if numbers)
    if not found:
        return None
    together = math.ceil(len(found) / _POINTS)
    parts = [found[at : at + together] for at in range(0, len(found), together)]
    return OverSteps(
        [fmean(step for step, _ in part) for part in parts],
        [fmean(fmean(numbers) for _, numbers in part) for part in parts],
        [fmean(min(numbers) for _, numbers in part) for part in parts],
        [fmean(max(numbers) for _, numbers in part) for part in parts],
    )
