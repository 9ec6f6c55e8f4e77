"""How a method describes itself: its name, its sources, its cost, its options. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

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


class WeightedOptions(Options):
    """Options of a method whose loss has two terms. The paper gives no weights; both are 1 by default."""

    kd_weight: float = Field(1.0, ge=0, allow_inf_nan=False, description="factor of the divergence")
    mle_weight: float = Field(
        1.0, ge=0, allow_inf_nan=False, description="factor of the MLE loss on the ground truth"
    )


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


@dataclass(frozen=True)
class Method:
    """What ``register_method`` returns: one method, as ``kdzoo list`` and ``kdzoo show`` describe it.

    ``uses_teacher`` is False for methods that learn from the ground truth alone; no teacher is then loaded.
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
