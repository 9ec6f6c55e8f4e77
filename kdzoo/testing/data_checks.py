"""Checks that a dataset and a metric keep the rules that recipes and runs rely on."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from kdzoo.errors import UserError
from kdzoo.tasks import registry
from kdzoo.tasks.dataset import DataConfig, Dataset
from kdzoo.tasks.example import Splits
from kdzoo.tasks.metric import ComparedModels, Metric
from kdzoo.tasks.registry import Registry
from kdzoo.testing import dataset_rules, metric_rules
from kdzoo.testing.check import CheckResult, Outcome, failure, not_run, raise_failures, run_checks
from kdzoo.testing.dataset_case import DatasetCase
from kdzoo.testing.metric_case import MADE_UP, MetricCase

_READ = "plugin_can_be_read"

_Description = TypeVar("_Description")


def check_dataset(dataset: str | Dataset[Any], table: Mapping[str, Any] | None = None) -> None:
    """Check that a dataset keeps the rules of `kdzoo.Dataset`, with the data that a table names.

    ``dataset`` is the name of an installed one, or its description. ``table`` are the keys of [data] beside ``kind``; keep
    the data small, as they are loaded several times.

    Checked are: the description; that the table refuses other keys and survives being written; that loading gives
    examples with texts and unique ids, and the same ones again, with and without what it has kept, and in another process;
    that it leaves global generators alone; that a part of the table gives that part's examples; and that every file that is
    read shapes the fingerprint.

    Raises:
        CheckError: rules are broken; the message says which, and why the dataset breaks them. An AssertionError.
        UserError: no dataset of that name is installed, or the data that the table names are not there.
        pydantic.ValidationError: the dataset has no such ``table``.
    """
    results = dataset_report(dataset, table)
    raise_failures(dataset if isinstance(dataset, str) else dataset.name, results)


def dataset_report(
    dataset: str | Dataset[Any], table: Mapping[str, Any] | DataConfig | None = None
) -> list[CheckResult]:
    """Run the checks of `check_dataset` and give the result of each, in a fixed order.

    Raises:
        UserError: no dataset of that name is installed, or the data that the table names are not there.
        pydantic.ValidationError: the dataset has no such ``table``.
    """
    if isinstance(dataset, str):
        read = _read(registry.datasets, dataset)
        if isinstance(read, CheckResult):
            return [read, *(not_run(check, _READ) for check in dataset_rules.CHECKS)]
        dataset = read
    config: DataConfig = (
        table
        if isinstance(table, DataConfig)
        else dataset.config(**{"kind": dataset.name, **dict(table or {})})
    )
    for key, path in dataset.missing(config):
        raise UserError(f"dataset {dataset.name}: {key}: there is no {path}")
    with tempfile.TemporaryDirectory() as folder:
        return [_is_read(), *run_checks(dataset_rules.CHECKS, DatasetCase(dataset, config, Path(folder)))]


def check_metric(
    metric: str | Metric, splits: Splits | None = None, *, models: ComparedModels | None = None
) -> None:
    """Check that a metric keeps the rules of `kdzoo.Metric`, on answers that are right, wrong, empty and odd.

    ``metric`` is the name of an installed one, or its description. ``splits`` are the data whose evaluation examples are
    answered, made-up ones of text alone unless given. One that compares with a teacher is asked to measure where ``models``
    are given.

    Checked are: the description; that any answer can be judged; that the score is None or a number, a fraction unless the
    metric writes its scores in its own way; that there is a line for each answer, or none, with a verdict in range; that lines and details
    can be written as JSON; that measuring again gives the same, and verdicts do not depend on the order of the answers.

    Raises:
        CheckError: rules are broken; the message says which, and why the metric breaks them. An AssertionError.
        UserError: no metric of that name is installed, or there is no example.
    """
    results = metric_report(metric, splits, models=models)
    raise_failures(metric if isinstance(metric, str) else metric.name, results)


def metric_report(
    metric: str | Metric, splits: Splits | None = None, *, models: ComparedModels | None = None
) -> list[CheckResult]:
    """Run the checks of `check_metric` and give the result of each, in a fixed order.

    Raises:
        UserError: no metric of that name is installed, or there is no example.
    """
    if isinstance(metric, str):
        read = _read(registry.metrics, metric)
        if isinstance(read, CheckResult):
            return [read, *(not_run(check, _READ) for check in metric_rules.CHECKS)]
        metric = read
    given = MADE_UP if splits is None else splits
    if not given.evaluation:
        raise UserError(f"metric {metric.name}: there is no example to evaluate on")
    return [_is_read(), *run_checks(metric_rules.CHECKS, MetricCase(metric, given, models))]


def _read(registry: Registry[_Description], name: str) -> _Description | CheckResult:
    """What is installed by that name, or the result of the check that it could not be read."""
    try:
        return registry.find(name)
    except UserError as error:
        if name in registry.names():
            return failure(_READ, str(error), error)
        raise


def _is_read() -> CheckResult:
    return CheckResult(_READ, Outcome.PASSED, "Its module can be imported and describes it.")
