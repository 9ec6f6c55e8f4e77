"""The stages of a recipe: finetune, distill, evaluate."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, Field, model_validator

from kdzoo.errors import UserError
from kdzoo.methods import registry
from kdzoo.methods.method import Options
from kdzoo.methods.mixture import MixedOptions, mix
from kdzoo.methods.model_names import TEACHER, teachers_to_load
from kdzoo.methods.registry import Plugin
from kdzoo.recipe.names import Name
from kdzoo.recipe.tables import EvaluationTable, OwnSeed, Role, Table, Training

_STUDENT_FROM = (
    "the stage whose model goes on learning: one that trains the student, or a teacher with the same path, of which "
    "the student keeps keep_layers; unless given, [student] as it is"
)


class _TrainingStage(Table):
    table: ClassVar[str] = "training"
    table_model: ClassVar[type[Table]] = Training

    method: str = Field(description="a method of kdzoo list")
    data: str | None = Field(
        None,
        description="the dataset that is trained on: NAME of a [datasets.NAME]; default: the one of [data]",
    )
    options: dict[str, Any] = Field(
        default_factory=dict, description="the method's own: see kdzoo show METHOD"
    )
    training: dict[str, Any] = Field(
        default_factory=dict, description="keys of [training] that this stage has otherwise"
    )
    seed: OwnSeed = Field(
        None,
        description="the stage's own, whatever --seeds sweeps, for the random weights of a model from scratch too: one base "
        "for the students of all seeds (default: student_seed, the recipe's seed for teachers)",
    )

    @model_validator(mode="before")
    @classmethod
    def _with_all_options(cls, content: Any) -> Any:
        """Fill in the method's defaults, so that a recipe that is kept says all that was done."""
        if not isinstance(content, dict):
            return content
        method = content.get("method", cls.model_fields["method"].default)
        options = content.get("options", {})
        if not isinstance(method, str) or not isinstance(options, dict):
            return content  # the fields' own types tell the problem
        try:
            model = registry.find(method).method.options
        except UserError:
            return content  # who reads the recipe reports it at its line
        return {**content, "options": all_options(model(**options))}

    @property
    def own_settings(self) -> dict[str, Any]:
        """The settings of [training] that the stage changes."""
        return self.training

    @property
    def uses_teacher(self) -> bool:
        """Whether the stage's method learns from the recipe's [teacher]."""
        return TEACHER in self.teachers

    @property
    def teachers(self) -> tuple[str, ...]:
        """The models that the stage's method learns from, but the student: "teacher", and further teachers' names."""
        return teachers_to_load(self.method_options(), uses_teacher=self.plugin().method.uses_teacher)

    @property
    def learns_alone(self) -> bool:
        """Whether the stage's method learns from the data alone, and from no model."""
        return not self.teachers and self.method_options().teacher_model == TEACHER

    def plugin(self) -> Plugin:
        """The stage's method.

        Raises:
            UserError: it is not installed.
        """
        return registry.find(self.method)

    def method_options(self) -> Options:
        """The method's own options, validated.

        Raises:
            UserError: the method is not installed.
        """
        return registry.find(self.method).method.options(**self.options)


def all_options(options: Options) -> dict[str, Any]:
    """A method's options, defaults included, as a recipe writes them; those that are None are left out."""
    model = type(options)
    values = options.model_dump(mode="json", exclude_none=True)
    return {option_name(model, key): values[key] for key in model.model_fields if key in values}


def option_name(model: type[BaseModel], key: str) -> str:
    """The name under which a recipe gives a model's field: its alias, if it has one."""
    info = model.model_fields[key]
    alias = info.validation_alias if isinstance(info.validation_alias, str) else info.alias
    return alias or key


class Part(Table):
    """sequence, divergence, aux_loss: what a distill stage has from another method than its own."""

    method: str = Field(description="a method of kdzoo list")
    options: dict[str, Any] = Field(
        default_factory=dict, description="that method's own: see kdzoo show METHOD"
    )

    @model_validator(mode="before")
    @classmethod
    def _named(cls, content: Any) -> Any:
        """A name alone is that of a method with its default options."""
        return {"method": content} if isinstance(content, str) else content


class FinetuneStage(_TrainingStage):
    """kind = "finetune": trains a model on the ground truth, as the recipe gives it and without a teacher."""

    teacher_from: ClassVar[None] = None

    kind: Literal["finetune"]
    name: Name = Field("finetune", description="its folder's, and what other stages call it")
    model: Name = Field(
        "teacher", description="which model is trained: teacher, student, or NAME of a [teachers.NAME]"
    )
    method: str = Field("sft", description="a method of kdzoo list that needs no teacher")
    student_from: str | None = Field(None, description=_STUDENT_FROM)

    @property
    def role(self) -> Role:
        """The model that the stage trains."""
        return self.model

    @property
    def result_name(self) -> str:
        """What the trained model is called in the table of results."""
        return self.model


class DistillStage(_TrainingStage):
    """kind = "distill": trains the student by a method, starting from the models that earlier stages made."""

    kind: Literal["distill"]
    name: Name = Field(
        description="its folder's, and what other stages call it",
        json_schema_extra={"unless_given": "the method"},
    )
    student_from: str | None = Field(None, description=_STUDENT_FROM)
    teacher_from: str | None = Field(
        None,
        description="the stage whose model teaches; unless given, the teacher's last fine-tune before it",
    )

    sequence: Part | None = Field(
        None, description="the method whose training sequences the stage has instead: its name, or a table"
    )
    divergence: Part | None = Field(
        None, description="the method whose divergence the stage has instead: its name, or a table"
    )
    aux_loss: Part | None = Field(
        None,
        description="the method whose auxiliary loss the stage has instead, if any: its name, or a table",
    )

    @property
    def parts(self) -> dict[str, Part]:
        """What the stage has from other methods."""
        found = {"sequence": self.sequence, "divergence": self.divergence, "aux_loss": self.aux_loss}
        return {name: part for name, part in found.items() if part is not None}

    def plugin(self) -> Plugin:
        """The stage's method, or the mixture that it makes of several.

        Raises:
            UserError: one is not installed, or they cannot be mixed.
        """
        method = super().plugin()
        others = {name: registry.find(part.method) for name, part in self.parts.items()}
        return mix(method, others) if others else method

    def method_options(self) -> Options:
        """The method's own options, or those of all methods that the stage mixes.

        Raises:
            UserError: a method is not installed.
        """
        own = super().method_options()
        others = {
            name: registry.find(part.method).method.options(**part.options)
            for name, part in self.parts.items()
        }
        return MixedOptions(parts={"method": own, **others}) if others else own

    @property
    def role(self) -> Role:
        """The model that the stage trains."""
        return "student"

    @property
    def result_name(self) -> str:
        """What the trained model is called in the table of results."""
        return self.name


class EvaluateStage(Table):
    """kind = "evaluate": scores models on evaluation sets."""

    table: ClassVar[str] = "evaluation"
    table_model: ClassVar[type[Table]] = EvaluationTable

    kind: Literal["evaluate"]
    name: Name = Field("evaluate", description="its folder's")
    models: tuple[str, ...] = Field(
        (),
        description="teacher, student, further teachers or stages; default: all that were trained before",
    )
    sets: tuple[str, ...] = Field((), description="names of evaluation sets; default: all")
    evaluation: dict[str, Any] = Field(
        default_factory=dict, description="keys of [evaluation] that this stage has otherwise"
    )

    @property
    def role(self) -> None:
        """No model is trained."""
        return None

    @property
    def own_settings(self) -> dict[str, Any]:
        """The settings of [evaluation] that the stage changes."""
        return self.evaluation


# Each says what it trains by its role: only an evaluate stage has none.
TrainingStage = FinetuneStage | DistillStage
Stage = Annotated[FinetuneStage | DistillStage | EvaluateStage, Field(discriminator="kind")]
STAGES: dict[str, type[FinetuneStage] | type[DistillStage] | type[EvaluateStage]] = {
    "finetune": FinetuneStage,
    "distill": DistillStage,
    "evaluate": EvaluateStage,
}
