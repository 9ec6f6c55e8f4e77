"""Reading one file of a run, which may be half written, broken, or not there."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeGuard

from kdzoo.errors import UserError
from kdzoo.files import NotJSONError, parse_json, read_json


class DamagedError(ValueError):
    """A file of a run cannot be read; the message names it, its line and the reason."""


def read_object(file: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        DamagedError: there is no such file, or it holds no JSON object.
    """
    try:
        content = read_json(file)
    except UserError as error:
        raise DamagedError(str(error)) from None
    if not isinstance(content, dict):
        raise DamagedError(f"{file}: must hold a JSON object")
    return content


def read_lines(file: Path, *, may_be_growing: bool = False) -> Iterator[dict[str, Any]]:
    """The JSON objects in a file of JSON lines, one after the other.

    What is being written may end within a line: with ``may_be_growing`` a last line without its end is left out.

    Raises:
        DamagedError: there is no such file, or a line of it is no JSON object.
    """
    number = 0
    try:
        with file.open(encoding="utf-8") as lines:
            for line in lines:
                number += 1
                if may_be_growing and not line.endswith("\n"):
                    return
                yield _object(line)
    except OSError as error:
        raise DamagedError(f"{file}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise DamagedError(f"{file}: not UTF-8 text after line {number}") from None
    except NotJSONError as error:
        raise DamagedError(f"{file}:{number}: {error}") from None


def as_table(value: Any) -> dict[str, Any]:
    """A table as it is; an empty one where a damaged record holds something else."""
    return value if isinstance(value, dict) else {}


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a record holds a number there: none that is infinite, beyond what a float holds, or true or false."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _object(line: str) -> dict[str, Any]:
    content = parse_json(line)
    if not isinstance(content, dict):
        raise NotJSONError("must be a JSON object")
    return content
