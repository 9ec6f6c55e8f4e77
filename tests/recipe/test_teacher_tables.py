"""Further teachers in a recipe: their tables, the stages that use them, and the mistakes that can be made with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kdzoo.recipe import Recipe, StageModel, rehearsed

Load = Callable[..., Recipe]
Problems = Callable[..., list[str]]

WIDE = '[teachers.wide]\nfrom_scratch = { architecture = "llama", hidden_size = 128 }\n'
MULTI = 'method = "multi"\noptions = { weights = { teacher = 0.5, wide = 0.5 } }'
STUDENT = 'from_scratch = { architecture = "llama", hidden_size = 32 }'


@pytest.fixture
def several(right: str) -> str:
    """A recipe of a teacher and a further one; the distillation is lines 24 to 27."""
    return right.replace("[student]", f"{WIDE}[student]").replace('method = "kid"', MULTI)


class TestTables:
    def test_have_the_keys_of_the_teacher_s(self, load: Load, several: str) -> None:
        recipe = load(several)
        assert list(recipe.models) == ["teacher", "wide", "student"]
        wide = recipe.model("wide")
        assert wide is not None
        assert wide.from_scratch == {"architecture": "llama", "hidden_size": 128}
        assert load(several, "teachers.wide.attention=eager").teachers["wide"].attention == "eager"

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("teachers = 3", "r.toml:1: teachers: must be tables by name, [teachers.NAME], not 3"),
            (
                '[teachers.wide]\npth = "x"',
                'r.toml:2: teachers.wide.pth: unknown key; did you mean "path"?',
            ),
            (
                '[teachers.base]\npath = "gpt2"',
                'r.toml:1: teachers.base: "base" names another model of a training; ',
            ),
            (
                '[teachers.teacher]\npath = "gpt2"',
                'r.toml:1: teachers.teacher: "teacher" names another model',
            ),
            (
                '[teachers.data]\npath = "gpt2"',
                'r.toml:1: teachers.data: "data" names another part of a recipe',
            ),
            ('[teachers."a b"]\npath = "gpt2"', "r.toml:1: teachers.a b: a name must consist of"),
            (
                "[teachers.wide]\nseed = 1",
                "r.toml:2: teachers.wide.seed: unknown key; write it as seed before",
            ),
        ],
    )
    def test_mistakes_are_told_with_line_and_key(
        self, problems: Problems, right: str, text: str, message: str
    ) -> None:
        first, *_ = problems(f"{text}\n{right}")
        assert first.startswith(message)

    def test_a_path_is_relative_to_the_recipe(self, load: Load, several: str) -> None:
        for folder in ("wide", "base"):
            Path(folder).mkdir()
        text = several.replace(WIDE, '[teachers.wide]\npath = "wide"\n').replace(
            "[tokenizer]\ntrain = { vocab_size = 500 }", '[tokenizer]\npath = "base"'
        )
        assert load(text).teachers["wide"].path == str(Path("wide").resolve())

    def test_each_must_be_there_where_it_is_named_by_a_folder(self, load: Load, several: str) -> None:
        from kdzoo.errors import UserError
        from kdzoo.recipe import check_model_paths

        text = several.replace(WIDE, '[teachers.wide]\npath = "./no/such/folder"\n').replace(
            "[tokenizer]\ntrain = { vocab_size = 500 }", '[tokenizer]\npath = "gpt2"'
        )
        with pytest.raises(UserError, match=r"r\.toml:\d+: teachers\.wide\.path: there is no folder"):
            check_model_paths(load(text))


class TestAStage:
    def test_loads_those_that_its_options_name(self, load: Load, several: str) -> None:
        recipe = load(several)
        stage = recipe.stages[1]
        assert recipe.models_used(stage) == {
            "student": StageModel("student"),
            "teacher": StageModel("teacher", "finetune"),
            "wide": StageModel("wide"),
        }
        alone = load(several, "multi.options.weights={ wide = 1.0 }")
        assert list(alone.models_used(alone.stages[1])) == ["student", "wide"]

    def test_may_fine_tune_one_which_then_teaches(self, load: Load, several: str) -> None:
        more = '[[stage]]\nkind = "finetune"\nname = "wider"\nmodel = "wide"\n\n[[stage]]\nkind = "distill"'
        recipe = load(several.replace('[[stage]]\nkind = "distill"', more))
        assert recipe.models_used(recipe.stages[1]) == {"wide": StageModel("wide")}
        assert recipe.models_used(recipe.stages[2])["wide"] == StageModel("wide", "wider")
        assert recipe.models_of(recipe.stages[3]) == ("teacher", "wide", "multi")  # type: ignore[arg-type]
        assert recipe.models_used(recipe.stages[3])["wide"] == StageModel("wide", "wider")

    def test_may_evaluate_one_as_it_is_given(self, load: Load, several: str) -> None:
        text = several.replace(WIDE, '[teachers.wide]\npath = "gpt2"\n').replace(
            "[tokenizer]\ntrain = { vocab_size = 500 }", '[tokenizer]\npath = "gpt2"'
        )
        recipe = load(text, 'evaluate.models=["wide"]')
        assert recipe.models_used(recipe.stages[2]) == {"wide": StageModel("wide")}

    def test_names_one_that_is_not_there(self, problems: Problems, several: str) -> None:
        text = several.replace("wide = 0.5", "wdie = 0.5")
        assert problems(text) == [
            'r.toml:24: stage "multi": options.weights.wdie: the method "multi" asks for a teacher "wdie", and there '
            'is no [teachers.wdie]; did you mean "wide"?'
        ]

    def test_names_one_where_there_are_none(self, problems: Problems, several: str) -> None:
        assert problems(several.replace(WIDE, "")) == [
            'r.toml:22: stage "multi": options.weights.wide: the method "multi" asks for a teacher "wide", and there '
            "is no [teachers.wide]; add the table"
        ]

    def test_needs_no_teacher_that_it_does_not_name(
        self, load: Load, problems: Problems, several: str
    ) -> None:
        text = several.replace(
            '[teacher]\nfrom_scratch = { architecture = "llama", hidden_size = 64 }\n', ""
        ).replace('[[stage]]\nkind = "finetune"\n', "")
        assert problems(text) == [
            'r.toml:19: stage "multi": method: the method "multi" needs a teacher; add a [teacher] table'
        ]
        assert load(text.replace("teacher = 0.5, ", "")).teacher is None

    def test_asks_for_a_model_to_fine_tune_that_is_not_there(self, problems: Problems, several: str) -> None:
        text = several.replace('kind = "finetune"', 'kind = "finetune"\nmodel = "wied"')
        assert problems(text) == [
            'r.toml:20: stage "finetune": model: there is no [teachers.wied]; did you mean "wide"?'
        ]

    def test_does_not_learn_from_teachers_in_a_fine_tune(self, problems: Problems, several: str) -> None:
        text = several.replace(
            'kind = "finetune"', f'kind = "finetune"\n{MULTI.replace("teacher = 0.5, ", "")}'
        )
        assert problems(text) == [
            'r.toml:20: stage "finetune": method: the method "multi" needs a teacher; use it in a distill stage'
        ]

    def test_has_no_teacher_s_name(self, problems: Problems, several: str) -> None:
        text = several.replace('kind = "finetune"', 'kind = "finetune"\nname = "wide"')
        assert problems(text) == [
            'r.toml:20: stage "wide": name: "wide" names a further teacher; choose another name'
        ]

    def test_evaluates_no_model_that_is_not_there(self, problems: Problems, several: str) -> None:
        text = several.replace('kind = "evaluate"', 'kind = "evaluate"\nmodels = ["wied"]')
        (told,) = problems(text)
        assert told.endswith(
            'no stage before this one is called "wied" and trains a model; did you mean "wide"?'
        )


class TestOfItself:
    """A method that learns from its own model needs no teacher; without an adapter it has no base."""

    LORA = f"{STUDENT}\nlora = {{ rank = 2 }}"

    @pytest.fixture
    def alone(self, right: str) -> str:
        text = right.replace('method = "kid"', 'method = "opsd"').replace(
            '[[stage]]\nkind = "finetune"\n', ""
        )
        return text.replace('[teacher]\nfrom_scratch = { architecture = "llama", hidden_size = 64 }\n', "")

    def test_no_teacher_is_needed(self, load: Load, alone: str) -> None:
        recipe = load(alone.replace(STUDENT, self.LORA))
        assert recipe.models_used(recipe.stages[0]) == {"student": StageModel("student")}
        assert not recipe.stages[0].learns_alone  # type: ignore[union-attr]

    def test_without_lora_there_is_no_base(self, problems: Problems, load: Load, alone: str) -> None:
        (told,) = problems(alone)
        assert told.startswith(
            'r.toml:15: stage "opsd": options.teacher: the student is trained without LoRA, so that there is no base of it'
        )
        for teacher in ("average", "student"):
            load(alone, f"opsd.options.teacher={teacher}")

    def test_a_base_among_several_teachers_is_one_too(self, problems: Problems, several: str) -> None:
        (told,) = problems(several.replace("wide = 0.5 }", "base = 0.5 }"))
        assert "options.weights.base: the student is trained without LoRA" in told

    def test_a_teacher_may_be_fine_tuned_so(self, load: Load, alone: str) -> None:
        text = alone.replace(
            'kind = "distill"\nmethod = "opsd"',
            'kind = "finetune"\nmodel = "student"\nmethod = "opsd"\noptions.teacher = "average"',
        )
        assert load(text).stages[0].kind == "finetune"


def test_a_rehearsal_has_tiny_ones(load: Load, several: str) -> None:
    recipe = rehearsed(load(several))
    assert recipe.teachers["wide"].from_scratch == recipe.teacher.from_scratch  # type: ignore[union-attr]
    assert list(recipe.models_used(recipe.stages[1])) == ["student", "teacher", "wide"]
