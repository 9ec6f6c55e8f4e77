"""What models are called in a step: by the recipe's tables, or by what they are of the student."""

from __future__ import annotations

from kdzoo.errors import RunError
from kdzoo.methods.method import Options
from kdzoo.spelling import hint

TEACHER = "teacher"
STUDENT = "student"
BASE = "base"
AVERAGE = "average"

OF_THE_STUDENT = (STUDENT, BASE, AVERAGE)
"""The student itself, its base without its adapter, and the moving average of its weights: nothing is loaded for them."""


def teachers_to_load(options: Options, *, uses_teacher: bool) -> tuple[str, ...]:
    """The recipe's models that a method with these options learns from: "teacher" is [teacher], any other a [teachers.NAME].

    ``uses_teacher`` is what its `kdzoo.Method` says.
    """
    names = [options.teacher_model] if uses_teacher or options.teacher_model != TEACHER else []
    if uses_teacher and options.needs_teacher_target:
        names.append(TEACHER)
    return tuple(dict.fromkeys(n for n in (*names, *options.teacher_names) if n not in OF_THE_STUDENT))


def no_such_model(name: str, known: list[str]) -> RunError:
    """The error of a method that asks a step for a model which it does not have; ``known`` are those that it has."""
    if name == TEACHER:
        return RunError(
            "the method uses the teacher, but there is none: Method.uses_teacher must be True, or its options name "
            "another teacher_model"
        )
    if name == BASE:
        return RunError(
            'the method uses the student\'s "base", the student without its adapter, and this student has none: train it with '
            "lora"
        )
    if name == AVERAGE:
        return RunError(
            'the method uses the "average" of the student\'s weights, but its options do not say so: '
            "Options.average_decay must be a number"
        )
    return RunError(
        f'the method uses a model "{name}", but its options do not say so: Options.teacher_names must have '
        f"it{hint(name, known)}"
    )
