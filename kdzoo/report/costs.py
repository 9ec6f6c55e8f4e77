"""What training a model took, and a step's time relative to the SFT student's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from kdzoo.report.groups import ModelGroup, baseline_of, have_same_data
from kdzoo.report.run_files import is_number


@dataclass(frozen=True)
class Cost:
    """What training one model took: the median over its seeds, of peak memory the highest. None: not recorded."""

    step_seconds: float | None = None
    training_seconds: float | None = None
    preparing_seconds: float | None = None
    peak_memory_bytes: int | None = None


def cost_of(group: ModelGroup) -> Cost:
    """The cost of models that differ in seeds alone."""
    results = [member.training.results for member in group.members if member.training is not None]

    def numbers(key: str) -> list[float]:
        return [result[key] for result in results if is_number(result.get(key))]

    def middle(key: str) -> float | None:
        return median(numbers(key)) if numbers(key) else None

    peak = max(numbers("peak_memory_bytes"), default=None)
    return Cost(
        middle("step_seconds"),
        middle("training_seconds"),
        middle("preparing_seconds"),
        None if peak is None else int(peak),
    )


def relative_step(group: ModelGroup, groups: Iterable[ModelGroup]) -> float | None:
    """A step's time over the SFT student's; a teacher stands beside the only one that learnt from its data."""
    baseline = _beside(group, list(groups))
    own, other = cost_of(group).step_seconds, None if baseline is None else cost_of(baseline).step_seconds
    return own / other if own and other else None


def _beside(group: ModelGroup, groups: list[ModelGroup]) -> ModelGroup | None:
    if group.role == "student":
        return baseline_of(group, groups)
    learnt_alike = [other for other in groups if other.is_baseline and have_same_data(other, group)]
    return learnt_alike[0] if len(learnt_alike) == 1 else None
