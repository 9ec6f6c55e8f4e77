"""Several teachers, weighted: the losses to each, or the loss to their mixture.

With weights w of the teachers p_k, which count by their shares of their sum, and a divergence D, per token of the ground truth:

- ``combine = "distributions"``: D(sum w_k p_k, q), the teachers' probabilities averaged (You et al. 2017, Learning from
  Multiple Teacher Networks, KDD: "averaging the softened outputs", all weights alike, beside a loss on the labels);
- ``combine = "losses"``: sum w_k D(p_k, q). With ``trust``, each w_k is divided by 1 + the teacher's own cross entropy on the
  token, as in MT-BERT's distillation loss (Wu et al. 2021, One Teacher is Enough?, arXiv 2106.01023: the sum over the
  teachers of CE(y_k, y_s) / (1 + CE(y, y_k)), all weights alike).

For the forward KL both have the same gradients, as KL(p‖q) is linear in p but for what does not depend on q; without
``trust``. The reverse KLs add up to that to the normalised geometric mean of the teachers, which is another than their mixture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field

from kdzoo import Method, Options, StepCost, WeightedOptions, divergences, hookimpl, mle_on_target

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from kdzoo import ScoredTokens

_NO_TEACHERS = ("student", "average")


def _checked(weights: dict[str, float]) -> dict[str, float]:
    if not weights:
        raise ValueError("must name a teacher at least")
    for name, weight in weights.items():
        if name in _NO_TEACHERS:
            raise ValueError(f"{name} is no teacher of this method")
        if not 0 < weight < float("inf"):
            raise ValueError(f"{name} must have a weight greater than 0, and a finite one")
    return weights


class MultiOptions(WeightedOptions):
    """The teachers by name: "teacher" is the recipe's [teacher], others its [teachers.NAME], "base" the student's own base."""

    weights: Annotated[dict[str, float], AfterValidator(_checked)] = Field(
        {"teacher": 1.0}, description="the teachers' names with their weights, of which only the ratios count"
    )
    combine: Literal["losses", "distributions"] = Field(
        "losses", description="the teachers' losses are averaged, or their distributions are"
    )
    divergence: Literal["fkl", "rkl", "jsd", "tvd"] = Field(
        "fkl", description="forward KL, reverse KL, generalised JSD, total variation distance"
    )
    beta: float = Field(0.5, ge=0, le=1, description="share of the teacher in the mixture of jsd")
    trust: bool = Field(
        False,
        description="each teacher's loss is divided by 1 + its own cross entropy on the token (MT-BERT)",
    )

    @property
    def teacher_names(self) -> tuple[str, ...]:
        return tuple(name for name in self.weights if name != "teacher")

    @property
    def teacher_model(self) -> str:
        return "teacher" if "teacher" in self.weights else next(iter(self.weights))


def expected_failures(options: Options) -> dict[str, str]:
    """There is no agreeing with several teachers at once."""
    if not isinstance(options, MultiOptions) or len(options.weights) == 1:
        return {}
    return {"divergence_is_smallest_at_the_teacher": "it is smallest between several teachers"}


@hookimpl
def register_method() -> Method:
    return Method(
        name="multi",
        summary="Several teachers on the ground truth, their losses or their distributions averaged, plus MLE.",
        paper="You et al. 2017, Learning from Multiple Teacher Networks (KDD 2017)",
        training_data="ground truth",
        divergence="mean of KL(p_k‖q) (or KL(q‖p_k), JSD, TVD; or of the mean of p_k)",
        aux_loss="MLE on y",
        cost=StepCost(student=1, teacher=1),
        options=MultiOptions,
        expected_failed_checks=expected_failures,
    )


@hookimpl
def divergence(
    student_logits: Tensor,
    teacher_logits: Tensor,
    other_logits: Mapping[str, Tensor],
    tokens: ScoredTokens,
    options: MultiOptions,
) -> Tensor:
    total = sum(options.weights.values())
    shares = {name: weight / total for name, weight in options.weights.items()}
    teachers = {
        name: teacher_logits if name == options.teacher_model else other_logits[name] for name in shares
    }
    if options.combine == "distributions":
        return options.kd_weight * distance(student_logits, mixture(teachers, shares), options)
    losses = []
    for name, logits in teachers.items():
        own = divergences.cross_entropy(logits.detach(), tokens.ids) if options.trust else 0
        losses.append(shares[name] / (1 + own) * distance(student_logits, logits, options))
    return options.kd_weight * sum(losses[1:], losses[0])


aux_loss = mle_on_target()


def distance(student_logits: Tensor, teacher_logits: Tensor, options: MultiOptions) -> Tensor:
    """The divergence of each token to one distribution: [N, V] -> float32 [N]."""
    if options.divergence == "rkl":
        return divergences.reverse_kl(student_logits, teacher_logits)
    if options.divergence == "jsd":
        return divergences.jensen_shannon(student_logits, teacher_logits, options.beta)
    if options.divergence == "tvd":
        return divergences.total_variation(student_logits, teacher_logits)
    return divergences.forward_kl(student_logits, teacher_logits)


def mixture(logits: Mapping[str, Tensor], shares: Mapping[str, float]) -> Tensor:
    """Log of the mean of distributions by their shares, which are logits of it: float32 [N, V]."""
    import math

    import torch

    return torch.stack(
        [logits[name].float().log_softmax(-1) + math.log(share) for name, share in shares.items()]
    ).logsumexp(0)
