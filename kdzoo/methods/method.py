"""How a method describes itself: its name, its sources, its cost, its options. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from kdzoo.methods.source import Source

_COLDEST, _HOTTEST = 0.01, 100.0


def _greedy_or_sampling(temperature: float) -> float:
    if 0 < temperature < _COLDEST:
        raise ValueError(f"must be 0, which is greedy, or at least {_COLDEST:g}")
    return temperature


Temperature = Annotated[float, Field(ge=0, le=_HOTTEST), AfterValidator(_greedy_or_sampling)]
"""The type of an option that is a sampling temperature: 0 takes the most probable token.

Below 0.01 logits that differ by a rounding error differ in probability by factors: who wants that wants 0.
"""


@dataclass(frozen=True)
class Decoding:
    """How a model's sequences are made: sampled at a ``temperature``, 0 being greedy; or by beam search if ``beams`` > 1."""

    temperature: float = 1.0
    beams: int = 1


class Options(BaseModel):
    """The base of every method's options: a frozen pydantic model in which an unknown name is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="constants")

    @property
    def needs_teacher_target(self) -> bool:
        """Whether the teacher must generate one target per training prompt before training starts."""
        return False

    @property
    def teacher_target_decoding(self) -> Decoding:
        """How the teacher generates those targets: sampled at temperature 1, unless a method says otherwise."""
        return Decoding()

    @property
    def keeps_target_lengths(self) -> bool:
        """Whether ``make_training_sequence`` gives one sequence a prompt, with as many tokens as the ground truth.

        The tokens of a step that is computed in parts are then counted before its sequences are made, so that each
        part's prompts are read once. What this says does not change any result, but it must be true.
        """
        return False

    @property
    def scores_target(self) -> bool:
        """Whether ``aux_loss`` scores the ground truth as well as the training sequence.

        The student is then run over both at once, which costs less. What this says does not change any result.
        """
        return False

    @property
    def hidden_layers(self) -> tuple[int, ...]:
        """The layers whose hidden states a loss takes from ``step.student``.

        They are then kept from the run that the other losses need, so that the model is not run again. What this says
        does not change any result.
        """
        return ()

    @property
    def teacher_hidden_layers(self) -> tuple[int, ...]:
        """The same of ``step.teacher``."""
        return ()

    @property
    def teacher_names(self) -> tuple[str, ...]:
        """The further teachers that a hook asks for, by the names of the recipe's [teachers.NAME]. They are loaded.

        "base" may be among them: then the student must have an adapter.
        """
        return ()

    @property
    def average_decay(self) -> float | None:
        """The decay d of a moving average of the student's trained weights, from 0 to 1: ``step.model("average")``.

        It begins as the student does and becomes d average + (1 - d) weights after each optimizer step; with 1 it stays what
        the student was. It takes the memory of the trained weights. None, the default: no average is kept.
        """
        return None

    @property
    def privileged_prompt(self) -> str | None:
        """The text of a second prompt for each example, which models may be given instead of its own: a `kdzoo.PromptTemplate`.

        {prompt} in it is the example's prompt, as it was shortened, and {target} its ground truth.
        """
        return None

    @property
    def teacher_model(self) -> str:
        """The model whose logits ``divergence`` is given, and which ``step.teacher`` is: as ``step.model`` knows it."""
        return "teacher"

    @property
    def teacher_is_privileged(self) -> bool:
        """Whether that model reads the privileged prompt."""
        return False


class WeightedOptions(Options):
    """Options of a method whose loss has two terms. The paper gives no weights; both are 1 by default."""

    kd_weight: float = Field(1.0, ge=0, allow_inf_nan=False, description="factor of the divergence")
    mle_weight: float = Field(
        1.0, ge=0, allow_inf_nan=False, description="factor of the MLE loss on the ground truth"
    )


class TrainingDataOptions(WeightedOptions):
    """Options of a method that trains on the ground truth or on what the student generates as it learns.

    MLE stays a loss on the ground truth, and is left out by default.
    """

    mle_weight: float = Field(
        0.0, ge=0, allow_inf_nan=False, description="factor of the MLE loss on the ground truth"
    )
    data: Literal["ground_truth", "student"] = Field(
        "ground_truth",
        description="what both models are scored on: the ground truth, or the student's generations",
    )
    temperature: Temperature = Field(
        1.0, description="sampling temperature of the student; 0 is greedy, else at least 0.01"
    )

    @property
    def keeps_target_lengths(self) -> bool:
        return self.data == "ground_truth"

    @property
    def scores_target(self) -> bool:
        return self.data == "student" and self.mle_weight > 0


class TeacherDecodingOptions(Options):
    """Options of a method that may need the teacher's generations: how those are made, before training starts."""

    teacher_decoding: Literal["sample", "greedy", "beam"] = Field(
        "sample", description="how the teacher generates its targets, if the method uses any"
    )
    teacher_temperature: Temperature = Field(
        1.0, description="temperature at which the teacher's targets are sampled"
    )
    teacher_beams: int = Field(5, ge=2, le=100, description="beams of the teacher's beam search")

    @property
    def teacher_target_decoding(self) -> Decoding:
        if self.teacher_decoding == "beam":
            return Decoding(temperature=0.0, beams=self.teacher_beams)
        return Decoding(self.teacher_temperature if self.teacher_decoding == "sample" else 0.0)


@dataclass(frozen=True)
class StepCost:
    """What one training step costs beyond reading the prompt once, in passes over target-length sequences.

    ``student`` counts passes with gradients, ``student_no_grad`` passes without; ``generation`` is the
    fraction of rows that the student generates token by token.
    """

    student: float = 1
    student_no_grad: float = 0
    teacher: float = 1
    generation: float = 0


ExpectedFailures: TypeAlias = "Mapping[str, str] | Callable[[Options], Mapping[str, str]]"
"""Names of checks of `kdzoo.testing` with the reason why a method means to fail each; or what gives them for its options."""

_YEAR = re.compile(r"\b(?:19|20)\d\d\b(?!\.\d)")  # and not the beginning of an arXiv number


@dataclass(frozen=True)
class Method:
    """What ``register_method`` returns: one method, as ``kdzoo list`` and ``kdzoo show`` describe it.

    ``paper`` begins with its authors and year: "Hinton et al. 2015, Distilling the Knowledge (arXiv 1503.02531)".
    ``uses_teacher`` is False for methods that need no [teacher] in the recipe: they learn from the ground truth alone, or
    from another model, which `Options.teacher_model` names.
    ``expected_failed_checks`` are rules that the method breaks because its idea is otherwise.
    ``year`` is the paper's; unless given, the first that ``paper`` names.
    ``sources`` are those of its training sequences with the default options. Unless given, they follow from the cost and
    the options: the student's where it generates, the teacher's where its targets are needed, else the ground truth.
    """

    name: str
    summary: str
    paper: str
    training_data: str
    divergence: str
    aux_loss: str
    cost: StepCost
    options: type[Options] = Options
    uses_teacher: bool = True
    expected_failed_checks: ExpectedFailures = field(default_factory=dict, hash=False)
    year: int | None = None
    sources: tuple[Source, ...] | None = None

    @property
    def publication_year(self) -> int | None:
        """The paper's year; None if neither ``year`` nor ``paper`` says it."""
        found = _YEAR.search(self.paper)
        return int(found[0]) if self.year is None and found is not None else self.year

    @property
    def reference(self) -> str:
        """A short name of the paper: its text up to its year, "Hinton et al. 2015", or else up to its first comma."""
        found = _YEAR.search(self.paper)
        return self.paper[: found.end()] if found is not None else self.paper.partition(",")[0]

    @property
    def on_policy(self) -> bool:
        """Whether the student generates sequences as it learns."""
        return self.cost.generation > 0

    @property
    def usual_sources(self) -> tuple[Source, ...]:
        """Where the training sequences come from with the default options, in the order of `kdzoo.Source`."""
        if self.sources is not None:
            return tuple(sorted(set(self.sources)))
        from_teacher = self.options().needs_teacher_target
        found = {
            Source.GROUND_TRUTH: not from_teacher and self.cost.generation < 1,
            Source.STUDENT: self.on_policy,
            Source.TEACHER: from_teacher,
        }
        return tuple(source for source, comes in found.items() if comes)
