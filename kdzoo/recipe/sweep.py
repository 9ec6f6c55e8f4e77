"""``[sweep]`` and ``--seeds``: one recipe that stands for many, a grid of values over it."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

from kdzoo.errors import UserError
from kdzoo.recipe.checks import shown
from kdzoo.recipe.extends import Written, read_written
from kdzoo.recipe.lines import Key, line_of
from kdzoo.recipe.load import check, without_dates
from kdzoo.recipe.method_list import with_methods
from kdzoo.recipe.origin import Origin, Override
from kdzoo.recipe.overrides import apply_override
from kdzoo.recipe.problems import Problems
from kdzoo.recipe.schema import Recipe
from kdzoo.recipe.stage_names import name_stages
from kdzoo.recipe.toml_text import toml_value

_SEED = "student_seed"
_MOST_MEMBERS = 1000
_BEYOND_COUNTING = 10**9
_MOST_KEYS = 100


@dataclass(frozen=True)
class Member:
    """One recipe of a sweep. ``values`` are those that it has of the swept keys; ``settings`` say them to --set."""

    recipe: Recipe
    values: dict[str, Any] = field(default_factory=dict)
    settings: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The values as a line of text, with no more of each key than tells them apart."""
        names = _short_names(list(self.values))
        return " ".join(f"{names[key]}={_plain(value)}" for key, value in self.values.items())


@dataclass(frozen=True)
class Sweep:
    """All recipes that one stands for: itself alone, with no ``keys``, or a grid of values in the order written."""

    keys: tuple[str, ...]
    members: tuple[Member, ...]


@dataclass(frozen=True)
class _Axis:
    key: str
    target: Key
    values: list[Any]
    overrides: list[Override]


def load_sweep(
    path: Path, overrides: Sequence[str] = (), methods: Sequence[str] = (), seeds: Sequence[int] = ()
) -> Sweep:
    """Read a recipe with all that it stands for, and apply overrides ("stage.key=value").

    An override of a swept key fixes it. ``methods`` are those that its distill stages are to have, ``seeds`` sweep the
    students' seed.

    Raises:
        UserError: anything is wrong with the recipe or a member; one line for each problem.
    """
    written = read_written(Path(path))
    if methods:
        written = with_methods(written, methods)
    table = without_dates(written.content.pop("sweep", {}))
    given = [Override.of_command_line(text) for text in overrides]
    axes = _axes(written, table, seeds, given)
    count = prod(len(axis.values) for axis in axes)
    if count > _MOST_MEMBERS:
        stands_for = str(count) if count < _BEYOND_COUNTING else f"more than {_BEYOND_COUNTING}"
        raise UserError(
            f"{line_of(written.lines, ('sweep',)) or path}: sweep: stands for {stands_for} runs; {_MOST_MEMBERS} at most"
        )
    members: list[Member] = []
    refused: dict[str, None] = {}
    for numbers in product(*(range(len(axis.values)) for axis in axes)):
        chosen = [axis.overrides[number] for axis, number in zip(axes, numbers, strict=True)]
        values = {axis.key: axis.values[number] for axis, number in zip(axes, numbers, strict=True)}
        try:
            recipe, content = check(written, [*chosen, *given])
        except UserError as error:
            refused |= dict.fromkeys(str(error).split("\n"))
            continue
        settings = tuple(f"{axis.key}={toml_value(_value_at(content, axis.target))}" for axis in axes)
        members.append(Member(recipe, values, settings))
    if refused:
        raise UserError("\n".join(refused))
    return Sweep(tuple(axis.key for axis in axes), tuple(members))


def split_seeds(text: str) -> list[int]:
    """The seeds that ``--seeds`` gives, a comma between them.

    Raises:
        UserError: they are no different whole numbers.
    """
    try:
        seeds = [int(seed) for seed in text.split(",")]
    except ValueError:
        raise UserError(
            f"--seeds {text}: write whole numbers with a comma between them, for example 1,2,3"
        ) from None
    twice = [seed for number, seed in enumerate(seeds) if seed in seeds[:number]]
    if twice:
        raise UserError(f"--seeds {text}: {twice[0]} stands there twice")
    return seeds


def _axes(written: Written, table: Any, seeds: Sequence[int], given: Sequence[Override]) -> list[_Axis]:
    """The keys that are swept and not fixed, each with its values; every problem with them is told."""
    problems = Problems(Origin(written.file, written.lines))
    fixed = [
        key for key in (_target(written.content, override.text) for override in given) if key is not None
    ]
    if seeds and (_SEED,) in fixed:
        raise UserError(f"--seeds and --set {_SEED} exclude each other")
    lists = _lists(table, ("sweep",), problems)
    if seeds:
        lists[("sweep", _SEED)] = list(seeds)
    if len(lists) > _MOST_KEYS:
        problems.add(("sweep",), f"has {len(lists)} keys; {_MOST_KEYS} at most")
        lists = {}
    axes: list[_Axis] = []
    for at, values in lists.items():
        key = ".".join(map(str, at[1:]))
        target = _target(written.content, f"{key}=0", at, problems)
        if target is None or any(target[: len(part)] == part for part in fixed):
            continue
        if target == ("name",):
            problems.add(at, "cannot be swept: all members have the recipe's name")
        same = next((axis.key for axis in axes if _overlap(axis.target, target)), None)
        if same is not None:
            problems.add(at, f"sets the same as {same}")
        overrides = _overrides(written, at, key, values)
        if seeds and key == _SEED:
            shown_seeds = f"--seeds {','.join(map(str, seeds))}"
            overrides = [Override(given.text, shown_seeds, Path.cwd()) for given in overrides]
        axes.append(_Axis(key, target, values, overrides))
    problems.raise_if_any()
    return axes


def _lists(table: Any, at: Key, problems: Problems) -> dict[Key, list[Any]]:
    """The lists of values by their keys, in the order written: dotted keys are tables in tables."""
    is_whole = at == ("sweep",)
    if isinstance(table, dict) and (table or is_whole):
        return {
            key: values
            for name in table
            for key, values in _lists(table[name], (*at, name), problems).items()
        }
    if is_whole or not isinstance(table, list):
        wanted = "must be a table of lists" if is_whole else "must be a list of values"
        problems.add(at, f"{wanted}, not {shown(table)}")
        return {}
    if not table:
        problems.add(at, "must have at least one value")
    if len(table) > _MOST_MEMBERS:
        problems.add(at, f"has {len(table)} values; a sweep stands for {_MOST_MEMBERS} runs at most")
        return {}
    for number, value in enumerate(table):
        if any(_same(value, earlier) for earlier in table[:number]):
            problems.add((*at, number), f"has {shown(value)} twice")
    return {at: table}


def _target(content: dict[str, Any], text: str, at: Key = (), problems: Problems | None = None) -> Key | None:
    """The key of a recipe's content that an override sets, or None, with the reason among the ``problems``."""
    copy = deepcopy(content)
    name_stages(copy)
    try:
        return apply_override(copy, text)
    except UserError as error:
        if problems is not None:
            problems.add(at, str(error))
        return None


def _overrides(written: Written, at: Key, key: str, values: list[Any]) -> list[Override]:
    overrides = []
    for number, value in enumerate(values):
        line = line_of(written.lines, (*at, number))
        folder = Path() if line is None else line.file.parent
        overrides.append(Override(f"{key}={toml_value(value)}", f"{line}: sweep.{key}", folder, line))
    return overrides


def _overlap(one: Key, other: Key) -> bool:
    length = min(len(one), len(other))
    return one[:length] == other[:length]


def _same(one: Any, other: Any) -> bool:
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _value_at(content: Any, key: Key) -> Any:
    for part in key:
        content = content[part]
    return content


def _short_names(keys: Sequence[str]) -> dict[str, str]:
    """The ends of dotted keys that are enough to tell them apart."""
    ends = [key.rpartition(".")[2] for key in keys]
    return {key: end if ends.count(end) == 1 else key for key, end in zip(keys, ends, strict=True)}


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else toml_value(value)
