"""A training that has become much slower because others use the processor is noticed, once."""

from __future__ import annotations

import pytest

from kdzoo.runs.training.pace import Collapse, Pace


def told(stretches: list[tuple[float, float, float]]) -> list[Collapse]:
    """What is said of stretches, each of (seconds, tokens/s, processor seconds per second), watched every second."""
    pace = Pace()
    found = []
    tokens = now = processor = 0.0
    pace.seen(tokens, now, processor)
    for seconds, speed, share in stretches:
        for _ in range(int(seconds)):
            tokens, now, processor = tokens + speed, now + 1, processor + share
            collapse = pace.seen(tokens, now, processor)
            found += [] if collapse is None else [collapse]
    return found


def test_a_collapse_is_told_with_both_speeds() -> None:
    assert told([(40, 9000, 1.9), (10, 970, 0.9)]) == [Collapse(970, 9000)]


def test_it_is_told_once() -> None:
    assert len(told([(40, 9000, 1.9), (60, 970, 0.9), (60, 9000, 1.9), (60, 970, 0.9)])) == 1


@pytest.mark.parametrize(
    "stretches",
    [
        [(90, 9000, 1.9)],
        [(40, 9000, 1.9), (40, 5000, 1.2)],  # slower, as it is with a neighbour
        [(40, 9000, 1.9), (40, 970, 1.9)],  # a method that now generates: its own work
        [(40, 9000, 1.9), (3, 0, 0.1), (40, 9000, 1.9)],  # a checkpoint is written
        [(20, 9000, 1.9), (10, 970, 0.9)],  # too early to know what is usual
    ],
    ids=["steady", "a little slower", "longer steps", "a pause", "a short start"],
)
def test_nothing_else_is(stretches: list[tuple[float, float, float]]) -> None:
    assert told(stretches) == []
