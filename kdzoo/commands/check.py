"""``kdzoo check``: whether a plugin keeps the rules."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click
from pydantic import BaseModel

from kdzoo.commands.imported_for_good import imported_for_good
from kdzoo.commands.many_values import WithManyValues
from kdzoo.errors import UserError

if TYPE_CHECKING:
    from kdzoo.tasks.dataset import DataConfig
    from kdzoo.tasks.registry import Registry
    from kdzoo.testing import CheckResult

_Model = TypeVar("_Model", bound=BaseModel)

_COLOURS = {"failed": "red", "not run": "yellow", "expected failure": "yellow", "passed": "green"}


@click.command("check", cls=WithManyValues, many_values=("--options",))
@click.argument("method", required=False)
@click.option(
    "--options",
    "given",
    multiple=True,
    metavar="KEY=VALUE...",
    help="Options of the method, or keys of the dataset's [data] table; the defaults stand for the rest.",
)
@click.option("--dataset", metavar="NAME", help="Check this dataset; with --metric, answer its questions.")
@click.option("--metric", metavar="NAME", help="Check this metric, on made-up texts or on a dataset's.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    method: str | None, given: tuple[str, ...], dataset: str | None, metric: str | None, as_json: bool
) -> None:
    """Check that the installed METHOD, or a dataset or metric, keeps the rules of kdzoo's plugins.

    Every rule has a line: passed, failed, expected failure (declared by the method), not run (as it needs one that did not
    pass), or does not apply. Exit code 1 if one failed.

    \b
    kdzoo check kid --options alpha=0.5 strategy=hard
    kdzoo check --dataset jsonl --options train=train.jsonl
    kdzoo check --metric ex --dataset embedded --options questions=40 databases=2
    """
    values = _values(given)
    if (method is None) == (dataset is None and metric is None):
        raise click.UsageError("name a METHOD, or a dataset by --dataset, or a metric by --metric")
    results: list[CheckResult]
    if method is not None:
        what, name, results = "method", method, _check_method(method, values)
    elif metric is not None:
        what, name, results = "metric", metric, _check_metric(metric, dataset, values)
    else:
        assert dataset is not None
        what, name, results = "dataset", dataset, _check_dataset(dataset, values)
    if as_json:
        click.echo(json.dumps(_described(what, name, values, results), indent=2, ensure_ascii=False))
    else:
        _print(name, results)
    if any(result.outcome == "failed" for result in results):
        if metric is not None and dataset is None:
            click.echo("the metric was given texts alone; --dataset gives it a dataset's examples", err=True)
        sys.exit(1)


def _check_method(name: str, values: dict[str, Any]) -> list[CheckResult]:
    from kdzoo.methods.registry import discover

    zoo = discover()
    if name in zoo.plugins:
        unknown = f"unknown option of method {name}"
        values = _checked(zoo.plugins[name].method.options, values, unknown).model_dump(by_alias=True)
    with imported_for_good():
        from kdzoo.testing import method_report

    return method_report(name, values)


def _check_dataset(name: str, values: dict[str, Any]) -> list[CheckResult]:
    from kdzoo.tasks import registry

    try:
        table = _table(name, values)
    except UserError:
        if not _is_broken(registry.datasets, name):
            raise
        table = None
    from kdzoo.testing import dataset_report

    return dataset_report(name, table)


def _check_metric(name: str, dataset: str | None, values: dict[str, Any]) -> list[CheckResult]:
    import tempfile
    from pathlib import Path

    from kdzoo.tasks import registry
    from kdzoo.tasks.load import load

    if not _is_broken(registry.metrics, name):
        registry.metrics.find(name)
    if dataset is None and values:
        raise click.UsageError("--options of a --metric are keys of a dataset's table: name it by --dataset")
    from kdzoo.testing import metric_report

    if dataset is None:
        return metric_report(name)
    table = _table(dataset, values)
    for key, path in registry.datasets.find(dataset).missing(table):
        raise UserError(f"dataset {dataset}: {key}: there is no {path}")
    with tempfile.TemporaryDirectory() as cache:
        return metric_report(name, load(table, cache=Path(cache)))


def _is_broken(registry: Registry[Any], name: str) -> bool:
    """Whether what has that name cannot be loaded, which a check tells."""
    try:
        registry.find(name)
    except UserError:
        return name in registry.names()
    return False


def _table(dataset: str, values: dict[str, Any]) -> DataConfig:
    from kdzoo.tasks import registry

    config: type[DataConfig] = registry.datasets.find(dataset).config
    return _checked(config, {"kind": dataset, **values}, f"unknown key of dataset {dataset}")


def _checked(model: type[_Model], values: dict[str, Any], unknown: str) -> _Model:
    """The values as the model's, checked as those of a recipe are.

    Raises:
        UserError: one of them is not right.
    """
    from kdzoo.recipe.checks import check_table
    from kdzoo.recipe.origin import Origin
    from kdzoo.recipe.problems import Problems

    problems = Problems(Origin())
    checked = check_table(model, values, (), problems, unknown=unknown)
    if checked is None or problems.texts:
        raise UserError("\n".join(f"--options: {text}" for text in problems.texts))
    return checked


def _values(given: Sequence[str]) -> dict[str, Any]:
    from kdzoo.recipe.overrides import parse_value

    values = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise click.UsageError(f"--options {text}: write KEY=VALUE; METHOD stands before --options")
        values[key.strip()] = parse_value(value.strip())
    return values


def _print(name: str, results: Sequence[CheckResult]) -> None:
    from kdzoo.testing.check import summary

    for result in results:
        outcome = click.style(f"{result.outcome:16}", fg=_COLOURS.get(result.outcome))
        click.echo(f"{outcome}  {result.name}: {result.reason.removeprefix('not run: ')}")
    click.echo(f"{name}: {summary(results)}")


def _described(
    what: str, name: str, values: dict[str, Any], results: Sequence[CheckResult]
) -> dict[str, Any]:
    checks = [{"name": r.name, "outcome": r.outcome, "reason": r.reason} for r in results]
    failed = any(result.outcome == "failed" for result in results)
    return {what: name, "options": values, "failed": failed, "checks": checks}
