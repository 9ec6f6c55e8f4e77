"""The memory of a run's training stages: what each is estimated to take, and with which settings it would fit."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any, NamedTuple

from transformers import PretrainedConfig

from kdzoo.engine.memory.step import StepBytes
from kdzoo.engine.prompts.batches import EncodedExample
from kdzoo.recipe import Recipe, TrainingStage
from kdzoo.recipe.model_tables import LoraConfig
from kdzoo.recipe.rows_at_a_time import AUTO
from kdzoo.runs.memory.estimate import StageBytes, StageEstimator
from kdzoo.runs.memory.heaviest import heaviest_part
from kdzoo.runs.memory.room import Room

# An adapter as papers use it, where one is only a proposal.
_LORA = LoraConfig(rank=16)


class Saved(NamedTuple):
    """Bytes on disk of a stage's model and of one checkpoint; whether ``several`` checkpoints are written, one after another."""

    model: int
    checkpoint: int
    several: bool


class StageMemory:
    """Estimates what a stage takes on its own examples, and holds it against the ``room`` that there is.

    ``configs`` are those of the models by role; ``examples`` are asked for when they are first needed. ``known`` keeps what
    steps take, for other stages of the run.
    """

    def __init__(
        self,
        recipe: Recipe,
        stage: TrainingStage,
        configs: Mapping[str, PretrainedConfig],
        examples: Callable[[], Sequence[EncodedExample]],
        room: Room,
        known: MutableMapping[Hashable, StepBytes] | None = None,
    ) -> None:
        self.room = room
        self.training = recipe.training_of(stage)
        self._estimator = StageEstimator(recipe, stage, configs, known)
        self._seed = recipe.seed_of_stage(stage)
        self._examples = examples
        self._known: dict[str, StageBytes] = {}

    def estimate(self, table: Mapping[str, Any] | None = None, **settings: Any) -> StageBytes:
        """What the stage takes, with other ``settings`` of its training or of its model's table if any are given."""
        key = repr((sorted((table or {}).items()), sorted(settings.items())))
        if key not in self._known:
            training = self.training.model_copy(update=settings)
            rows = training.part_size
            part = heaviest_part(self._examples(), training, rows, self._seed)
            self._known[key] = self._estimator.estimate(part, training, table or {})
        return self._known[key]

    @property
    def saved(self) -> Saved:
        """What the stage writes."""
        weights, trained = self._estimator.saved
        training = self.training
        last = training.max_steps is not None and training.max_steps <= (
            training.save_steps or training.max_steps
        )
        if training.max_steps is None and training.save_steps is None:
            last = training.epochs <= 1
        return Saved(weights, weights + 2 * trained, several=not last)

    @property
    def surely_fits(self) -> bool:
        """Whether the stage would fit if every row were as long as the limits allow, at many times what a layer needs."""
        return self._estimator.at_the_very_most(self.training) <= self.room.free

    @property
    def is_auto(self) -> bool:
        """Whether the rows that are computed at a time are to be those that fit."""
        return self.training.micro_batch_size == AUTO

    def own(self) -> StageBytes:
        """What the stage takes as the recipe has it; with "auto" as it will be chosen now."""
        if not self.is_auto:
            return self.estimate()
        return self.estimate(micro_batch_size=self.micro_batch_that_fits() or 1)

    def micro_batch_that_fits(self) -> int | None:
        """The most rows that can be computed at a time; None if not even one can."""
        for rows in divisors(self.training.batch_size):
            if self.estimate(micro_batch_size=rows).peak <= self.room.free:
                return rows
        return None

    def that_fit(self) -> Iterator[tuple[str, int]]:
        """Settings with which the stage would fit, as the recipe writes them, and what it then takes."""
        training, table = self.training, self._estimator.table
        rows = self.micro_batch_that_fits()
        if rows is not None and not self.is_auto:
            yield f"micro_batch_size = {rows}", self.estimate(micro_batch_size=rows).peak
        others: list[tuple[str, dict[str, Any], dict[str, Any]]] = []
        if training.sharing != "on":
            others.append(('sharing = "on"', {}, {"sharing": "on"}))
        if not table.gradient_checkpointing:
            others.append(("gradient_checkpointing = true", {"gradient_checkpointing": True}, {}))
        if table.lora is None:
            others.append((f"lora = {{ rank = {_LORA.rank} }}", {"lora": _LORA}, {}))
        for text, of_table, settings in others:
            peak = self.estimate(of_table, **settings).peak
            if peak <= self.room.free:
                yield text, peak


def divisors(number: int) -> list[int]:
    """The numbers that divide it, the greatest first."""
    return [n for n in range(number, 0, -1) if number % n == 0]


def in_gib(size: int) -> str:
    """Bytes as people read them: "4.4 GiB"."""
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 / 10 else f"{size / 2**20:.0f} MiB"


def in_words(memory: StageMemory) -> Iterator[str]:
    """The lines of a dry run on a stage's memory."""
    own = memory.own()
    step = own.step
    activations = step.prompts + step.sequences
    parts = [
        ("weights", own.weights),
        ("gradients", own.gradients),
        ("optimizer", own.optimizer),
        ("average", own.average),
        ("teacher", own.teacher + step.teacher),
        ("activations", activations),
        ("logits", step.losses),
    ]
    shown = ", ".join(f"{what} {in_gib(size)}" for what, size in parts if size)
    rows = ""
    if memory.is_auto:
        rows = f" with micro_batch_size = {memory.micro_batch_that_fits() or 1}"
    yield f"memory about {in_gib(own.peak)}{rows}: {shown}"
    other = "off" if memory.training.sharing != "off" else "on"
    without = memory.estimate(sharing=other)
    if not memory.is_auto and without.step != step:
        took = without.step.prompts + without.step.sequences
        yield f'       with sharing = "{other}" about {in_gib(without.peak)}: activations {in_gib(took)}'
