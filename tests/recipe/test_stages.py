"""A distill stage may have its training sequences, divergence or auxiliary loss from other methods than its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from kdzoo.errors import UserError
from kdzoo.methods.mixture import MixedOptions
from kdzoo.recipe import Recipe, load_recipe
from kdzoo.recipe.extends import read_written
from kdzoo.recipe.load import check
from kdzoo.recipe.method_list import with_methods
from kdzoo.recipe.toml_text import toml_value

RECIPE = """\
name = "small"
[data]
kind = "embedded"
[tokenizer]
train = { vocab_size = 500 }
[teacher]
from_scratch = { architecture = "llama", hidden_size = 32, intermediate_size = 64, num_hidden_layers = 2, num_attention_heads = 4 }
[student]
from_scratch = { architecture = "llama", hidden_size = 16, intermediate_size = 32, num_hidden_layers = 1, num_attention_heads = 2 }
[[stage]]
kind = "distill"
name = "mixed"
method = "kid"
"""


def read(tmp_path: Path, more: str, text: str = RECIPE) -> Recipe:
    file = tmp_path / "r.toml"
    file.write_text(text + more)
    return load_recipe(file)


@pytest.mark.parametrize("given", ['"gkd"', '{ method = "gkd" }'])
def test_a_name_alone_has_that_method_s_defaults(tmp_path: Path, given: str) -> None:
    (stage,) = read(tmp_path, f"divergence = {given}\n").stages
    assert stage.role == "student"
    options = stage.method_options()
    assert isinstance(options, MixedOptions)
    assert options.of("divergence").model_dump()["divergence"] == "rkl"
    assert options.of("sequence") == options.of("aux_loss")
    assert stage.plugin().method.name == "kid with divergence of gkd"
    assert stage.kind == "distill"
    assert stage.parts["divergence"].options["beta"] == 0.5  # what is kept says all that was done


def test_options_are_those_of_the_part_s_method(tmp_path: Path) -> None:
    more = 'sequence = { method = "gkd", options = { lambda = 0.5 } }\ndivergence = { method = "gkd", options = { divergence = "jsd" } }\n'
    (stage,) = read(tmp_path, more).stages
    assert stage.role == "student"
    options = stage.method_options()
    assert isinstance(options, MixedOptions)
    assert options.of("sequence").model_dump()["lambda_"] == 0.5
    assert options.of("divergence").model_dump()["divergence"] == "jsd"
    assert options.of("aux_loss").model_dump()["mle_weight"] == 1.0


AT = r'r\.toml:14: stage "mixed": '


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ('divergence = "sft"', 'divergence: the method "sft" has no divergence'),
        ('divergence = "gdk"', r"divergence\.method: no method 'gdk' is installed; did you mean .*gkd"),
        ("divergence = 3", "divergence: must be the name of a method, or a table, not 3"),
        (
            'sequence = { method = "kid", options = { alhpa = 0.3 } }',
            r"sequence\.options\.alhpa: unknown option of method kid; did you mean .*alpha",
        ),
        (
            'sequence = { method = "kid", option = {} }',
            r"sequence\.option: unknown key; did you mean .*options",
        ),
        ("sequence = { options = {} }", r"sequence\.method: is missing"),
    ],
)
def test_what_cannot_be_is_told_at_its_place(tmp_path: Path, more: str, words: str) -> None:
    with pytest.raises(UserError, match=AT + words):
        read(tmp_path, more + "\n")


def test_a_divergence_needs_a_teacher_whatever_the_stage_s_own_method(tmp_path: Path) -> None:
    start = RECIPE.index("[teacher]")
    alone = RECIPE[:start] + RECIPE[RECIPE.index("[student]") :].replace('"kid"', '"sft"')
    assert not read(tmp_path, "", alone).stages[0].uses_teacher
    with pytest.raises(UserError, match='"sft with divergence of gkd" needs a teacher'):
        read(tmp_path, 'divergence = "gkd"\n', alone)


def test_a_fine_tune_mixes_nothing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="divergence: unknown key"):
        read(
            tmp_path,
            'divergence = "gkd"\n',
            RECIPE.replace('"distill"', '"finetune"').replace('"kid"', '"sft"'),
        )


def test_methods_of_the_command_line_are_plain(tmp_path: Path) -> None:
    file = tmp_path / "r.toml"
    file.write_text(RECIPE + f"divergence = {toml_value('gkd')}\n")
    (stage,) = check(with_methods(read_written(file), ["kid"]), [])[0].stages
    assert stage.kind == "distill"
    assert (stage.method, stage.parts) == ("kid", {})
