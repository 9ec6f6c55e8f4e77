"""Which line of a TOML file a key stands on. tomllib reads values and forgets where they were."""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

Key = tuple[str | int, ...]
Where = TypeVar("Where")


@dataclass(frozen=True)
class Line:
    """A line of a file, counted from 1."""

    file: Path
    number: int

    def __str__(self) -> str:
        return f"{self.file}:{self.number}"


_MOST_LEVELS = 100

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY_PART = re.compile(r'[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'')
_DOT = re.compile(r"[ \t]*\.[ \t]*")
# A multi-line string may end in up to two quotes of its own before the three that close it.
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"""(?:"{0,2})|\'\'\'.*?\'\'\'(?:\'{0,2})|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'', re.DOTALL
)
_PLAIN = re.compile(r"[^,\]}#\n]*")


def find_lines(text: str) -> dict[Key, int]:
    """Map every key path of a TOML text to its line, counted from 1.

    Items of an array have their number in the path: ("stage", 0, "name"). The text must be valid TOML: the
    scan relies on it and reports nothing.
    """
    return _Scan(text).lines


def line_of(lines: Mapping[Key, Where], path: Key) -> Where | None:
    """Where a key stands, or the nearest thing around it that is written anywhere."""
    while path:
        if path in lines:
            return lines[path]
        path = path[:-1]
    return None


def _within(path: Key, part: str | int) -> Key:
    """The path of what stands in another; of what is nested deeper than any recipe, that of the last level."""
    return (*path, part) if len(path) < _MOST_LEVELS else path


class _Scan:
    def __init__(self, text: str) -> None:
        self.lines: dict[Key, int] = {}
        self._text = text
        self._at = 0
        self._line_starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._last_element: dict[Key, int] = {}  # of each array of tables
        table: Key = ()
        self._skip(_BLANK)
        while self._at < len(text):
            if text[self._at] == "[":
                table = self._header()
            else:
                self._assignment(table)
            self._skip(_BLANK)

    def _header(self) -> Key:
        line = self._line()
        is_array = self._text.startswith("[[", self._at)
        self._at += 2 if is_array else 1
        self._skip(_BLANK)
        path: Key = ()
        for part in self._dotted_key():
            if path in self._last_element:
                path = (*path, self._last_element[path])
            path = _within(path, part)
            self.lines.setdefault(path, line)
        if is_array:
            self._last_element[path] = self._last_element.get(path, -1) + 1
            path = (*path, self._last_element[path])
        self.lines[path] = line
        self._skip(_BLANK)
        self._at += 2 if is_array else 1
        return path

    def _assignment(self, table: Key) -> None:
        line = self._line()
        path = table
        for part in self._dotted_key():
            path = _within(path, part)
            self.lines.setdefault(path, line)
        self._skip(_BLANK)
        self._at += 1  # the equals sign
        self._value(path)

    def _value(self, path: Key) -> None:
        self._skip(_BLANK)
        opening = self._text[self._at]
        if opening in "\"'":
            self._skip(_STRING)
        elif opening in "[{":
            self._at += 1
            self._skip(_BLANK)
            number = 0
            while self._text[self._at] not in "]}":
                if opening == "[":
                    item = _within(path, number)
                    self.lines[item] = self._line()
                    self._value(item)
                    number += 1
                else:
                    self._assignment(path)
                self._skip(_BLANK)
                if self._text[self._at] == ",":
                    self._at += 1
                    self._skip(_BLANK)
            self._at += 1
        else:
            self._skip(_PLAIN)

    def _dotted_key(self) -> list[str]:
        parts = []
        while True:
            raw = self._skip(_KEY_PART)
            parts.append(tomllib.loads(f"key = {raw}")["key"] if raw[0] in "\"'" else raw)
            if not self._skip(_DOT):
                return parts

    def _skip(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._at)
        if match is None:
            return ""
        self._at = match.end()
        return match.group()

    def _line(self) -> int:
        return bisect_right(self._line_starts, self._at)
