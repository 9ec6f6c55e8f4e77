"""Building the test suite of one database."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kdzoo.tasks.sql import Item, Judge, Limits, Verdict
from kdzoo.tasks.sql.fuzz.constants import constants_of
from kdzoo.tasks.sql.fuzz.distil import distil
from kdzoo.tasks.sql.fuzz.mutants import as_rendered, mutants_of
from kdzoo.tasks.sql.fuzz.random_database import write_random_database
from kdzoo.tasks.sql.fuzz.schema import read_schema
from kdzoo.tasks.sql.schema import Schema

# Many mutants are joins of everything with everything. Steps are counted alike on every machine: the same
# mutants are left out everywhere.
LIMITS = Limits(steps=20_000_000)


@dataclass(frozen=True)
class Effort:
    """Random databases to try, how many of them to keep at most, and mutants per gold query at most."""

    candidates: int = 30
    most_kept: int = 8
    mutants: int = 20


@dataclass(frozen=True)
class Suite:
    """A suite and what it is worth.

    ``files`` are the random databases, most useful first. Of the ``mutants`` of ``queries`` gold queries, the
    database alone catches ``caught_by_one`` and the suite, the database included, ``caught``.
    """

    files: list[Path]
    queries: int
    mutants: int
    caught_by_one: int
    caught: int


def build_suite(
    database: Path,
    queries: Sequence[str],
    folder: Path,
    judge: Judge,
    effort: Effort,
    seed: int,
    progress: Callable[[int], None] | None = None,
) -> Suite:
    """Write random databases into ``folder`` and leave those there that make up the suite.

    The same arguments give the same suite. ``progress`` is called with the number of candidates tried.

    Raises:
        RunError: the database cannot be read.
    """
    schema = read_schema(database)
    pairs = _mutants(database, list(dict.fromkeys(queries)), schema, judge, effort, seed)
    verdicts = judge.judge([Item(gold, mutant, database) for gold, mutant in pairs], "ex")
    # a mutant that does not run on the database itself would be found out anyhow
    pairs, verdicts = _keep(pairs, verdicts, [v.reason is None and v.gold_error is None for v in verdicts])
    missed = [index for index, verdict in enumerate(verdicts) if verdict.right]
    constants = constants_of(queries)
    caught: dict[Path, set[int]] = {}
    for number in range(effort.candidates):
        uncaught = [i for i in missed if not any(i in found for found in caught.values())]
        if not uncaught:
            break
        candidate = folder / f"candidate_{number}.sqlite"
        try:
            write_random_database(candidate, schema, constants, _source(seed, database, number))
        except sqlite3.Error:
            candidate.unlink(missing_ok=True)
            break  # what SQLite refuses once it refuses always
        found = _caught(candidate, pairs, uncaught, judge)
        if found:
            caught[candidate] = found
        else:
            candidate.unlink()
        if progress is not None:
            progress(number + 1)
    # a later candidate has not been asked about what an earlier one had caught
    for candidate in caught:
        caught[candidate] = _caught(candidate, pairs, missed, judge) or caught[candidate]
    chosen = distil(caught, effort.most_kept)
    for candidate in set(caught) - set(chosen):
        candidate.unlink()
    files = [
        path.rename(folder / f"{database.stem}_fuzz{number}.sqlite")
        for number, path in enumerate(chosen, start=1)
    ]
    found_in_all = set().union(*(caught[path] for path in chosen))
    by_one = len(pairs) - len(missed)
    return Suite(files, len({gold for gold, _ in pairs}), len(pairs), by_one, by_one + len(found_in_all))


def _mutants(
    database: Path, queries: list[str], schema: Schema, judge: Judge, effort: Effort, seed: int
) -> list[tuple[str, str]]:
    """The mutants of the queries that run and that mean the same after parsing and rendering."""
    rendered = [(query, as_rendered(query)) for query in queries]
    known = [(query, text) for query, text in rendered if text is not None]
    verdicts = judge.judge([Item(query, text, database) for query, text in known], "ex")
    columns: dict[str, dict[str, list[str]]] = {}
    for table in schema.tables:
        for column in table.columns:
            columns.setdefault(table.name.lower(), {}).setdefault(column.affinity, []).append(column.name)
    source = _source(seed, database, -1)
    return [
        (query, mutant)
        for (query, _), verdict in zip(known, verdicts, strict=True)
        if verdict.right
        for mutant in mutants_of(query, columns, effort.mutants, source)
    ]


def _keep(
    pairs: list[tuple[str, str]], verdicts: list[Verdict], wanted: list[bool]
) -> tuple[list[tuple[str, str]], list[Verdict]]:
    kept = [index for index, is_wanted in enumerate(wanted) if is_wanted]
    return [pairs[index] for index in kept], [verdicts[index] for index in kept]


def _caught(database: Path, pairs: list[tuple[str, str]], indices: list[int], judge: Judge) -> set[int]:
    """The mutants that a database tells from their queries; none if a query does not run on it."""
    verdicts = judge.judge([Item(*pairs[index], database) for index in indices], "ex")
    if any(verdict.gold_error is not None for verdict in verdicts):
        return set()
    return {index for index, verdict in zip(indices, verdicts, strict=True) if not verdict.right}


def _source(seed: int, database: Path, number: int) -> random.Random:
    return random.Random(f"{seed} {database.stem} {number}")
