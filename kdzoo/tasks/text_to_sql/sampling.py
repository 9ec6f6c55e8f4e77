"""Choosing by hash: the same choice everywhere, whatever the order and the number of the others."""

from __future__ import annotations

import hashlib

from kdzoo.tasks.text_to_sql.questions import Question


def rank(*parts: object) -> bytes:
    """A value to sort by that looks random and depends on nothing but ``parts``."""
    return hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).digest()


def sample(questions: list[Question], most: int | None, seed: int) -> list[Question]:
    """Keep at most ``most`` questions, in their order. A smaller sample is part of a larger one."""
    if most is None or len(questions) <= most:
        return questions
    ranked = sorted(range(len(questions)), key=lambda i: rank(seed, questions[i].id, questions[i].text))
    return [questions[i] for i in sorted(ranked[:most])]
