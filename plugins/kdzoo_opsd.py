"""OPSD: on-policy self-distillation with privileged context (Zhao et al. 2026, arXiv 2601.18734).

The student generates, and is compared with itself on what it has generated, after a prompt that also shows the ground
truth. No other model is needed. Three papers of one month do so, and differ in the options:

- OPSD (Zhao et al.): the teacher stays what the student was at first. ``teacher = "base"``, JSD with ``beta`` 0.5, as in
  their code (siyan-zhao/OPSD, scripts/run_opsd.sh), which has the student sample at ``temperature`` 1.1 or 1.2 among the
  20 most probable tokens, and takes the loss at the same temperature: here all tokens can be sampled, and the loss is taken
  at 1. Its ``use_tinker_loss`` is ``divergence = "sampled"``.
- SDFT (Shenfeld et al. 2026, arXiv 2601.19897): ``teacher = "average"`` with ``decay`` 0.99, and the reverse KL,
  ``divergence = "rkl"``; their code's default is the forward KL. It leaves out the loss on the first three tokens
  (``skip_tokens``), in which the teacher may speak of the answer that it was shown.
- SDPO (Hübotter et al. 2026, arXiv 2601.20802): ``teacher = "average"`` with ``decay`` 0.95, JSD with ``beta`` 0.5, as in
  their code (lasgroup/SDPO), which takes it over the 100 most probable tokens and the rest as one. The default
  ``teacher_prompt`` is the one that they show a correct solution in. Theirs is an attempt of the student's own that was
  right, or what was said of one that was wrong: here it is the ground truth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from kdzoo import Method, Options, PromptTemplate, StepCost, Temperature, divergences, hookimpl

if TYPE_CHECKING:
    from torch import Tensor

    from kdzoo import ScoredTokens, Sequences, Step


class OPSDOptions(Options):
    """What of the student teaches, what it is shown, and how the two are compared."""

    teacher: Literal["base", "student", "average"] = Field(
        "base",
        description="the weights that teach: without the student's adapter (OPSD), as they are, or on average (SDFT, SDPO)",
    )
    decay: float = Field(
        0.99,
        ge=0,
        le=1,
        description="decay of the average (SDFT 0.99, SDPO 0.95); with 1 it stays what the student was at first",
    )
    teacher_prompt: PromptTemplate = Field(
        "{prompt}\n\nCorrect solution:\n\n{target}\n\nCorrectly solve the original question.\n",
        description="what the teacher is given, with the example's {prompt} and {target} (SDPO's)",
    )
    divergence: Literal["jsd", "rkl", "fkl", "sampled"] = Field(
        "jsd",
        description="generalised JSD (OPSD, SDPO), reverse KL (SDFT), forward KL, or the reverse KL by policy gradient on the "
        "tokens sampled",
    )
    beta: float = Field(0.5, ge=0, le=1, description="share of the teacher in the mixture of jsd")
    skip_tokens: int = Field(
        0, ge=0, description="first tokens of each sequence that have no loss (SDFT's code: 3)"
    )
    temperature: Temperature = Field(
        1.0, description="sampling temperature of the student; 0 is greedy, else at least 0.01"
    )

    @property
    def teacher_model(self) -> str:
        return self.teacher

    @property
    def teacher_is_privileged(self) -> bool:
        return True

    @property
    def privileged_prompt(self) -> str:
        return self.teacher_prompt

    @property
    def average_decay(self) -> float | None:
        return self.decay if self.teacher == "average" else None


def expected_failures(options: Options) -> dict[str, str]:
    """A single sample's log ratio is no divergence."""
    if not isinstance(options, OPSDOptions) or options.divergence != "sampled":
        return {}
    return {
        "divergence_is_smallest_at_the_teacher": "the log ratio of a single sample may be negative elsewhere"
    }


@hookimpl
def register_method() -> Method:
    return Method(
        name="opsd",
        summary="The student's generations, compared with what it would say if it were shown the answer.",
        paper="Zhao et al. 2026, Self-Distilled Reasoner: On-Policy Self-Distillation (arXiv 2601.18734)",
        training_data="student-generated",
        divergence="JSD(beta) of q and q after x and y (or KL)",
        aux_loss="-",
        cost=StepCost(student=1, teacher=1, generation=1),
        options=OPSDOptions,
        uses_teacher=False,
        expected_failed_checks=expected_failures,
    )


@hookimpl
def make_training_sequence(step: Step, options: OPSDOptions) -> Sequences:
    return step.student.generate(temperature=options.temperature)


@hookimpl
def divergence(
    student_logits: Tensor, teacher_logits: Tensor, tokens: ScoredTokens, options: OPSDOptions
) -> Tensor:
    """The divergence of each token; 0 where it is left out, while the token still counts in the mean."""
    if options.divergence == "sampled":
        losses = divergences.sampled_reverse_kl(student_logits, teacher_logits, tokens.ids)
    elif options.divergence == "fkl":
        losses = divergences.forward_kl(student_logits, teacher_logits)
    elif options.divergence == "rkl":
        losses = divergences.reverse_kl(student_logits, teacher_logits)
    else:
        losses = divergences.jensen_shannon(student_logits, teacher_logits, options.beta)
    return losses * (tokens.positions >= options.skip_tokens)
