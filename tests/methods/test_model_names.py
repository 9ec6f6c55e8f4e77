"""Which models a method's options make a recipe load, and what is said of those that are not there."""

import pytest

from kdzoo import Options
from kdzoo.errors import RunError
from kdzoo.methods.model_names import no_such_model, teachers_to_load


def options(*, model="teacher", names=(), targets=False):
    class Wanting(Options):
        @property
        def teacher_model(self):
            return model

        @property
        def teacher_names(self):
            return names

        @property
        def needs_teacher_target(self):
            return targets

    return Wanting()


@pytest.mark.parametrize(
    ("uses_teacher", "wanted", "loaded"),
    [
        (True, {}, ("teacher",)),
        (False, {}, ()),
        (False, {"model": "base"}, ()),
        (True, {"model": "average"}, ()),
        (True, {"model": "student", "targets": True}, ("teacher",)),
        (False, {"model": "large"}, ("large",)),
        (True, {"names": ("large", "wide")}, ("teacher", "large", "wide")),
        (True, {"model": "large", "names": ("large", "base", "teacher")}, ("large", "teacher")),
    ],
)
def test_what_is_loaded(uses_teacher, wanted, loaded):
    assert teachers_to_load(options(**wanted), uses_teacher=uses_teacher) == loaded


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("teacher", r"Method\.uses_teacher must be True, or its options name another teacher_model"),
        ("base", "this student has none: train it with lora"),
        ("average", r"Options\.average_decay must be a number"),
        ("larg", r'a model "larg", .* Options\.teacher_names must have it; did you mean "large"\?'),
    ],
)
def test_what_is_not_there_is_named_with_what_to_do(name, words):
    with pytest.raises(RunError, match=words):
        raise no_such_model(name, ["student", "large"])
