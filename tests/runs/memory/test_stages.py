"""The memory of a stage, held against the memory that there is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kdzoo.engine.memory.step import StepBytes
from kdzoo.engine.prompts.batches import EncodedExample
from kdzoo.runs.memory import stages
from kdzoo.runs.memory.estimate import StageBytes
from kdzoo.runs.memory.room import Room
from kdzoo.runs.memory.stages import StageMemory, divisors, in_gib, in_words

MIB = 1 << 20
STAGE = StageBytes(
    weights=100 * MIB,
    gradients=100 * MIB,
    optimizer=200 * MIB,
    average=0,
    teacher=0,
    step=StepBytes(0, 0, 0, 0, 0),
    in_parts=False,
)


class Estimator:
    """In place of trials: 10 MiB a row that is computed at a time, 1 MiB with checkpoints."""

    table: Any = None

    def __init__(self, recipe: Any, stage: Any, configs: Any, known: Any) -> None:
        from kdzoo.recipe import ModelConfig

        self.table = ModelConfig(path="x")

    def estimate(self, part: list[Any], training: Any, changed: dict[str, Any]) -> StageBytes:
        each = 1 if changed.get("gradient_checkpointing") else 10
        kept = StepBytes(len(part) * each * MIB, 0, 0, 0, 0)
        return replace(STAGE, step=kept, in_parts=len(part) < training.batch_size)


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(stages, "StageEstimator", Estimator)

    class Stage:
        role = "student"

    class Recipe:
        def __init__(self, **settings: Any) -> None:
            self.settings = settings

        def training_of(self, stage: Any) -> Any:
            from kdzoo.recipe import Training

            return Training(batch_size=12, sharing="on", **self.settings)

        def seed_of_stage(self, stage: Any) -> int:
            return 0

    def make(free: int, **settings: Any) -> StageMemory:
        rows = [EncodedExample(i, [3, 4], [2]) for i in range(24)]
        recipe: Any = Recipe(**settings)
        stage: Any = Stage()
        return StageMemory(recipe, stage, {}, lambda: rows, Room(free * MIB, 0, "the test"))

    return make


@pytest.mark.parametrize(
    ("free", "rows"),
    # lasting 300, gradients of the parts before 100
    [(420, 12), (419, 1), (460, 12), (410, 1), (400, None)],
)
def test_the_most_rows_that_fit_are_found(memory: Any, free: int, rows: int | None) -> None:
    assert memory(free).micro_batch_that_fits() == rows


def test_settings_that_fit_are_named_with_what_they_take(memory: Any) -> None:
    found = dict(memory(411).that_fit())
    assert found["micro_batch_size = 1"] == 410 * MIB
    assert found["gradient_checkpointing = true"] == 400 * MIB


def test_auto_is_what_would_be_chosen(memory: Any) -> None:
    own = memory(415, micro_batch_size="auto")
    assert own.is_auto
    assert own.own().peak == 410 * MIB
    assert next(in_words(own)).startswith("memory about 0.4 GiB with micro_batch_size = 1: weights")


@pytest.mark.parametrize(
    ("steps", "save_steps", "several"), [(10, 50, False), (100, 50, True), (10, None, False)]
)
def test_two_checkpoints_lie_side_by_side_where_there_are_several(
    memory: Any, monkeypatch: pytest.MonkeyPatch, steps: int, save_steps: int | None, several: bool
) -> None:
    monkeypatch.setattr(Estimator, "saved", (7, 5), raising=False)
    saved = memory(1, max_steps=steps, save_steps=save_steps).saved
    assert saved == (7, 17, several)


def test_divisors_and_sizes_in_words() -> None:
    assert divisors(12) == [12, 6, 4, 3, 2, 1]
    assert (in_gib(3 << 29), in_gib(5 * MIB)) == ("1.5 GiB", "5 MiB")
