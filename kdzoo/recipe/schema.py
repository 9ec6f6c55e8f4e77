"""What may stand in a recipe. Validated by pydantic; imports no torch."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from kdzoo import registry
from kdzoo.data.config import DataConfig
from kdzoo.method import Options

Metric = Literal["ex", "ts", "exact_match", "rouge_l", "exaccerr"]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=80)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TrainedTokenizer(_Table):
    """A tokenizer trained on the training data."""

    vocab_size: int = Field(2000, ge=300, le=200_000)


class TokenizerConfig(_Table):
    """[tokenizer]: loaded from ``path``, or trained."""

    path: str | None = None
    train: TrainedTokenizer | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> TokenizerConfig:
        if (self.path is None) == (self.train is None):
            raise ValueError("give either path or train")
        return self


class LoraConfig(_Table):
    """Low-rank adapters (peft)."""

    rank: int = Field(ge=1)
    alpha: float = Field(32.0, gt=0)
    dropout: float = Field(0.0, ge=0, lt=1)
    target_modules: str | tuple[str, ...] = "all-linear"


class ModelConfig(_Table):
    """[teacher] and [student]: ``path`` (a folder or hub name) or ``from_scratch`` (an architecture's settings)."""

    path: str | None = None
    revision: str | None = None
    from_scratch: dict[str, Any] | None = None
    lora: LoraConfig | None = None
    dtype: Literal["float32", "bfloat16"] = "float32"
    attention: Literal["sdpa", "eager", "flash_attention_2"] | None = None
    gradient_checkpointing: bool = False

    @model_validator(mode="after")
    def _one_of_both(self) -> ModelConfig:
        if (self.path is None) == (self.from_scratch is None):
            raise ValueError("give either path or from_scratch")
        if self.from_scratch is not None and not isinstance(self.from_scratch.get("architecture"), str):
            raise ValueError('from_scratch needs an architecture, such as architecture = "llama"')
        return self


class Training(_Table):
    """[training]: how models are trained. Every stage may override any of it.

    ``batch_size`` counts the rows of one optimizer step; ``micro_batch_size`` of them are computed at a time. Limits
    are in tokens, the end of sequence included. ``sharing``: prompts and their common beginnings ("on"), each prompt
    for itself ("prompt"), the ordinary computation ("off").
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
    loggers: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _parts_fit(self) -> Training:
        if self.micro_batch_size is not None and self.batch_size % self.micro_batch_size:
            raise ValueError(
                f"micro_batch_size = {self.micro_batch_size} does not divide batch_size = {self.batch_size}"
            )
        return self


class Evaluation(_Table):
    """[evaluation]: how models are evaluated. Decoding is greedy.

    ``time_limit`` is in seconds per statement. ``output_limit`` and ``input_limit`` are the training's unless given.
    """

    metrics: tuple[Metric, ...] = ()
    batch_size: int = Field(32, ge=1)
    max_examples: int | None = Field(None, ge=1)
    time_limit: float = Field(10.0, gt=0, le=600)
    input_limit: int | None = Field(None, ge=8)
    output_limit: int | None = Field(None, ge=2)
    exaccerr_samples: int = Field(1, ge=1)
    exaccerr_prefix: Literal["teacher", "gold"] = "teacher"


class _TrainingStage(_Table):
    method: str
    options: dict[str, Any] = Field(default_factory=dict)
    training: dict[str, Any] = Field(default_factory=dict)

    def method_options(self) -> Options:
        """The method's own options, validated."""
        return registry.find(self.method).method.options(**self.options)


class FinetuneStage(_TrainingStage):
    """A stage that trains a model on the ground truth."""

    kind: Literal["finetune"]
    name: Name = "finetune"
    model: Literal["teacher", "student"] = "teacher"
    method: str = "sft"


class DistillStage(_TrainingStage):
    """A stage that trains the student by a method. ``student_from`` and ``teacher_from`` name earlier stages."""

    kind: Literal["distill"]
    name: Name = ""
    student_from: str | None = None
    teacher_from: str | None = None


class EvaluateStage(_Table):
    """A stage that scores models: ``teacher``, ``student`` or stages' names. Default: all trained before it."""

    kind: Literal["evaluate"]
    name: Name = "evaluate"
    models: tuple[str, ...] = ()
    evaluation: dict[str, Any] = Field(default_factory=dict)


Stage = Annotated[FinetuneStage | DistillStage | EvaluateStage, Field(discriminator="kind")]


class Recipe(_Table):
    """One recipe: data, models, and an ordered list of stages."""

    name: Name
    seed: int = Field(0, ge=0, lt=2**31)
    data: DataConfig
    tokenizer: TokenizerConfig | None = None
    teacher: ModelConfig | None = None
    student: ModelConfig
    training: Training = Training()
    evaluation: Evaluation = Evaluation()
    stages: tuple[Stage, ...] = Field(alias="stage", min_length=1)

    def training_of(self, stage: FinetuneStage | DistillStage) -> Training:
        """The stage's training settings: the recipe's, with the stage's own over them."""
        return Training(**{**self.training.model_dump(), **stage.training})

    def evaluation_of(self, stage: EvaluateStage) -> Evaluation:
        """The stage's evaluation settings, with everything that has a default filled in."""
        merged = Evaluation(**{**self.evaluation.model_dump(), **stage.evaluation})
        sql = self.data.kind != "jsonl"
        return merged.model_copy(
            update={
                "metrics": merged.metrics or (("ex",) if sql else ("exact_match", "rouge_l")),
                "input_limit": merged.input_limit or self.training.input_limit,
                "output_limit": merged.output_limit or self.training.output_limit,
            }
        )

    def models_of(self, stage: EvaluateStage) -> tuple[str, ...]:
        """The models that a stage evaluates: those it names, or all that were trained before it."""
        if stage.models:
            return stage.models
        before = self.stages[: self.stages.index(stage)]
        trained = [s for s in before if not isinstance(s, EvaluateStage)]
        names = [s.model if isinstance(s, FinetuneStage) else s.name for s in trained]
        return tuple(dict.fromkeys(names))

    def training_stage(self, model: str) -> FinetuneStage | DistillStage | None:
        """The stage that trained a model: a stage's name, or ``teacher`` / ``student`` for the last finetune of it."""
        for stage in reversed(self.stages):
            if isinstance(stage, EvaluateStage):
                continue
            if stage.name == model or (isinstance(stage, FinetuneStage) and stage.model == model):
                return stage
        return None

    def teacher_stage_of(self, stage: DistillStage) -> str | None:
        """The stage whose model teaches: the one named, else the last finetune of the teacher before it."""
        if stage.teacher_from is not None:
            return stage.teacher_from
        for earlier in reversed(self.stages[: self.stages.index(stage)]):
            if isinstance(earlier, FinetuneStage) and earlier.model == "teacher":
                return earlier.name
        return None
