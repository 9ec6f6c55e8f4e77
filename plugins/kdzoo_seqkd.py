"""SeqKD: maximum likelihood on what the teacher generates (Kim and Rush 2016, arXiv 1606.07947, section 3.2).

Of all sequences the teacher finds one the most probable; beam search comes near it, once for each prompt before training,
and the student is trained on it as if it were the ground truth::

    L = -log q(y_hat),   y_hat = the teacher's best sequence

The paper has 5 beams, as have ImitKD's experiments; ``teacher_decoding = "sample"`` takes a sample in place of the mode. The
paper also writes down a mixture with the ground truth, (1 - alpha) L_NLL + alpha L (section 3.3): ``mle_weight`` and
``kd_weight``, each term a mean over its own tokens. Its sequence-level interpolation, which picks of all beams the one
that is most like the ground truth, is not here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from kdzoo import (
    Method,
    StepCost,
    TeacherDecodingOptions,
    WeightedOptions,
    divergences,
    hookimpl,
    mle_on_target,
)

if TYPE_CHECKING:
    from torch import Tensor

    from kdzoo import ScoredTokens, Sequences, Step


class SeqKDOptions(WeightedOptions, TeacherDecodingOptions):
    """How the teacher generates, and the weights of its sequences and of the ground truth."""

    teacher_decoding: Literal["sample", "greedy", "beam"] = Field(
        "beam", description="how the teacher generates its targets"
    )
    mle_weight: float = Field(
        0.0, ge=0, allow_inf_nan=False, description="factor of the MLE loss on the ground truth"
    )

    @property
    def needs_teacher_target(self) -> bool:
        return True

    @property
    def scores_target(self) -> bool:
        return self.mle_weight > 0


@hookimpl
def register_method() -> Method:
    return Method(
        name="seqkd",
        summary="Cross entropy on what the teacher generated before training, as if it were the ground truth.",
        paper="Kim and Rush 2016, Sequence-Level Knowledge Distillation (arXiv 1606.07947)",
        training_data="teacher-generated",
        divergence="-log q(y), y the teacher's",
        aux_loss="- (or MLE on y)",
        cost=StepCost(student=1, teacher=0),
        options=SeqKDOptions,
        expected_failed_checks={
            "divergence_is_smallest_at_the_teacher": "it is smallest where the student is sure of the teacher's sequence"
        },
    )


@hookimpl
def make_training_sequence(step: Step) -> Sequences:
    return step.teacher_target


@hookimpl
def divergence(student_logits: Tensor, tokens: ScoredTokens, options: SeqKDOptions) -> Tensor:
    """Without ``teacher_logits``: the teacher is not run."""
    return options.kd_weight * divergences.cross_entropy(student_logits, tokens.ids)


aux_loss = mle_on_target()
