"""Vocabularies that are padded to different sizes are told once, where one model learns from the other."""

import pytest
from transformers import AutoConfig

from kdzoo.recipe import load_recipe
from kdzoo.recipe.problems import Problems
from kdzoo.runs.checks.vocabularies import tell_of_vocabularies

RECIPE = """\
data = { kind = "embedded" }
teacher = { path = "owner/teacher" }
student = { path = "owner/student" }
[[stage]]
kind = "finetune"
[[stage]]
kind = "distill"
method = "METHOD"
[[stage]]
kind = "distill"
method = "METHOD"
name = "again"
[[stage]]
kind = "evaluate"
"""


@pytest.fixture
def told(tmp_path):
    def told(method, **sizes):
        (tmp_path / "r.toml").write_text(RECIPE.replace("METHOD", method))
        recipe = load_recipe(tmp_path / "r.toml")
        configs = {role: AutoConfig.for_model("qwen2", vocab_size=size) for role, size in sizes.items()}
        notices = Problems.of(recipe)
        tell_of_vocabularies(recipe, recipe.stages, configs, notices)
        return notices.texts

    return told


def test_it_is_said_once_what_becomes_of_them(told):
    (text,) = told("rkd", student=151_936, teacher=152_064)
    assert text.endswith(
        "student: the student's vocabulary is padded to 151936 tokens and the teacher's to 152064: they are compared on the "
        "151936 that both have"
    )


@pytest.mark.parametrize(
    ("method", "sizes"),
    [
        ("rkd", {"student": 320, "teacher": 320}),
        ("sft", {"student": 320, "teacher": 384}),
        ("rkd", {"student": 320}),
    ],
)
def test_there_is_nothing_to_tell_where_none_is_cut(told, method, sizes):
    assert told(method, **sizes) == []
