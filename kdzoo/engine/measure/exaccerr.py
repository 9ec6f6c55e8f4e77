"""ExAccErr, the excess accumulated error: how much a student errs because it continues from its own tokens.

Arora et al. 2022, "Why Exposure Bias Matters" (arXiv 2204.01171), with a teacher as the oracle as in Gu et al. 2023
(MiniLLM, arXiv 2306.08543). For the errors KL_t of `kdzoo.engine.measure.step_errors`,

    R(l)        = sum over t <= l of E[KL_t], prefixes sampled from the student,
    eps(l)      = 1/l times the sum over t <= l of E[KL_t], prefixes from the oracle (the teacher, or the gold target),
    ExAccErr(l) = 100 (R(l) - l eps(l)) / (l eps(l)), in percent.

What E[KL_t] is where sequences have ended before step t is a convention: see `Average`. So is whether the step that
predicts the first token counts, at which no prefix differs. docs/exaccerr.md says which figures follow which.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from kdzoo.engine.measure.step_errors import PromptErrors, StepErrors

Average = Literal["all", "unfinished"]
"""What E[KL_t] averages over.

"all": all sequences; one that has ended adds nothing. A student whose texts are longer errs at more steps.
"unfinished": the sequences that have a step t, those of all prompts together; undefined where there is none.
"""


@dataclass(frozen=True)
class ExAccErr:
    """The measures of this module's head at one ``length`` l, over ``prompts`` prompts.

    ``accumulated`` is R(l) in nats, ``per_step`` is eps(l) in nats per step, ``excess`` is R(l) - l eps(l) in nats.
    ``percent`` is ExAccErr(l); None where l eps(l) is 0, which no excess can be measured by. All are None where no
    sequence is left to average over. ``standard_error`` is that of ``percent``: of a ratio of means, to first order
    (the delta method), the prompts drawn independently; None for fewer than two.
    """

    length: int
    accumulated: float | None
    per_step: float | None
    excess: float | None
    percent: float | None
    standard_error: float | None
    prompts: int


def curve(
    errors: Sequence[PromptErrors], limit: int, *, average: Average = "all", first_token: bool = True
) -> list[ExAccErr]:
    """Put together the errors after all prompts: ExAccErr at every l from 1 to the ``limit`` of steps.

    Without the ``first_token`` l counts from the step of the second one, so that there is one l less.
    """
    # in a fixed order, so that the result is the same whatever order the batches came in
    ordered = sorted(errors, key=lambda error: error.index)
    start = 0 if first_token else 1
    own, oracle = (
        _accumulated([getattr(error, of) for error in ordered], start, limit, average)
        for of in ("after_student", "after_oracle")
    )
    return [_at(length, own, oracle, len(ordered)) for length in range(1, limit - start + 1)]


@dataclass(frozen=True, eq=False)
class _Accumulated:
    """The sum of E[KL_t] over the first l steps, for each l; NaN where it is undefined.

    ``by_prompt`` float64 [P, L] are numbers of the prompts whose means these are, and which vary as much: the prompts'
    own where a mean over prompts is taken, and the ratio's linear part (to first order) where it is a ratio of means.
    """

    values: list[float]
    by_prompt: Tensor


def _accumulated(errors: Sequence[StepErrors], start: int, limit: int, average: Average) -> _Accumulated:
    if not errors:
        return _Accumulated([0.0] * (limit - start), torch.zeros(0, limit - start))
    sums = torch.stack([error.sums for error in errors])[:, start:]
    if average == "all":
        by_prompt = (sums / torch.tensor([[error.sequences] for error in errors])).cumsum(1)
        return _Accumulated(_means(by_prompt), by_prompt)
    going = torch.stack([error.going for error in errors])[:, start:]
    mean_going = torch.tensor(_means(going), dtype=torch.float64)
    # 0 / 0 where none is left: from there on there is no sum
    means = torch.tensor(_means(sums), dtype=torch.float64) / mean_going
    by_prompt = (means + (sums - means * going) / mean_going).cumsum(1)
    return _Accumulated(means.cumsum(0).tolist(), by_prompt)


def _means(by_prompt: Tensor) -> list[float]:
    """The means over the prompts of float64 [P, L], rounded once each."""
    return [math.fsum(column) / len(column) for column in by_prompt.T.tolist()]


def _at(length: int, own: _Accumulated, oracle: _Accumulated, prompts: int) -> ExAccErr:
    r, l_eps = own.values[length - 1], oracle.values[length - 1]
    if math.isnan(r) or math.isnan(l_eps):
        return ExAccErr(length, None, None, None, None, None, prompts)
    percent = standard_error = None
    if l_eps > 0:
        percent = 100 * (r - l_eps) / l_eps
        if prompts > 1:
            residuals = own.by_prompt[:, length - 1] - r / l_eps * oracle.by_prompt[:, length - 1]
            variance = math.fsum((residuals * residuals).tolist()) / (prompts * (prompts - 1))
            standard_error = 100 * math.sqrt(variance) / l_eps
    return ExAccErr(length, r, l_eps / length, r - l_eps, percent, standard_error, prompts)
