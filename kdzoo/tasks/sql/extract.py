"""The SQL statement in what a chat model says: after its reasoning, in fenced code, or behind words of its own."""

from __future__ import annotations

import re

_REASONING_ENDS = re.compile(r"</(?:think|thinking|thought|reasoning|scratchpad)>", re.IGNORECASE)
_REASONING_BEGINS = re.compile(r"\s*<(?:think|thinking|thought|reasoning|scratchpad)>", re.IGNORECASE)
_ANSWER = re.compile(r"<(answer|sql)>(.*?)(?:</\1>|\Z)", re.IGNORECASE | re.DOTALL)
# A fence that is not closed ends with the text: the answer was cut off there.
_FENCED = re.compile(r"```[ \t]*(\w*)[^\n`]*\n(.*?)(?:^[ \t]*```|\n?```|\Z)", re.DOTALL | re.MULTILINE)
_ON_ONE_LINE = re.compile(r"```(?:sql(?:ite)?\b)?\s*([^`\n]+)```", re.IGNORECASE)
_SQL_NAMES = frozenset({"sql", "sqlite", "sqlite3", "mysql", "postgresql", "postgres"})
_STATEMENT = re.compile(r"(?:SELECT|WITH)\b", re.IGNORECASE)
# Where a statement begins among other words: a line of its own, or after a colon. "With" alone begins many a sentence.
_AMONG_WORDS = re.compile(
    r"(?:^[ \t]*|:[ \t]*`?)(?=SELECT\b|WITH\s+(?:RECURSIVE\s+)?[\w\"`\[\]]+\s*(?:\([^()]*\)\s*)?AS\b)",
    re.IGNORECASE | re.MULTILINE,
)
_ENDS = re.compile(
    r";|`|\n[ \t]*\n(?!\s*(?:\)|FROM\b|WHERE\b|(?:LEFT\s|INNER\s|CROSS\s)?JOIN\b|GROUP\b|HAVING\b|ORDER\b|LIMIT\b|UNION\b|"
    r"INTERSECT\b|EXCEPT\b|AND\b|OR\b|SELECT\b))",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`\n]*`(?!``)""")


def statement_in(text: str) -> str:
    """The statement in an answer; an answer that is one stays as it is, and so does one in which none is found.

    Reasoning (up to </think> and the like) is passed over; one that never ends has no answer. Then the last fenced code
    counts, such that is called SQL before others; else the last statement that begins a line or follows a colon, up to its
    semicolon or an empty line.
    """
    said = _after_reasoning(text).strip()
    if _STATEMENT.match(said) and "```" not in said:
        return _until_its_end(said)
    answers = [found[2].strip() for found in _ANSWER.finditer(said)]
    if answers and answers[-1]:
        said = answers[-1]
    fenced = _in_fences(said)
    if fenced is not None:
        return fenced
    places = [found.end() for found in _AMONG_WORDS.finditer(said)]
    # what begins within another's brackets or lines belongs to it
    for place in places:
        statement = _until_its_end(said[place:])
        if all(other < place + len(statement) for other in places if other > place):
            return statement
    return said


def _after_reasoning(text: str) -> str:
    ends = [found.end() for found in _REASONING_ENDS.finditer(text)]
    if ends:
        return text[ends[-1] :]
    return "" if _REASONING_BEGINS.match(text) else text


def _in_fences(text: str) -> str | None:
    blocks = [(found[1].lower(), found[2].strip()) for found in _FENCED.finditer(text)]
    called = [code for name, code in blocks if name in _SQL_NAMES and code]
    others = [code for name, code in blocks if not name and _STATEMENT.match(code)]
    on_one_line = [found[1].strip() for found in _ON_ONE_LINE.finditer(text)]
    found = called or others or [code for code in on_one_line if _STATEMENT.match(code)]
    return found[-1] if found else None


def _until_its_end(text: str) -> str:
    """A statement without the words after it, of which a semicolon or an empty line outside of quotes tells."""
    hidden = _QUOTED.sub(lambda found: "x" * len(found[0]), text)
    end = _ENDS.search(hidden)
    return (text if end is None else text[: end.start()]).strip()
