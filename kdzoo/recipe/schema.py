"""What may stand in a recipe: its tables, their keys, types and ranges."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, model_validator
from pydantic_core import PydanticCustomError

from kdzoo import registry
from kdzoo.data.config import DataConfig
from kdzoo.errors import UserError
from kdzoo.method import Options
from kdzoo.recipe.lines import Key

Metric = Literal["ex", "ts", "exact_match", "rouge_l", "exaccerr"]


def _recipe_name(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9_-]{1,80}", name):
        raise ValueError("must consist of 1 to 80 characters a-z, 0-9, _ and -")
    return name


def _stage_name(name: str) -> str:
    # no dot: it separates the keys of an override; no leading dash: the name becomes a folder's
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,79}", name):
        raise ValueError("must consist of 1 to 80 letters, digits, _ and -, and not begin with -")
    return name


RecipeName = Annotated[str, AfterValidator(_recipe_name)]
StageName = Annotated[str, AfterValidator(_stage_name)]
Location = Annotated[str, Field(min_length=1)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _conflict(message: str, *keys: str) -> PydanticCustomError:
    """An error of several keys together; the message of the recipe then points at the first of them."""
    return PydanticCustomError("conflict", "{message}", {"message": message, "keys": keys})


class TrainedTokenizer(_Table):
    """A byte-level BPE tokenizer trained on the prompts and targets of the training data."""

    vocab_size: int = Field(2000, ge=300, le=200_000)


class TokenizerConfig(_Table):
    """[tokenizer]: loaded from ``path`` (a folder or hub name), or trained. Without it: the student's own."""

    path: Location | None = None
    train: TrainedTokenizer | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> TokenizerConfig:
        if self.path is not None and self.train is not None:
            raise _conflict("give either path or train, not both", "train", "path")
        if self.path is None and self.train is None:
            raise _conflict("needs path or train, for example train = { vocab_size = 2000 }")
        return self


class LoraConfig(_Table):
    """Low-rank adapters (peft). ``target_modules``: "all-linear", a regular expression, or a list of names."""

    rank: int = Field(ge=1)
    alpha: float = Field(32.0, gt=0)
    dropout: float = Field(0.0, ge=0, lt=1)
    target_modules: str | tuple[str, ...] = "all-linear"


class ModelConfig(_Table):
    """[teacher] and [student]: ``path`` (a folder or hub name) or ``from_scratch`` (an architecture's settings).

    In ``from_scratch``, ``architecture`` is a model type of transformers and all other keys go to its configuration
    class, which checks them when the model is built. ``dtype`` is that of the weights.
    """

    path: Location | None = None
    revision: Location | None = None
    from_scratch: dict[str, Any] | None = None
    lora: LoraConfig | None = None
    dtype: Literal["float32", "bfloat16"] = "float32"
    attention: Literal["sdpa", "eager", "flash_attention_2"] | None = None
    gradient_checkpointing: bool = False

    @model_validator(mode="after")
    def _one_of_both(self) -> ModelConfig:
        if self.path is not None and self.from_scratch is not None:
            raise _conflict("give either path or from_scratch, not both", "from_scratch", "path")
        if self.path is None and self.from_scratch is None:
            raise _conflict("needs path (a folder or hub name) or from_scratch (an architecture)")
        if self.from_scratch is not None:
            if not isinstance(self.from_scratch.get("architecture"), str):
                raise _conflict('needs a model type of transformers: architecture = "llama"', "from_scratch")
            if self.revision is not None:
                raise _conflict("belongs to path; a model from scratch has no revision", "revision")
        return self


class Training(_Table):
    """[training]: how models are trained. Every stage may override any of it in a table of its own.

    ``batch_size`` counts the rows of one optimizer step; ``micro_batch_size`` of them are computed at a time (default:
    all). ``warmup`` is a fraction of the steps. Limits are in tokens, the end of sequence included. ``save_steps``
    is once an epoch unless given. ``sharing``: prompts and their common beginnings are computed once ("on"), each
    prompt once ("prompt"), or everything as usual ("off"). ``group_by``: what the rows of a group have in common.
    """

    epochs: float = Field(3.0, gt=0, le=10_000)
    max_steps: int | None = Field(None, ge=1)
    batch_size: int = Field(16, ge=1)
    micro_batch_size: int | None = Field(None, ge=1)
    learning_rate: float = Field(2e-4, gt=0, lt=1)
    schedule: Literal["cosine", "linear", "constant", "constant_with_warmup"] = "cosine"
    warmup: float = Field(0.03, ge=0, lt=1)
    weight_decay: float = Field(0.0, ge=0)
    max_gradient_norm: float = Field(1.0, ge=0)
    precision: Literal["fp32", "bf16"] = "fp32"
    input_limit: int = Field(1024, ge=8)
    output_limit: int = Field(128, ge=2)
    sharing: Literal["on", "prompt", "off"] = "on"
    group_by: Literal["database", "none"] = "none"
    group_size: int = Field(4, ge=1)
    logging_steps: int | None = Field(None, ge=1)
    save_steps: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _parts_fit(self) -> Training:
        if self.micro_batch_size is not None and self.batch_size % self.micro_batch_size:
            raise _conflict(
                f"micro_batch_size = {self.micro_batch_size} does not divide batch_size = {self.batch_size}",
                "micro_batch_size",
                "batch_size",
            )
        return self


class EvaluationTable(_Table):
    """[evaluation]: how models are evaluated. Decoding is greedy.

    ``metrics``: the data's own unless given. ``time_limit`` is in seconds per SQL statement. ``input_limit`` and
    ``output_limit`` are the training's unless given.
    """

    metrics: tuple[Metric, ...] = ()
    batch_size: int = Field(32, ge=1)
    max_examples: int | None = Field(None, ge=1)
    time_limit: float = Field(10.0, gt=0, le=600)
    input_limit: int | None = Field(None, ge=8)
    output_limit: int | None = Field(None, ge=2)
    exaccerr_samples: int = Field(1, ge=1)
    exaccerr_prefix: Literal["teacher", "gold"] = "teacher"


class Evaluation(EvaluationTable):
    """The settings of one evaluate stage, with everything filled in."""

    input_limit: int
    output_limit: int


class _TrainingStage(_Table):
    method: str
    options: dict[str, Any] = Field(default_factory=dict)
    training: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _with_all_options(self) -> _TrainingStage:
        """Fill in the method's defaults, so that a recipe that is kept says all that was done."""
        try:
            options = self.method_options()
        except UserError:
            return self  # an unknown method; who reads the recipe reports it at its line
        given = options.model_dump(mode="json", exclude_none=True)
        names = {key: option_name(type(options), key) for key in given}
        self.options.update({names[key]: value for key, value in given.items()})
        for key, name in names.items():
            if key != name:
                self.options.pop(key, None)
        return self

    def method_options(self) -> Options:
        """The method's own options, validated.

        Raises:
            UserError: the method is not installed.
        """
        return registry.find(self.method).method.options(**self.options)


def option_name(model: type[BaseModel], key: str) -> str:
    """The name under which a recipe gives a model's field: its alias, if it has one."""
    info = model.model_fields[key]
    alias = info.validation_alias if isinstance(info.validation_alias, str) else info.alias
    return alias or key


class FinetuneStage(_TrainingStage):
    """A stage that trains a model on the ground truth."""

    kind: Literal["finetune"]
    name: StageName = "finetune"
    model: Literal["teacher", "student"] = "teacher"
    method: str = "sft"


class DistillStage(_TrainingStage):
    """A stage that trains the student by a method. ``student_from`` and ``teacher_from`` name earlier stages."""

    kind: Literal["distill"]
    name: StageName
    student_from: str | None = None
    teacher_from: str | None = None


class EvaluateStage(_Table):
    """A stage that scores models: ``teacher``, ``student`` or stages' names. Default: all trained before it."""

    kind: Literal["evaluate"]
    name: StageName = "evaluate"
    models: tuple[str, ...] = ()
    evaluation: dict[str, Any] = Field(default_factory=dict)


Stage = Annotated[FinetuneStage | DistillStage | EvaluateStage, Field(discriminator="kind")]


@dataclass(frozen=True)
class Origin:
    """Where a recipe was written. All origins are equal: where it comes from is no part of what a recipe says."""

    file: Path | None = field(default=None, compare=False)
    lines: Mapping[Key, int] = field(default_factory=dict, compare=False)
    overrides: Mapping[Key, str] = field(default_factory=dict, compare=False)


class RecipeHead(_Table):
    """The keys of a recipe that stand before its tables. ``baseline_method``: whose time others are told against."""

    name: RecipeName
    seed: int = Field(0, ge=0, lt=2**31)
    baseline_method: str = "sft"


class Recipe(RecipeHead):
    """One recipe: data, models, and an ordered list of stages."""

    data: DataConfig
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

    def read_from(self, origin: Origin) -> Recipe:
        """The same recipe, with a note of where it was written."""
        noted = self.model_copy()
        noted._origin = origin
        return noted

    def training_of(self, stage: FinetuneStage | DistillStage) -> Training:
        """The stage's training settings: the recipe's, with the stage's own over them."""
        return Training(**{**self.training.model_dump(), **stage.training})

    def evaluation_of(self, stage: EvaluateStage) -> Evaluation:
        """The stage's evaluation settings: the recipe's, with the stage's own over them."""
        merged = EvaluationTable(**{**self.evaluation.model_dump(), **stage.evaluation})
        is_sql = self.data.kind != "jsonl"
        return Evaluation(
            **{
                **merged.model_dump(),
                "metrics": merged.metrics or (("ex",) if is_sql else ("exact_match", "rouge_l")),
                "input_limit": merged.input_limit or self.training.input_limit,
                "output_limit": merged.output_limit or self.training.output_limit,
            }
        )

    def models_of(self, stage: EvaluateStage) -> tuple[str, ...]:
        """The models that a stage evaluates: those it names, or all that were trained before it."""
        if stage.models:
            return stage.models
        trained = [s for s in self._before(stage) if not isinstance(s, EvaluateStage)]
        names = [s.model if isinstance(s, FinetuneStage) else s.name for s in trained]
        return tuple(dict.fromkeys(names))

    def training_stage(self, model: str, before: Stage | None = None) -> FinetuneStage | DistillStage | None:
        """The last stage that trained a model, among all stages or those before one.

        ``model`` is a stage's name, or ``teacher`` / ``student`` for what a finetune stage made of them.
        """
        for stage in reversed(self._before(before)):
            if isinstance(stage, EvaluateStage):
                continue
            if stage.name == model or (isinstance(stage, FinetuneStage) and stage.model == model):
                return stage
        return None

    def teacher_stage_of(self, stage: DistillStage) -> str | None:
        """The stage whose model teaches: the one named, else the last finetune of the teacher before it."""
        if stage.teacher_from is not None:
            return stage.teacher_from
        trained = self.training_stage("teacher", before=stage)
        return None if trained is None else trained.name

    def _before(self, stage: Stage | None) -> tuple[Stage, ...]:
        if stage is None:
            return self.stages
        names = [s.name for s in self.stages]
        return self.stages[: names.index(stage.name)]
