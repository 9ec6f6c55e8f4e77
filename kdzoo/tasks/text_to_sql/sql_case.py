"""How the SQL that models learn is written: as its authors have, or in lower case, as prompts in CodeS's form write names.

A small model copies a name from its prompt more easily than it writes it in other letters.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from kdzoo.tasks.text_to_sql.questions import Question

SqlCase = Literal["as_written", "lower"]

# a quote that nothing closes reaches to the end
_QUOTED = re.compile(r"""('(?:[^']|'')*'?|"(?:[^"]|"")*"?|`[^`]*`?|\[[^\]]*\]?)""")


def in_case(questions: Sequence[Question], case: SqlCase) -> list[Question]:
    """The questions with their SQL written so."""
    if case == "as_written":
        return list(questions)
    return [replace(question, sql=lower_outside_quotes(question.sql)) for question in questions]


def lower_outside_quotes(sql: str) -> str:
    """A query in lower case but for what stands in quotes, of whatever kind: SQLite runs it alike."""
    parts = _QUOTED.split(sql)
    return "".join(part if i % 2 else part.lower() for i, part in enumerate(parts))
