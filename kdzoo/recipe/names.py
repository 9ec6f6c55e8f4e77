"""The names that a recipe gives its stages, datasets and evaluation sets."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

from kdzoo.methods.model_names import STUDENT, TEACHER


def check_name(name: str) -> str:
    """Give a name back that may stand behind a dot and become a file's or a folder's.

    Raises:
        ValueError: it may not.
    """
    # no dot: it separates the keys of an override; no leading dash: a command would take it for an option
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,79}", name):
        raise ValueError("must consist of 1 to 80 letters, digits, _ and -, and not begin with -")
    return name


Name = Annotated[str, AfterValidator(check_name)]


def called(role: str) -> str:
    """How a message calls a model: the student, the teacher, or a further teacher by its name."""
    return f"the {role}" if role in (STUDENT, TEACHER) else f'the teacher "{role}"'


def as_name(text: str) -> str:
    """A text as a name, with a dash for each character that none may have."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", text)
