"""``extends = "file.toml"``: a recipe over another one, key by key and table by table."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

from kdzoo.errors import UserError
from kdzoo.files import read_text
from kdzoo.recipe.checks import shown
from kdzoo.recipe.lines import Key, Line, find_lines, line_of
from kdzoo.recipe.paths import located
from kdzoo.recipe.toml_reader import MOST_BYTES, MOST_KEYS, NotTOMLError, parse_toml

_KEY = "extends"
_MOST_FILES = 50


@dataclass(frozen=True)
class Written:
    """What a recipe's file and those that it extends say together, and where each key stands."""

    file: Path
    content: dict[str, Any]
    lines: dict[Key, Line]


def read_written(file: Path) -> Written:
    """Read a recipe's file with all that it extends.

    Raises:
        UserError: a file cannot be read or is not TOML, or ``extends`` goes in a circle or names no file.
    """
    chain = [_parsed(file, read_text(file, "recipe", most=MOST_BYTES))]
    while (further := _extended(chain)) is not None:
        chain.append(further)
        if len(chain) > _MOST_FILES:
            raise UserError(f"{file}: extends more than {_MOST_FILES} recipes, one through another")
    return reduce(_over, chain)


def _parsed(file: Path, text: str) -> Written:
    try:
        content = parse_toml(text)
    except NotTOMLError as error:
        number = line_of(find_lines(text), error.key) if error.key else error.line
        raise UserError(f"{file if number is None else Line(file, number)}: {error}") from None
    lines = {key: Line(file, number) for key, number in find_lines(text).items()}
    if len(lines) > MOST_KEYS:
        raise UserError(f"{file}: has {len(lines):,} keys and items; a recipe has {MOST_KEYS:,} at most")
    return Written(file, content, lines)


def _extended(chain: list[Written]) -> Written | None:
    """The recipe that the last one of a chain extends."""
    last = chain[-1]
    if _KEY not in last.content:
        return None
    value, where = last.content.pop(_KEY), f"{line_of(last.lines, (_KEY,))}: {_KEY}"
    if not isinstance(value, str) or not value or "\0" in value:
        raise UserError(f"{where}: must be the path of a recipe, not {shown(value)}")
    try:
        path = located(value, last.file.parent)
        # a path that is shown as it was given is read more easily than an absolute one
        inside = last.file.parent / path.written
        file = inside if inside.absolute() == Path(path.full) else Path(path.full)
        text = read_text(file, "recipe", most=MOST_BYTES)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    files = [written.file for written in chain]
    again = [number for number, earlier in enumerate(files) if earlier.resolve() == file.resolve()]
    if again:
        circle = files[again[0] :]
        if len(circle) == 1:
            raise UserError(f"{where}: the recipe extends itself")
        raise UserError(f"{where}: goes in a circle: {' -> '.join(map(str, [*circle, circle[0]]))}")
    return _parsed(file, text)


def _over(over: Written, under: Written) -> Written:
    replaced: set[Key] = set()
    content = _merged(over.content, under.content, (), replaced)
    kept = {
        key: line
        for key, line in under.lines.items()
        if not any(key[:length] in replaced for length in range(1, len(key) + 1))
    }
    return Written(over.file, content, {**kept, **over.lines})


def _merged(over: dict[str, Any], under: dict[str, Any], at: Key, replaced: set[Key]) -> dict[str, Any]:
    """A table over a table; notes the keys of which nothing that lay under them is left."""
    merged = dict(under)
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(under.get(key), dict):
            merged[key] = _merged(value, under[key], (*at, key), replaced)
        else:
            merged[key] = value
            replaced.add((*at, key))
    return merged
