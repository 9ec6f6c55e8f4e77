"""Hidden states: distillation of chosen layers beside the logits (DistilBERT, Sanh et al. 2019; TinyBERT, Jiao et al. 2020).

To forward KL and MLE on the ground truth comes a distance between the student's hidden states h and the teacher's h', summed
over pairs of layers and averaged over the scored tokens::

    1 - cos(h, h')                      DistilBERT (arXiv 1910.01108): the last layer, both models of one size
    mean over the size of (h W - h')^2  TinyBERT (arXiv 1909.10351, equation 8): any layers, W trained with the student

W maps the student's size to the teacher's. It is one matrix for all layers, without a bias, as the paper has it (its code
adds one), and it is there where the sizes differ; TinyBERT has it always (``projection = "always"``). The states are those
that predict the scored tokens; the papers take all tokens of a text. DistilBERT's code weighs KL, MLE and cosine by 5, 2 and 1,
at temperature 2; TinyBERT's terms weigh alike, as here, and temperatures are 1. TinyBERT's other terms, on attention maps,
are left out: they would need all of a model's attention weights.

Layers are numbered as in `kdzoo.ConditionedModel.hidden`: 0 is what goes into the first, n what comes out of the n-th, -1
stands for the last. TinyBERT's uniform map of a student with 4 layers to a teacher with 12 is ``layers = [0, 1, 2, 3, 4]``,
``teacher_layers = [0, 3, 6, 9, 12]``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from kdzoo import LossSum, Method, StepCost, UserError, WeightedOptions, divergences, hookimpl

if TYPE_CHECKING:
    from torch import Tensor, nn

    from kdzoo import SetupContext, Step


class HiddenOptions(WeightedOptions):
    """The layers that are compared, in pairs, and how."""

    hidden_weight: float = Field(
        1.0, ge=0, allow_inf_nan=False, description="factor of the hidden states' distance"
    )
    loss: Literal["cosine", "mse"] = Field(
        "cosine", description="distance of two hidden states: 1 - cosine, or mean squared difference"
    )
    layers: tuple[int, ...] = Field(
        (-1,), min_length=1, description="layers of the student; 0 is the embedding, -1 the last"
    )
    teacher_layers: tuple[int, ...] = Field(
        (-1,), min_length=1, description="layers of the teacher that they are compared with, in this order"
    )
    projection: Literal["if_sizes_differ", "always"] = Field(
        "if_sizes_differ", description="when the student's states pass through a trained matrix"
    )

    @model_validator(mode="after")
    def _is_of_pairs(self) -> HiddenOptions:
        if len(self.layers) != len(self.teacher_layers):
            raise ValueError(
                f"layers and teacher_layers must be as many, not {len(self.layers)} and {len(self.teacher_layers)}"
            )
        return self

    @property
    def hidden_layers(self) -> tuple[int, ...]:
        return self.layers

    @property
    def teacher_hidden_layers(self) -> tuple[int, ...]:
        return self.teacher_layers


@hookimpl
def register_method() -> Method:
    return Method(
        name="hidden",
        summary="Forward KL and MLE, and a distance between the hidden states of chosen layers.",
        paper="Sanh et al. 2019, DistilBERT (arXiv 1910.01108); Jiao et al. 2020, TinyBERT (arXiv 1909.10351)",
        training_data="ground truth",
        divergence="KL(p‖q)",
        aux_loss="MLE on y, cosine or MSE of hidden states",
        cost=StepCost(student=1, teacher=1),
        options=HiddenOptions,
    )


@hookimpl
def setup(context: SetupContext, options: HiddenOptions) -> nn.Module | None:
    """The matrix W, if there is one."""
    from torch import nn

    student, teacher = context.student, context.teacher
    assert teacher is not None
    _check("layers", options.layers, student.layers)
    _check("teacher_layers", options.teacher_layers, teacher.layers)
    if student.hidden_size == teacher.hidden_size and options.projection != "always":
        return None
    return nn.Linear(student.hidden_size, teacher.hidden_size, bias=False)


@hookimpl
def divergence(student_logits: Tensor, teacher_logits: Tensor, options: HiddenOptions) -> Tensor:
    return options.kd_weight * divergences.forward_kl(student_logits, teacher_logits)


@hookimpl
def aux_loss(step: Step, options: HiddenOptions) -> list[Tensor | LossSum]:
    """MLE, and the sum of the distances of all pairs of layers over all tokens."""
    y = step.target
    terms: list[Tensor | LossSum] = []
    if options.mle_weight:
        terms.append(options.mle_weight * step.student.cross_entropy(y))
    if options.hidden_weight:
        of_student = step.student.hidden(y, options.layers)
        of_teacher = step.teacher.hidden(y, options.teacher_layers)
        for mine, theirs in zip(of_student, of_teacher, strict=True):
            states, wanted = mine[y.mask], theirs[y.mask]
            if states.shape[1] != wanted.shape[1] or options.projection == "always":
                states = step.state(states.to(step.state.weight.dtype))
            total = options.hidden_weight * distances(states, wanted, options.loss).sum()
            terms.append(LossSum(total, per="scored_token"))
    return terms


def distances(states: Tensor, wanted: Tensor, loss: Literal["cosine", "mse"]) -> Tensor:
    """How far hidden states [N, H] are from those that are wanted, each: [N], computed at least in float32."""
    import torch

    wide = torch.promote_types(states.dtype, torch.float32)
    states, wanted = states.to(wide), wanted.to(wide)
    if loss == "mse":
        return (states - wanted).square().mean(1)
    return 1 - torch.nn.functional.cosine_similarity(states, wanted, dim=1)


def _check(option: str, layers: tuple[int, ...], depth: int) -> None:
    """Check that a model of so many layers has these.

    Raises:
        UserError: it has not.
    """
    for layer in layers:
        if not -depth - 1 <= layer <= depth:
            raise UserError(
                f"hidden: {option}: there is no layer {layer}; the model has layers 0 (what goes into the first) to {depth}, "
                "or -1 for the last and so on"
            )
