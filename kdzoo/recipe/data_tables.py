"""Checks the tables of a recipe that say what is trained and evaluated on: [data], [datasets] and [evaluation_sets]."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from kdzoo.errors import UserError
from kdzoo.recipe.checks import check_table, named_tables, one_of, shown
from kdzoo.recipe.lines import Key
from kdzoo.recipe.problems import Problems
from kdzoo.recipe.sets import EvaluationSet
from kdzoo.spelling import did_you_mean, hint
from kdzoo.tasks.dataset import DataConfig
from kdzoo.tasks.registry import datasets


def checked_data(table: Any, problems: Problems, at: Key = ("data",)) -> DataConfig | None:
    """Give the table of a dataset as the dataset's own model; None if too little of it is right."""
    if table is None:
        problems.add(at, 'is missing; add a [data] table; for example kind = "embedded"')
    elif not isinstance(table, dict):
        problems.add(at, f"must be a table, not {shown(table)}")
    elif (kind := kind_of(table, datasets.names(), at, problems)) is not None:
        try:
            model = datasets.find(kind).config
        except UserError as error:
            problems.add((*at, "kind"), str(error))
            return None
        return check_table(model, table, at, problems)
    return None


def kind_of(table: dict[str, Any], kinds: Collection[str], at: Key, problems: Problems) -> str | None:
    """Give the kind that a table names, if it is one of the known ones."""
    kind = table.get("kind")
    if isinstance(kind, str) and kind in kinds:
        return kind
    allowed = one_of(list(kinds))
    if kind is None:
        problems.add((*at, "kind"), f"is missing; it is {allowed}")
    else:
        problems.add((*at, "kind"), f"must be {allowed}, not {shown(kind)}{did_you_mean(kind, kinds)}")
    return None


def checked_datasets(tables: Any, problems: Problems) -> dict[str, DataConfig] | None:
    """Give the tables of [datasets] by their names; None if too little of one is right."""
    found = {
        name: checked_data(table, problems, ("datasets", name))
        for name, table in named_tables("datasets", tables, problems)
    }
    right = {name: data for name, data in found.items() if data is not None}
    return right if len(right) == len(found) else None


def checked_sets(content: dict[str, Any], problems: Problems) -> dict[str, EvaluationSet] | None:
    """Give the tables of [evaluation_sets] by their names; None if too little of one is right.

    Each may hold the keys of a set and those of its dataset, whose table in ``content`` they are checked with.
    """
    tables = content.get("evaluation_sets", {})
    found = {
        name: _checked_set(name, table, content, problems)
        for name, table in named_tables("evaluation_sets", tables, problems)
    }
    _check_names(list(found), problems)
    right = {name: described for name, described in found.items() if described is not None}
    return right if len(right) == len(found) else None


def _checked_set(name: str, table: Any, content: dict[str, Any], problems: Problems) -> EvaluationSet | None:
    at = ("evaluation_sets", name)
    if not isinstance(table, dict):
        problems.add(at, f"must be a table, not {shown(table)}")
        return None
    described = check_table(EvaluationSet, table, at, problems)
    if described is None:
        return None
    table_of_data = _table_of(described.data, content, at, problems)
    if table_of_data is None:
        return None
    # what is wrong with the dataset's own table is told there
    data = checked_data(table_of_data, Problems.unseen())
    if data is None:
        return described.with_keys({})
    checked = check_table(
        type(data),
        {**_as_written(data), **described.dataset_keys},
        at,
        problems,
        unknown=f'data of kind "{data.kind}" have no such key',
        elsewhere={key: key for key in EvaluationSet.model_fields},
    )
    right = {} if checked is None else _as_written(checked)
    return described.with_keys({key: right[key] for key in described.dataset_keys if key in right})


def _as_written(data: DataConfig) -> dict[str, Any]:
    """The keys that a table gives, as far as they are right."""
    return data.model_dump(mode="json", by_alias=True, exclude_unset=True)


def _table_of(dataset: str | None, content: dict[str, Any], at: Key, problems: Problems) -> Any:
    """The table of a set's dataset, as it is given."""
    if dataset is None:
        return content.get("data", {})
    known = content.get("datasets")
    names = list(known) if isinstance(known, dict) else []
    if dataset not in names:
        problems.add((*at, "data"), unknown_dataset(dataset, names))
        return None
    return known[dataset] if isinstance(known, dict) else None


def unknown_dataset(name: str, known: Collection[str]) -> str:
    """Say that no dataset has a name."""
    if not known:
        return f"there is no [datasets.{name}]; leave data out for the dataset of [data], or add the table"
    return f"there is no [datasets.{name}]{hint(name, known)}"


def _check_names(names: list[str], problems: Problems) -> None:
    # compared without case: the names become files, and some file systems do not tell "DK" from "dk"
    seen: set[str] = set()
    for name in names:
        if name.lower() in seen:
            problems.add(
                ("evaluation_sets", name), "another set has this name already, upper and lower case alike"
            )
        seen.add(name.lower())
