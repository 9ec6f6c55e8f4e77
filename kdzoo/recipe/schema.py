"""A whole recipe: data, models, and an ordered list of stages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PrivateAttr, SerializeAsAny

from kdzoo.methods.model_names import STUDENT, TEACHER
from kdzoo.recipe.head import RecipeHead
from kdzoo.recipe.model_tables import ModelConfig, TokenizerConfig, TrainedTokenizer
from kdzoo.recipe.names import Name
from kdzoo.recipe.origin import Origin
from kdzoo.recipe.prompt_table import PromptConfig
from kdzoo.recipe.sets import EvaluationSet, ScoredSet, dataset_of, fitting, part_of, set_name_of
from kdzoo.recipe.stages import EvaluateStage, Stage, TrainingStage
from kdzoo.recipe.tables import Evaluation, EvaluationTable, Role, Training
from kdzoo.tasks import registry
from kdzoo.tasks.dataset import DataConfig


def _as_the_dataset_has_it(table: Any) -> Any:
    """A [data] table as the model of the dataset that it names."""
    if isinstance(table, dict) and isinstance(table.get("kind"), str):
        return registry.datasets.find(table["kind"]).config.model_validate(table)
    return table


Data = Annotated[SerializeAsAny[DataConfig], BeforeValidator(_as_the_dataset_has_it)]


@dataclass(frozen=True)
class StageModel:
    """A model that a stage loads: one of the recipe's, as a stage left it or, without one, as it is given.

    ``begins_as`` is the model that the stage trained, where the student is to begin as what became of another one. ``seed``
    is that of the stage that trains the model, where it has one of its own.
    """

    role: Role
    trained_by: str | None = None
    begins_as: Role | None = None
    seed: int | None = None


@dataclass(frozen=True)
class TokenizerSource:
    """Where the tokenizer of all models comes from: a folder or hub name that a table gives, or it is to be trained."""

    table: str
    path: str | None
    revision: str | None = None
    gguf_file: str | None = None
    trust_remote_code: bool = False
    train: TrainedTokenizer | None = None


class Recipe(RecipeHead):
    """One recipe: data, models, and an ordered list of stages."""

    data: Data
    datasets: dict[Name, Data] = Field(
        default_factory=dict, description="further datasets by name, with the keys of [data]"
    )
    evaluation_sets: dict[Name, EvaluationSet] = Field(
        default_factory=dict,
        description="what is evaluated on, by name; default: the evaluation part of [data], by its kind",
    )
    tokenizer: TokenizerConfig | None = None
    teacher: ModelConfig | None = None
    teachers: dict[Name, ModelConfig] = Field(
        default_factory=dict,
        description="further teachers by name, with the keys of [teacher], for methods whose options name them",
    )
    student: ModelConfig
    prompt: PromptConfig = PromptConfig()
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
        return self._origin.rehearses is not None

    @property
    def tokenizer_source(self) -> TokenizerSource:
        """Where all models' tokenizer comes from: [tokenizer], else the student's own."""
        if self.tokenizer is None:  # no model is from scratch then
            student = self.student
            return TokenizerSource(
                "student", student.path, student.revision, student.gguf_file, student.trust_remote_code
            )
        named = self.tokenizer
        return TokenizerSource(
            "tokenizer", named.path, trust_remote_code=named.trust_remote_code, train=named.train
        )

    def seed_of(self, role: Role, own: int | None = None) -> int:
        """The seed of a model's random weights, if it is from scratch, and of all that trains it without one of its ``own``."""
        if own is not None:
            return own
        return self.student_seed if role == STUDENT and self.student_seed is not None else self.seed

    def seed_of_stage(self, stage: TrainingStage) -> int:
        """The seed of all random choices of a stage: its own, or that of the model that it trains."""
        return self.seed_of(stage.role, stage.seed)

    def training_of(self, stage: TrainingStage) -> Training:
        """The stage's training settings: the recipe's, with the stage's own over them."""
        return Training(**{**self.training.model_dump(), **stage.training})

    def evaluation_of(self, stage: EvaluateStage) -> Evaluation:
        """The stage's evaluation settings: the recipe's, with the stage's own over them. Metrics are those of any set."""
        metrics = dict.fromkeys(name for scored in self.sets_of(stage) for name in scored.evaluation.metrics)
        return self._filled(self._given_to(stage), tuple(metrics))

    def named_data(self, name: str | None) -> DataConfig:
        """The table of a dataset: that of [datasets] by its name, or [data]."""
        return self.data if name is None else self.datasets[name]

    def training_data_of(self, stage: TrainingStage) -> DataConfig:
        """The table that a stage trains on, without what only evaluation needs."""
        data = part_of(self.named_data(stage.data), "train")
        assert data is not None  # told when the recipe was read
        return data

    @property
    def training_data(self) -> list[DataConfig]:
        """The tables that any stage trains on, in the stages' order, each once."""
        found: list[DataConfig] = []
        for stage in self.stages:
            if stage.role is not None and (data := self.training_data_of(stage)) not in found:
                found.append(data)
        return found

    @property
    def set_names(self) -> tuple[str, ...]:
        """The names of all evaluation sets."""
        return tuple(self.evaluation_sets) or (set_name_of(self.data),)

    def set_data(self, name: str) -> DataConfig:
        """The whole table of an evaluation set: its dataset's, with its own keys over it."""
        described = self.evaluation_sets.get(name, EvaluationSet())
        return described.over(self.named_data(described.data))

    def sets_of(self, stage: EvaluateStage | None = None) -> tuple[ScoredSet, ...]:
        """The evaluation sets that a stage scores, or all, as they are without a stage's own settings."""
        names = self.set_names if stage is None else stage.sets or self.set_names
        return tuple(self.scored_set(name, stage) for name in dict.fromkeys(names))

    def scored_set(self, name: str, stage: EvaluateStage | None = None) -> ScoredSet:
        """An evaluation set: what a stage says of all its sets counts first, then what the set says, then [evaluation]."""
        described = self.evaluation_sets.get(name, EvaluationSet())
        data = part_of(self.set_data(name), "evaluation")
        assert data is not None  # told when the recipe was read
        own = {} if stage is None else stage.evaluation
        given = self._given_to(stage)
        metrics = (
            fitting(own.get("metrics", ()), data)
            or fitting(described.metrics, data)
            or fitting(self.evaluation.metrics, data)
            or dataset_of(data).usual_metrics
        )
        most = own.get("max_examples") or described.max_examples or self.evaluation.max_examples
        return ScoredSet(name, data, self._filled(given.model_copy(update={"max_examples": most}), metrics))

    def _given_to(self, stage: EvaluateStage | None) -> EvaluationTable:
        own = {} if stage is None else stage.evaluation
        return EvaluationTable(**{**self.evaluation.model_dump(), **own})

    def _filled(self, given: EvaluationTable, metrics: tuple[str, ...]) -> Evaluation:
        return Evaluation(
            **{
                **given.model_dump(),
                "metrics": metrics,
                "input_limit": given.input_limit or self.training.input_limit,
                "output_limit": given.output_limit or self.training.output_limit,
                "extract": given.extract or ("auto" if self.prompt.template == "chat" else "none"),
            }
        )

    def compares_with_teacher(self, stage: EvaluateStage) -> bool:
        """Whether a metric of the stage compares the students with the teacher."""
        metrics = self.evaluation_of(stage).metrics
        return any(registry.metrics.find(name).compares_with_teacher for name in metrics)

    def settings_of(self, stage: Stage) -> Training | Evaluation:
        """The settings that count for the stage, of what it does."""
        return self.evaluation_of(stage) if stage.role is None else self.training_of(stage)

    def model(self, role: Role) -> ModelConfig | None:
        """The table of a role; None if there is none."""
        return self.models.get(role)

    @property
    def models(self) -> dict[Role, ModelConfig]:
        """The tables of all models: the teacher's, if there is one, further teachers', and the student's."""
        teacher = {} if self.teacher is None else {TEACHER: self.teacher}
        return {**teacher, **self.teachers, STUDENT: self.student}

    def models_of(self, stage: EvaluateStage) -> tuple[str, ...]:
        """The models that a stage evaluates: those it names, or all that were trained before it, each once."""
        trained = (s.result_name for s in self._before(stage) if s.role is not None)
        return tuple(dict.fromkeys(stage.models or trained))

    def models_used(self, stage: Stage) -> dict[str, StageModel]:
        """The models that a stage loads: those that it evaluates by name, or by role what it trains and learns from."""
        if stage.role is None:
            compared = ("teacher",) if self.compares_with_teacher(stage) else ()
            return {name: self._evaluated(name, stage) for name in (*self.models_of(stage), *compared)}
        used: dict[str, StageModel] = {stage.role: self._beginning(stage)}
        for name in stage.teachers:
            used[name] = StageModel(name, self.teacher_stage_of(stage, name))
        return used

    def training_stage(self, model: str, before: Stage | None = None) -> TrainingStage | None:
        """The last stage that trained a model, among all stages or those before one.

        ``model`` is a stage's name, or a model's for what a finetune stage made of it.
        """
        for stage in reversed(self._before(before)):
            if stage.role is not None and model in (stage.name, stage.result_name):
                return stage
        return None

    def teacher_stage_of(self, stage: TrainingStage, name: str = TEACHER) -> str | None:
        """The stage whose model teaches: the one named, else the last finetune of the teacher of that name before it."""
        if name == TEACHER and stage.teacher_from is not None:
            return stage.teacher_from
        trained = self.training_stage(name, before=stage)
        return None if trained is None else trained.name

    def may_begin_as(self, role: Role) -> bool:
        """Whether the student may go on learning as what a stage has made of that model."""
        other = self.model(role)
        return role == STUDENT or (other is not None and self.student.begins_as(other))

    def _beginning(self, stage: TrainingStage) -> StageModel:
        """The model that a stage trains, as it is before."""
        begun = None if stage.student_from is None else self.training_stage(stage.student_from, before=stage)
        if begun is None:
            return StageModel(stage.role, seed=stage.seed)
        begins_as = None if begun.role == stage.role else begun.role
        return StageModel(stage.role, begun.name, begins_as, stage.seed)

    def _evaluated(self, name: str, stage: EvaluateStage) -> StageModel:
        trained = self.training_stage(name, before=stage)
        if trained is not None:
            return StageModel(trained.role, trained.name)
        return StageModel(name if name in self.models else STUDENT)

    def _before(self, stage: Stage | None) -> tuple[Stage, ...]:
        if stage is None:
            return self.stages
        names = [s.name for s in self.stages]
        return self.stages[: names.index(stage.name)]
