"""Evaluation sets: the evaluation part of a dataset, by a name and with settings of its own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import ConfigDict, Field

from kdzoo.recipe.names import as_name
from kdzoo.recipe.tables import Evaluation, MetricName, Table
from kdzoo.tasks import registry
from kdzoo.tasks.dataset import DataConfig, Dataset, Part


class EvaluationSet(Table):
    """[evaluation_sets.NAME]: a dataset's evaluation part by a name of its own.

    Any key of the dataset may stand here too and then counts instead of the dataset's: another ``evaluation`` file,
    ``test_suites``, ``evidence``.
    """

    model_config = ConfigDict(extra="allow")

    data: str | None = Field(
        None, description="the dataset: NAME of a [datasets.NAME]; default: the one of [data]"
    )
    metrics: tuple[MetricName, ...] = Field(
        (),
        description="default: those of [evaluation] that fit the dataset; if there are none, the dataset's usual ones",
    )
    max_examples: int | None = Field(
        None, ge=1, description="the first so many questions; default: that of [evaluation]"
    )

    @property
    def dataset_keys(self) -> dict[str, Any]:
        """The dataset's keys that are given here."""
        return dict(self.model_extra or {})

    def with_keys(self, dataset_keys: dict[str, Any]) -> EvaluationSet:
        """The same set with these keys of its dataset instead of its own."""
        own = {key: value for key, value in self.model_dump().items() if key not in self.dataset_keys}
        return EvaluationSet(**own, **dataset_keys)

    def over(self, data: DataConfig) -> DataConfig:
        """The dataset's table, with the keys given here over its own."""
        if not self.dataset_keys:
            return data
        return type(data).model_validate({**data.model_dump(by_alias=True), **self.dataset_keys})


@dataclass(frozen=True)
class ScoredSet:
    """An evaluation set with everything filled in, as a stage scores it.

    ``data`` is its dataset's table, narrowed to what evaluation reads; ``evaluation`` has its metrics and number of
    questions.
    """

    name: str
    data: DataConfig
    evaluation: Evaluation


def dataset_of(data: DataConfig) -> Dataset[Any]:
    """The dataset that a table is for."""
    return registry.datasets.find(data.kind)


def part_of(data: DataConfig, part: Part) -> DataConfig | None:
    """A table without what only the other part needs; None where it has nothing of this one."""
    narrowed: DataConfig | None = dataset_of(data).part_of(data, part)
    return narrowed


def fitting(metrics: Iterable[str], data: DataConfig) -> tuple[str, ...]:
    """Those of some metrics that fit a dataset, each once."""
    dataset = dataset_of(data)
    return tuple(name for name in dict.fromkeys(metrics) if registry.fits(name, dataset))


def set_name_of(data: DataConfig) -> str:
    """The name of the only set of a recipe without [evaluation_sets]: the dataset's, as far as it is a file's."""
    return as_name(data.kind)
