"""A whole recipe: data, models, and an ordered list of stages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr, SerializeAsAny

from kdzoo.recipe.lines import Key, Line
from kdzoo.recipe.stages import EvaluateStage, Stage, TrainingStage
from kdzoo.recipe.tables import (
    Evaluation,
    EvaluationTable,
    ModelConfig,
    Role,
    Table,
    TokenizerConfig,
    TrainedTokenizer,
    Training,
)
from kdzoo.tasks import registry
from kdzoo.tasks.dataset import DataConfig, Dataset


def _recipe_name(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9_-]{1,80}", name):
        raise ValueError("must consist of 1 to 80 characters a-z, 0-9, _ and -")
    return name


RecipeName = Annotated[str, AfterValidator(_recipe_name)]


def _as_the_dataset_has_it(table: Any) -> Any:
    """A [data] table as the model of the dataset that it names."""
    if isinstance(table, dict) and isinstance(table.get("kind"), str):
        return registry.datasets.find(table["kind"]).config.model_validate(table)
    return table


Data = Annotated[SerializeAsAny[DataConfig], BeforeValidator(_as_the_dataset_has_it)]


@dataclass(frozen=True)
class Override:
    """A value that counts instead of the recipe's own, as KEY=VALUE.

    ``shown`` is how a message names it, and ``line`` where it stands, unless on the command line. What it says of paths
    is relative to ``folder``.
    """

    text: str
    shown: str
    folder: Path
    line: Line | None = None

    @classmethod
    def of_command_line(cls, text: str) -> Override:
        """An override that ``--set`` gave."""
        return cls(text, f"--set {text}", Path.cwd())


@dataclass(frozen=True)
class Origin:
    """Where a recipe was written: lines by key, and overrides by the key that they set, the latest last.

    ``is_rehearsal`` says that it was shrunk afterwards.
    All origins are equal: recipes that say the same are the same.
    """

    file: Path | None = field(default=None, compare=False)
    lines: Mapping[Key, Line] = field(default_factory=dict, compare=False)
    overrides: dict[Key, Override] = field(default_factory=dict, compare=False)
    is_rehearsal: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class StageModel:
    """A model that a stage loads: the recipe's teacher or student, as a stage left it or, without one, as it is given."""

    role: Role
    trained_by: str | None = None


@dataclass(frozen=True)
class TokenizerSource:
    """Where the tokenizer of all models comes from: a folder or hub name that a table gives, or it is to be trained."""

    table: str
    path: str | None
    revision: str | None = None
    gguf_file: str | None = None
    train: TrainedTokenizer | None = None


class RecipeHead(Table):
    """The keys of a recipe that stand before its tables.

    ``threads`` of the processor compute each stage; unless given, one for a model of less than 100 thousand parameters,
    and for others all cores. As on another machine, the last bits of sums may change with it, and no stage that is
    finished is done again for that.
    """

    name: RecipeName
    seed: int = Field(0, ge=0, lt=2**31)
    student_seed: int | None = Field(
        None,
        ge=0,
        lt=2**31,
        description="the seed of every stage that trains the student, and of the random weights of a student from scratch "
        "(default: seed): several students of one teacher, which keeps seed",
    )
    threads: int | None = Field(None, ge=1, le=1024)


class Recipe(RecipeHead):
    """One recipe: data, models, and an ordered list of stages."""

    data: Data
    tokenizer: TokenizerConfig | None = None
    teacher: ModelConfig | None = None
    student: ModelConfig
    training: Training = Training()
    evaluation: EvaluationTable = EvaluationTable()
    stages: tuple[Stage, ...] = Field(alias="stage", min_length=1)
    _origin: Origin = PrivateAttr(default_factory=Origin)

    @property
    def origin(self) -> Origin:
        """The file and lines that the recipe was read from."""
        return self._origin

    def with_origin(self, origin: Origin) -> Recipe:
        """The same recipe, with a note of where it was written."""
        noted = self.model_copy()
        noted._origin = origin
        return noted

    @property
    def is_rehearsal(self) -> bool:
        """Whether its models are tiny and its steps few, so that its scores say nothing."""
        return self._origin.is_rehearsal

    @property
    def tokenizer_source(self) -> TokenizerSource:
        """Where all models' tokenizer comes from: [tokenizer], else the student's own."""
        if self.tokenizer is None:  # no model is from scratch then
            student = self.student
            return TokenizerSource("student", student.path, student.revision, student.gguf_file)
        return TokenizerSource("tokenizer", self.tokenizer.path, train=self.tokenizer.train)

    def seed_of(self, role: Role) -> int:
        """The seed of all that trains a model, and of its random weights if it is from scratch."""
        return self.seed if role == "teacher" or self.student_seed is None else self.student_seed

    def training_of(self, stage: TrainingStage) -> Training:
        """The stage's training settings: the recipe's, with the stage's own over them."""
        return Training(**{**self.training.model_dump(), **stage.training})

    def evaluation_of(self, stage: EvaluateStage) -> Evaluation:
        """The stage's evaluation settings: the recipe's, with the stage's own over them."""
        merged = EvaluationTable(**{**self.evaluation.model_dump(), **stage.evaluation})
        return Evaluation(
            **{
                **merged.model_dump(),
                "metrics": merged.metrics or self.dataset.usual_metrics,
                "input_limit": merged.input_limit or self.training.input_limit,
                "output_limit": merged.output_limit or self.training.output_limit,
            }
        )

    @property
    def dataset(self) -> Dataset[Any]:
        """The dataset that [data] names."""
        return registry.datasets.find(self.data.kind)

    def compares_with_teacher(self, stage: EvaluateStage) -> bool:
        """Whether a metric of the stage compares the students with the teacher."""
        metrics = self.evaluation_of(stage).metrics
        return any(registry.metrics.find(name).compares_with_teacher for name in metrics)

    def settings_of(self, stage: Stage) -> Training | Evaluation:
        """The settings that count for the stage, of what it does."""
        return self.evaluation_of(stage) if stage.role is None else self.training_of(stage)

    def model(self, role: Role) -> ModelConfig | None:
        """The table of a role."""
        return self.teacher if role == "teacher" else self.student

    def models_of(self, stage: EvaluateStage) -> tuple[str, ...]:
        """The models that a stage evaluates: those it names, or all that were trained before it."""
        if stage.models:
            return stage.models
        names = [s.result_name for s in self._before(stage) if s.role is not None]
        return tuple(dict.fromkeys(names))

    def models_used(self, stage: Stage) -> dict[str, StageModel]:
        """The models that a stage loads: those that it evaluates by name, or by role what it trains and learns from."""
        if stage.role is None:
            compared = ("teacher",) if self.compares_with_teacher(stage) else ()
            return {name: self._evaluated(name, stage) for name in (*self.models_of(stage), *compared)}
        used: dict[str, StageModel] = {stage.role: StageModel(stage.role, stage.student_from)}
        if stage.uses_teacher:
            used["teacher"] = StageModel("teacher", self.teacher_stage_of(stage))
        return used

    def training_stage(self, model: str, before: Stage | None = None) -> TrainingStage | None:
        """The last stage that trained a model, among all stages or those before one.

        ``model`` is a stage's name, or ``teacher`` / ``student`` for what a finetune stage made of them.
        """
        for stage in reversed(self._before(before)):
            if stage.role is not None and model in (stage.name, stage.result_name):
                return stage
        return None

    def teacher_stage_of(self, stage: TrainingStage) -> str | None:
        """The stage whose model teaches: the one named, else the last finetune of the teacher before it."""
        if stage.teacher_from is not None:
            return stage.teacher_from
        trained = self.training_stage("teacher", before=stage)
        return None if trained is None else trained.name

    def _evaluated(self, name: str, stage: EvaluateStage) -> StageModel:
        trained = self.training_stage(name, before=stage)
        if trained is not None:
            return StageModel(trained.role, trained.name)
        return StageModel("teacher" if name == "teacher" else "student")

    def _before(self, stage: Stage | None) -> tuple[Stage, ...]:
        if stage is None:
            return self.stages
        names = [s.name for s in self.stages]
        return self.stages[: names.index(stage.name)]
