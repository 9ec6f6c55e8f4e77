"""The stages of a recipe: finetune, distill, evaluate."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, model_validator

from kdzoo.errors import UserError
from kdzoo.methods import registry
from kdzoo.methods.method import Options
from kdzoo.recipe.tables import Table


def _stage_name(name: str) -> str:
    # no dot: it separates the keys of an override; no leading dash: the name becomes a folder's
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,79}", name):
        raise ValueError("must consist of 1 to 80 letters, digits, _ and -, and not begin with -")
    return name


StageName = Annotated[str, AfterValidator(_stage_name)]


class _TrainingStage(Table):
    method: str
    options: dict[str, Any] = Field(default_factory=dict)
    training: dict[str, Any] = Field(default_factory=dict)

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


class FinetuneStage(_TrainingStage):
    """A stage that trains a model on the ground truth."""

    kind: Literal["finetune"]
    name: StageName = "finetune"
    model: Literal["teacher", "student"] = "teacher"
    method: str = "sft"


class DistillStage(_TrainingStage):
    """A stage that trains the student by a method, starting from the models that earlier stages made."""

    kind: Literal["distill"]
    name: StageName
    student_from: str | None = None
    teacher_from: str | None = None


class EvaluateStage(Table):
    """A stage that scores ``models``: teacher, student or stages. Default: all trained before it."""

    kind: Literal["evaluate"]
    name: StageName = "evaluate"
    models: tuple[str, ...] = ()
    evaluation: dict[str, Any] = Field(default_factory=dict)


Stage = Annotated[FinetuneStage | DistillStage | EvaluateStage, Field(discriminator="kind")]
