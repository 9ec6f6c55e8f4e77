"""Checks of what a method says of itself."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

from kdzoo.methods import hookspecs
from kdzoo.methods.model_names import AVERAGE, STUDENT, TEACHER
from kdzoo.testing.case import Case
from kdzoo.testing.check import Check

_TEXTS = ("name", "summary", "paper", "training_data", "divergence", "aux_loss")
_COSTS = ("student", "student_no_grad", "teacher", "generation")
_TORCH_IMPORTED = 3


def description_is_complete(case: Case) -> None:
    """The description's texts are there, and no cost is negative."""
    problems = list(_problems(case))
    assert not problems, "; ".join(problems)


def description_needs_no_torch(case: Case) -> None:
    """In a fresh process, describing the method leaves torch alone. A module in no file cannot be asked."""
    module = case.plugin.module
    if getattr(module, "__spec__", None) is None:
        return
    code = (
        "import importlib, sys\n"
        f"importlib.import_module({module.__name__!r}).register_method()\n"
        f"sys.exit({_TORCH_IMPORTED} if 'torch' in sys.modules else 0)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=False, capture_output=True)
    assert done.returncode != _TORCH_IMPORTED, (
        f"{module.__name__} imports torch before a hook needs it: "
        "import it under TYPE_CHECKING, or in the function that uses it"
    )


def hooks_are_marked(case: Case) -> None:
    """A function that is named like a hook is marked as one."""
    specified = [name for name, of in vars(hookspecs).items() if hasattr(of, f"{hookspecs.PROJECT}_spec")]
    idle = [
        hook
        for hook in specified
        if callable(getattr(case.plugin.module, hook, None)) and not case.implements(hook)
    ]
    verb = "is" if len(idle) == 1 else "are"
    assert not idle, (
        f"{case.name}: {' and '.join(idle)} {verb} not marked with @kdzoo.hookimpl, and would never be called"
    )


def there_is_a_loss(case: Case) -> None:
    """There is a divergence or an auxiliary loss to learn from."""
    assert case.implements("divergence") or case.implements("aux_loss"), (
        f"{case.name} has neither a divergence nor an aux_loss: nothing to learn from"
    )


def teacher_is_declared(case: Case) -> None:
    """A method that says uses_teacher=False has no divergence, or another model to learn from, and asks for no teacher targets."""
    if not case.plugin.method.uses_teacher:
        assert not case.implements("divergence") or case.options.teacher_model != TEACHER, (
            f"{case.name}: a divergence needs uses_teacher=True, or options that name another teacher_model"
        )
        assert not case.options.needs_teacher_target, f"{case.name}: teacher targets need uses_teacher=True"


def models_can_be_had(case: Case) -> None:
    """What the options say of models is possible: their names, the average's decay, the privileged prompt."""
    options, decay = case.options, case.options.average_decay
    taken = [name for name in options.teacher_names if name in (TEACHER, STUDENT, AVERAGE)]
    assert not taken, f"{case.name}: teacher_names has {taken[0]!r}, which is no further teacher's name"
    assert decay is None or 0 <= decay <= 1, f"{case.name}: average_decay must be from 0 to 1, not {decay}"
    assert decay is not None or options.teacher_model != AVERAGE, (
        f"{case.name}: a teacher_model that is the average needs an average_decay"
    )
    template = options.privileged_prompt
    assert template is not None or not options.teacher_is_privileged, (
        f"{case.name}: a teacher that is privileged needs a privileged_prompt"
    )
    assert template is None or "{prompt}" in template, (
        f"{case.name}: privileged_prompt must have {{prompt}} where the prompt is to stand"
    )


def _problems(case: Case) -> Iterator[str]:
    method = case.plugin.method
    for field in _TEXTS:
        text = getattr(method, field)
        if not isinstance(text, str):
            yield f"Method.{field} must be a text, not {text!r}"
        elif not text.strip():
            yield f"Method.{field} is empty"
    for field in _COSTS:
        if getattr(method.cost, field) < 0:
            yield f"{method.name}: cost.{field} is negative"


CHECKS = [
    Check(description_is_complete),
    Check(description_needs_no_torch),
    Check(hooks_are_marked),
    Check(there_is_a_loss),
    Check(teacher_is_declared),
    Check(models_can_be_had),
]
