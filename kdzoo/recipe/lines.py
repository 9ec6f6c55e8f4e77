"""Which line of a TOML file a key stands on. tomllib reads values and forgets where they were."""

from __future__ import annotations

import re
import tomllib

Key = tuple[str | int, ...]

_HEADER = re.compile(r"^\s*(\[\[?)\s*(.+?)\s*\]\]?\s*(#.*)?$")
_BARE = r"[A-Za-z0-9_-]+"
_QUOTED = r'"(?:[^"\\]|\\.)*"|\'[^\']*\''
_DOTTED = rf"(?:{_BARE}|{_QUOTED})(?:\s*\.\s*(?:{_BARE}|{_QUOTED}))*"
_ASSIGNMENT = re.compile(rf"^\s*({_DOTTED})\s*=")
_INLINE_KEY = re.compile(rf"({_DOTTED})\s*=(?!=)")
_STRING = re.compile(r'"""(?:[^\\]|\\.)*?"""|\'\'\'.*?\'\'\'|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'', re.DOTALL)


def find_lines(text: str) -> dict[Key, int]:
    """Map every key path of a valid TOML text to its line, counted from 1.

    Tables of an array have their number in the path: ("stage", 0, "name").
    """
    # Values inside strings must not look like keys or headers: their characters are blanked, line ends kept.
    blanked = _STRING.sub(_blank, _without_comments(text))
    lines: dict[Key, int] = {}
    counters: dict[Key, int] = {}
    table: Key = ()
    depth = 0
    current: Key = ()
    for number, (line, original) in enumerate(zip(blanked.split("\n"), text.split("\n"), strict=True), start=1):
        header = _HEADER.match(line)
        if depth == 0 and header is not None:
            path = _resolve(_parts(_slice(original, line, header.span(2))), counters)
            if header.group(1) == "[[":
                counters[path] = counters.get(path, -1) + 1
                path = (*path, counters[path])
            table = path
            lines.setdefault(table, number)
            continue
        start = 0
        if depth == 0:
            assignment = _ASSIGNMENT.match(line)
            if assignment is None:
                continue
            current = (*table, *_parts(_slice(original, line, assignment.span(1))))
            for cut in range(len(table) + 1, len(current) + 1):
                lines.setdefault(current[:cut], number)
            start = assignment.end()
        for match in _INLINE_KEY.finditer(line, start):
            inline = (*current, *_parts(_slice(original, line, match.span(1))))
            lines.setdefault(inline, number)
        depth += sum(line.count(c, start) for c in "[{") - sum(line.count(c, start) for c in "]}")
    return lines


def line_of(lines: dict[Key, int], path: Key) -> int | None:
    """The line of a key, or of the nearest thing around it that stands in the file."""
    while path:
        if path in lines:
            return lines[path]
        path = path[:-1]
    return None


def _blank(match: re.Match[str]) -> str:
    text = match.group()
    return text[0] + re.sub(r"[^\n]", "_", text[1:-1]) + text[-1]


def _without_comments(text: str) -> str:
    """Blank the comments, so that a quote in one does not open a string."""
    kept: list[str] = []
    position = 0
    pattern = re.compile(_STRING.pattern + r"|#[^\n]*", re.DOTALL)
    for match in pattern.finditer(text):
        kept.append(text[position : match.start()])
        found = match.group()
        kept.append(" " * len(found) if found.startswith("#") else found)
        position = match.end()
    return "".join([*kept, text[position:]])


def _slice(original: str, blanked: str, span: tuple[int, int]) -> str:
    # blanking keeps every character's place, so the original key stands where the blanked one does
    assert len(original) == len(blanked)
    return original[span[0] : span[1]]


def _parts(key: str) -> list[str]:
    parsed = tomllib.loads(f"{key} = 0")
    parts: list[str] = []
    while isinstance(parsed, dict):
        (name, parsed), *_ = parsed.items()
        parts.append(name)
    return parts


def _resolve(parts: list[str], counters: dict[Key, int]) -> Key:
    """Put the number of the current element after each array of tables on the way."""
    path: Key = ()
    for index, part in enumerate(parts):
        path = (*path, part)
        if index < len(parts) - 1 and path in counters:
            path = (*path, counters[path])
    return path
