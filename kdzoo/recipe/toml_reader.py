"""TOML that anyone may have written, read within limits: no text takes long, much memory, or a deep stack."""

from __future__ import annotations

import re
import tomllib
from typing import Any

from kdzoo.recipe.lines import Key

MOST_BYTES = 1 << 20
MOST_KEYS = 10_000
MOST_LEVELS = 50

# tomllib takes time and memory with the square of a dotted key's parts, so the text is searched before it is parsed.
_PART = r"""(?:[A-Za-z0-9_-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+')"""
_DOTTED_TOO_OFTEN = re.compile(rf"(?<![A-Za-z0-9_-]){_PART}(?:[ \t]*+\.[ \t]*+{_PART}){{{MOST_LEVELS},}}")
_DIGITS = re.compile(r"[0-9_]{1000}")
_TOO_DEEP = "nested too deeply"
_TOO_LARGE = "not valid TOML: a whole number has more than 64 bits"
_WHOLE_NUMBERS = range(-(1 << 63), 1 << 63)


class NotTOMLError(ValueError):
    """What is wrong with a text that is no TOML, or is beyond the limits, and in which of its lines, or at which of its
    keys, where that is known.
    """

    def __init__(self, reason: str, line: int | None = None, key: Key = ()) -> None:
        super().__init__(reason)
        self.line = line
        self.key = key


def parse_toml(text: str) -> dict[str, Any]:
    """What a TOML text says.

    Raises:
        NotTOMLError: it is no TOML, or tables and arrays stand in each other too often, or a number has more than 64 bits.
    """
    dotted = _DOTTED_TOO_OFTEN.search(text)
    if dotted is not None:
        raise NotTOMLError(_TOO_DEEP, _line_of(dotted, text))
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.fullmatch(r"(.*) \(at line (\d+), column (\d+)\)", str(error), re.DOTALL)
        if place is None:
            raise NotTOMLError(f"not valid TOML: {error}") from None
        message, line, column = place.groups()
        raise NotTOMLError(f"not valid TOML: {message} (column {column})", int(line)) from None
    except RecursionError:
        raise NotTOMLError(_TOO_DEEP) from None
    except ValueError:  # Python reads no whole number of so many digits
        digits = _DIGITS.search(text)
        raise NotTOMLError(_TOO_LARGE, None if digits is None else _line_of(digits, text)) from None
    _check(content, ())
    return content


def _line_of(match: re.Match[str], text: str) -> int:
    return text.count("\n", 0, match.start()) + 1


def _check(value: Any, at: Key) -> None:
    if isinstance(value, dict | list):
        if len(at) >= MOST_LEVELS:
            raise NotTOMLError(_TOO_DEEP, key=at)
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            _check(inner, (*at, key))
    elif isinstance(value, int) and value not in _WHOLE_NUMBERS:
        raise NotTOMLError(_TOO_LARGE, key=at)
