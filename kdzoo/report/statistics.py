"""How sure a score is, and whether two models differ by more than chance: pure functions of arrays.

A model's scores are a float array [S, Q]: S seeds, each a training of its own, and Q questions, the same in each row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

Scores = npt.NDArray[np.float64]

_CONFIDENCE = 0.95
_FLIPS = 9999


@dataclass(frozen=True)
class Variance:
    """The estimated variance of a mean, and the degrees of freedom of the estimate (None: as good as many)."""

    value: float
    degrees: float | None


@dataclass(frozen=True)
class PairedTest:
    """A two-sided test of "both answer the questions equally well": its name and its p-value."""

    name: str
    p: float


def is_true_or_false(scores: Scores) -> bool:
    """Whether each score is 0 or 1."""
    return bool(np.isin(scores, (0.0, 1.0)).all())


def mean_interval(scores: Scores) -> tuple[float, float] | None:
    """The 95% interval of the mean of scores [S, Q], over questions and, where there are several, over seeds.

    Of one seed and scores that are true or false it is Wilson's (1927). In general it is the same formula with the
    number of independent answers that the mean's variance amounts to (the "effective sample size" of complex surveys:
    Korn and Graubard 1998; Franco, Little, Louis and Slud 2019) and Student's t for the normal quantile; see
    `variance_of_mean`. Scores that leave [0, 1] get Student's interval. With three seeds a bootstrap over seeds and
    questions (Owen 2007) covers less than it says, since three seeds resampled vary too little; this one does not.

    None for a single question, which says nothing of others, unless it is one seed's answer that is true or false.
    """
    seeds, questions = scores.shape
    mean = float(scores.mean())
    if seeds == 1 and is_true_or_false(scores):
        return wilson_interval(round(float(scores.sum())), questions)
    if questions < 2:
        return None
    variance = variance_of_mean(scores)
    quantile = _quantile(variance.degrees)
    if scores.min() < 0 or scores.max() > 1:
        half = quantile * variance.value**0.5
        return mean - half, mean + half
    spread = mean * (1 - mean)
    if spread == 0:
        return _wilson(mean, questions, quantile)  # the same answer in each seed: questions alone count
    count = seeds * questions if variance.value == 0 else spread / variance.value
    if is_true_or_false(scores):
        count = min(count, seeds * questions)  # answers are at best independent
    return _wilson(mean, count, quantile)


def wilson_interval(right: int, count: int) -> tuple[float, float]:
    """The 95% interval of a proportion (Wilson 1927)."""
    low, high = stats.binomtest(right, count).proportion_ci(_CONFIDENCE, method="wilson")
    return float(low), float(high)


def variance_of_mean(scores: Scores) -> Variance:
    """The variance of the mean of scores [S, Q] where both seeds and questions are drawn at random.

    The two-way random-effects analysis of variance with one value a cell (Searle, Casella and McCulloch 1992, chapter
    4): (MS_seeds + MS_questions - MS_rest) / (S Q), with components below zero taken as zero, and Satterthwaite's (1946)
    degrees of freedom. Of one seed it is the questions' sample variance / Q (of true or false: p (1 - p) / Q).
    """
    seeds, questions = scores.shape
    if seeds == 1:
        if is_true_or_false(scores):
            return Variance(float(scores.var()) / questions, None)
        return Variance(float(scores.var(ddof=1)) / questions, questions - 1)
    of_seeds, of_questions = scores.mean(axis=1), scores.mean(axis=0)
    rest = scores - of_seeds[:, None] - of_questions[None, :] + scores.mean()
    degrees = np.array([seeds - 1, questions - 1, (seeds - 1) * (questions - 1)], dtype=float)
    squares = np.array(
        [
            questions * of_seeds.var(ddof=1),
            seeds * of_questions.var(ddof=1),
            float((rest**2).sum()) / degrees[2],
        ]
    )
    between_seeds, between_questions = squares[0] > squares[2], squares[1] > squares[2]
    # MS_rest is taken off once for each component that is there beside it
    signs = np.array([between_seeds, between_questions, 1 - int(between_seeds) - int(between_questions)])
    total = float(signs @ squares)
    if total <= 0:
        return Variance(0.0, None)
    freedom = total**2 / float((signs**2 * squares**2 / degrees).sum())
    return Variance(total / (seeds * questions), freedom)


def paired_test(scores: Scores, baseline: Scores, seed: int = 0) -> PairedTest:
    """Test whether two models answer the same questions equally well; scores [S, Q] and [S', Q].

    One seed each and true or false: McNemar's exact test. Otherwise a permutation test that flips the sign of each
    question's difference between the means over seeds: exact up to 13 questions, then of 9,999 draws by ``seed``. It
    holds for the models as they were trained: that other seeds could train better ones is the intervals' business.
    """
    if scores.shape[0] == baseline.shape[0] == 1 and is_true_or_false(scores) and is_true_or_false(baseline):
        return PairedTest("McNemar's exact test", mcnemar(scores[0], baseline[0]))
    return PairedTest(
        "sign-flip permutation test", sign_flip(scores.mean(axis=0) - baseline.mean(axis=0), seed)
    )


def mcnemar(first: Scores, second: Scores) -> float:
    """The exact p-value of McNemar's (1947) test: of the questions that only one got [Q], are half the first's?"""
    only_first = int(((first == 1) & (second == 0)).sum())
    only_second = int(((first == 0) & (second == 1)).sum())
    if only_first + only_second == 0:
        return 1.0
    return float(stats.binomtest(only_first, only_first + only_second).pvalue)


def sign_flip(differences: Scores, seed: int = 0) -> float:
    """The p-value of Fisher's (1935) randomisation test: is the mean of the differences [Q] as if signs were chance?"""
    different = differences[differences != 0]  # a zero has no sign, and adds nothing to any mean
    if different.size < 2:
        return 1.0  # of one difference either sign is as far from zero
    found = stats.permutation_test(
        (different,),
        lambda x, axis: x.sum(axis=axis),
        permutation_type="samples",
        n_resamples=_FLIPS,
        batch=max(1, 500_000 // different.size),  # so many numbers fit a cache
        vectorized=True,
        rng=np.random.default_rng(seed),
    )
    return float(found.pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values corrected for their number (Holm 1979): below 0.05, the chance of any false one is below 0.05."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = highest
    return corrected


def _quantile(degrees: float | None) -> float:
    level = (1 + _CONFIDENCE) / 2
    return float(stats.norm.ppf(level) if degrees is None else stats.t.ppf(level, degrees))


def _wilson(share: float, count: float, quantile: float) -> tuple[float, float]:
    """Wilson's interval of a share of ``count`` independent answers, which need be no whole number."""
    square = quantile**2
    middle = (share + square / (2 * count)) / (1 + square / count)
    half = quantile * (share * (1 - share) / count + square / (4 * count**2)) ** 0.5 / (1 + square / count)
    # exact at the ends, where rounding would miss them
    return (0.0 if share == 0 else max(0.0, middle - half)), (1.0 if share == 1 else min(1.0, middle + half))
