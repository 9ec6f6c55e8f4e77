"""TAID: temporally adaptive interpolated distillation (Shing et al. 2025, arXiv 2501.16937, algorithm 1).

The student learns from a teacher that sets out from the student itself and moves to the real one as training goes on::

    L = KL(p_t‖q),   p_t = softmax((1 - t) z_q + t z_p),   no gradients through p_t

with the logits z of both models. t goes from ``t_start`` to ``t_end``, at least as the training does, and faster while the
loss falls. After each optimizer step, with L' the loss of the step before::

    momentum = beta momentum + (1 - beta) (L' - L) / L'
    t = min(t_end, max(t_start + (t_end - t_start) progress, t + alpha sigmoid(momentum) (1 - t)))

As in the paper's code (SakanaAI/TAID), t stays after the first step. The code moves it after each part of a batch; here all
parts of a step have the same t. It follows the cross entropy -sum p_t log q, whose gradient is that of the KL divergence, and
whose relative changes are smaller: ``loss = "cross_entropy"``. The paper trains on given answers, without MLE.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from kdzoo import Method, StepCost, WeightedOptions, divergences, hookimpl, mle_on_target

if TYPE_CHECKING:
    from torch import Tensor, nn

    from kdzoo import FinishedStep, Step, StepLosses


class TAIDOptions(WeightedOptions):
    """How t moves. The scripts of the paper's code have a ``t_start`` of 0.2 for two pairs of models, of 0.4 for one."""

    t_start: float = Field(0.4, ge=0, lt=1, description="share of the teacher in the first step's logits")
    t_end: float = Field(1.0, gt=0, le=1, description="the most that it becomes")
    alpha: float = Field(
        5e-4, ge=0, le=1, description="how far a step moves t beyond the training's progress"
    )
    beta: float = Field(0.99, ge=0, lt=1, description="momentum of the loss's relative change")
    adaptive: bool = Field(True, description="without, t is in proportion to the training's progress")
    loss: Literal["kl", "cross_entropy"] = Field(
        "kl",
        description="what is computed, and followed by t: the paper's KL(p_t‖q), or its code's -sum p_t log q",
    )
    mle_weight: float = Field(
        0.0, ge=0, allow_inf_nan=False, description="factor of the MLE loss on the ground truth"
    )

    @model_validator(mode="after")
    def _ends_where_it_can(self) -> TAIDOptions:
        if self.t_end < self.t_start:
            raise ValueError(f"t_end must be at least t_start, {self.t_start}, not {self.t_end}")
        return self


@hookimpl
def register_method() -> Method:
    return Method(
        name="taid",
        summary="KL from a teacher that moves from the student itself to the teacher, by the training's progress.",
        paper="Shing et al. 2025, TAID: Temporally Adaptive Interpolated Distillation (arXiv 2501.16937)",
        training_data="ground truth",
        divergence="KL(p_t‖q), p_t between q and p",
        aux_loss="- (or MLE on y)",
        cost=StepCost(student=1, teacher=1),
        options=TAIDOptions,
    )


@hookimpl
def setup(options: TAIDOptions) -> nn.Module:
    import torch

    state = torch.nn.Module()
    state.register_buffer("t", torch.tensor(options.t_start))
    state.register_buffer("momentum", torch.tensor(0.0))
    state.register_buffer("last_loss", torch.tensor(math.inf))
    return state


@hookimpl
def divergence(student_logits: Tensor, teacher_logits: Tensor, step: Step, options: TAIDOptions) -> Tensor:
    t = min(1.0, float(step.state.t))
    if options.loss == "cross_entropy":
        losses = divergences.intermediate_teacher_cross_entropy(student_logits, teacher_logits, t)
    else:
        losses = divergences.intermediate_teacher_kl(student_logits, teacher_logits, t)
    return options.kd_weight * losses


aux_loss = mle_on_target()


@hookimpl
def after_step(step: FinishedStep, losses: StepLosses, options: TAIDOptions) -> None:
    state, loss, last_loss = step.state, losses.divergence, float(step.state.last_loss)
    is_first = last_loss == math.inf
    change = 0.0 if is_first else (last_loss - loss) / (last_loss + 1e-15)
    momentum = options.beta * float(state.momentum) + (1 - options.beta) * change
    t = options.t_start + (options.t_end - options.t_start) * step.progress
    if options.adaptive:
        sigmoid = (1 + math.tanh(momentum / 2)) / 2
        t = min(options.t_end, max(t, float(state.t) + options.alpha * sigmoid * (1 - float(state.t))))
    if not is_first:
        state.t.fill_(t)
    state.momentum.fill_(momentum)
    state.last_loss.fill_(loss)
