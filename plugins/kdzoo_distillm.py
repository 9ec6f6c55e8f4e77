"""DistiLLM: skewed KL on what the student generates, used more than once (Ko et al. 2024, arXiv 2402.03898).

With skew alpha, ``skew_alpha``, the divergence is one of::

    SRKL = KL(q‖(1 - alpha) p + alpha q),   SKL = KL(p‖alpha p + (1 - alpha) q)

Most scripts of the paper's code (jongwooko/distillm) have SRKL. An optimizer step is trained on student-generated sequences
with probability phi, and else on the ground truth; of phi, a share (``replay_ratio``) is generated anew, and the rest comes from
a replay buffer of what the student has generated before. That is how the code draws: once for all of a batch.

Two things are otherwise here. phi begins with ``init_threshold`` and grows by 0.1 in paper and code where the loss
on validation data has grown; a step knows no such data (and a training loss falls where theirs grows). It grows in
proportion to the training's progress instead, to ``final_threshold``. And the buffer gives each prompt of the step the last
sequence that was generated for it; where it has none, one is generated, as in the code while its buffer is not full.
The code trains on other prompts that are in its buffer: ``capacity``, 1,000 sequences there, is here best at
least the number of training prompts. The language modelling loss on a plain text corpus is none of this method's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from kdzoo import Method, Source, StepCost, Temperature, WeightedOptions, divergences, hookimpl, mle_on_target

if TYPE_CHECKING:
    from torch import Tensor

    from kdzoo import FinishedStep, ReplayBuffer, Sequences, Step


class DistiLLMOptions(WeightedOptions):
    """The divergence, and how much of the training data the student generates."""

    divergence: Literal["srkl", "sfkl"] = Field("srkl", description="skewed reverse or forward KL")
    skew_alpha: float = Field(
        0.1, ge=0, lt=1, description="share of the first distribution in the mixture that is the second"
    )
    init_threshold: float = Field(
        0.0, ge=0, le=1, description="probability of student-generated sequences at the beginning"
    )
    final_threshold: float = Field(1.0, ge=0, le=1, description="the same at the end, linear between both")
    replay_ratio: Literal["decreasing", "constant", "increasing"] = Field(
        "decreasing",
        description="share of them that is generated anew: 1 - progress, a half, or progress; the rest is replayed",
    )
    capacity: int = Field(20_000, ge=1, description="prompts whose last generated sequence is kept")
    temperature: Temperature = Field(
        1.0, description="sampling temperature of the student; 0 is greedy, else at least 0.01"
    )
    mle_weight: float = Field(
        0.0, ge=0, allow_inf_nan=False, description="factor of the MLE loss on the ground truth"
    )

    @model_validator(mode="after")
    def _grows(self) -> DistiLLMOptions:
        if self.final_threshold < self.init_threshold:
            raise ValueError(
                f"final_threshold must be at least init_threshold, {self.init_threshold}, not {self.final_threshold}"
            )
        return self

    @property
    def scores_target(self) -> bool:
        return self.mle_weight > 0

    def thresholds(self, progress: float) -> tuple[float, float]:
        """The probabilities of sequences generated anew, and of student-generated ones, at a progress from 0 to 1."""
        generated = self.init_threshold + (self.final_threshold - self.init_threshold) * progress
        anew = {"decreasing": 1 - progress, "constant": 0.5, "increasing": progress}[self.replay_ratio]
        return anew * generated, generated


@hookimpl
def register_method() -> Method:
    return Method(
        name="distillm",
        summary="Skewed KL on ever more sequences that the student generates, replayed from a buffer.",
        paper="Ko et al. 2024, DistiLLM: Towards Streamlined Distillation for LLMs (arXiv 2402.03898)",
        training_data="ground truth, then student-generated, replayed",
        divergence="KL(q‖0.9 p + 0.1 q) (or KL(p‖0.1 p + 0.9 q))",
        aux_loss="- (or MLE on y)",
        cost=StepCost(student=1, teacher=1, generation=0.3),
        options=DistiLLMOptions,
    )


@hookimpl
def setup(options: DistiLLMOptions) -> ReplayBuffer:
    from kdzoo import ReplayBuffer

    return ReplayBuffer(options.capacity)


@hookimpl
def make_training_sequence(step: Step, options: DistiLLMOptions) -> Sequences:
    anew, generated = options.thresholds(step.progress)
    drawn = step.generator.per_batch()
    if drawn >= generated:
        return step.target
    if drawn < anew:
        return step.student.generate(temperature=options.temperature)
    buffer: ReplayBuffer = step.state
    device = step.target.tokens.device
    kept, replayed = buffer.has(step.examples).to(device), buffer.get(step.examples).to(device)
    if kept.all():
        return replayed
    return replayed.where(kept, step.student.generate(temperature=options.temperature, rows=~kept))


@hookimpl
def divergence(student_logits: Tensor, teacher_logits: Tensor, options: DistiLLMOptions) -> Tensor:
    skewed = divergences.skew_kl if options.divergence == "sfkl" else divergences.skew_reverse_kl
    return options.kd_weight * skewed(student_logits, teacher_logits, options.skew_alpha)


aux_loss = mle_on_target()


@hookimpl
def after_step(step: FinishedStep) -> None:
    """Keep what was generated. A replayed sequence takes its own place, and is again the newest."""
    sequences = step.training_sequence
    step.state.put(step.examples, sequences, where=sequences.sources == Source.STUDENT)
