"""Stages, datasets, evaluation sets and metrics that do not fit together are told at the key that has to change."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kdzoo.recipe import Recipe

Problems = Callable[..., list[str]]
Load = Callable[..., Recipe]

MORE = """\
[data]
kind = "embedded"

[datasets.bird]
kind = "bird"
path = "b"
train = []

[datasets.text]
kind = "jsonl"
evaluation = "e"

[evaluation_sets.dev]

[evaluation_sets.text]
data = "text"
"""


@pytest.fixture
def several(right: str) -> str:
    """Embedded questions and text to evaluate on; an evaluate stage at the end."""
    return right.replace('[data]\nkind = "embedded"\n', MORE)


def test_a_stage_that_trains_on_a_dataset_that_is_not_there(problems: Problems, several: str) -> None:
    text = several.replace('method = "kid"', 'method = "kid"\ndata = "brid"')
    line = text[: text.index('data = "brid"')].count("\n") + 1
    assert problems(text) == [
        f'r.toml:{line}: stage "kid": data: there is no [datasets.brid]; did you mean "bird"?'
    ]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("bird", 'r.toml:7: datasets.bird.train: names nothing, and the stage "kid" trains on it'),
        ("text", 'r.toml:9: datasets.text.train: names nothing, and the stage "kid" trains on it'),
    ],
)
def test_a_stage_that_trains_on_a_dataset_without_training_questions(
    problems: Problems, several: str, name: str, message: str
) -> None:
    assert problems(several.replace('method = "kid"', f'method = "kid"\ndata = "{name}"')) == [message]


def test_a_set_that_has_nothing_to_evaluate_on(problems: Problems, several: str) -> None:
    text = several.replace('evaluation = "e"', 'train = "t"')
    assert problems(text) == [
        'r.toml:9: datasets.text.evaluation: names nothing, and the stage "evaluate" evaluates on it'
    ]


def test_is_no_problem_where_no_stage_scores_it(load: Load, several: str) -> None:
    load(several.replace('evaluation = "e"', 'train = "t"') + 'sets = ["dev"]\n')


def test_an_evaluation_set_that_is_not_there(problems: Problems, several: str) -> None:
    text = several + 'sets = ["dev", "txet"]\n'
    line = text.count("\n")
    assert problems(text) == [
        f'r.toml:{line}: stage "evaluate": sets: there is no evaluation set "txet"; did you mean "text"?'
    ]


def test_an_evaluation_set_of_a_recipe_without_sets(problems: Problems, right: str) -> None:
    assert problems(right + 'sets = ["dk"]\n')[0].endswith(
        'stage "evaluate": sets: there is no evaluation set "dk"; there are: embedded'
    )


class TestMetrics:
    def test_need_fit_one_of_the_sets_alone(self, load: Load, several: str) -> None:
        recipe = load(several.replace("[training]", '[evaluation]\nmetrics = ["ex", "rouge_l"]\n[training]'))
        assert [one.evaluation.metrics for one in recipe.sets_of()] == [("ex",), ("rouge_l",)]

    def test_that_fit_none_are_told_with_what_all_of_them_have(
        self, problems: Problems, several: str
    ) -> None:
        text = several.replace('"text"]', '"bird"]').replace('data = "text"', 'data = "bird"')
        text = text.replace("[training]", '[evaluation]\nmetrics = ["rouge_l"]\n[training]')
        line = text[: text.index("metrics")].count("\n") + 1
        assert problems(text) == [
            f'r.toml:{line}: evaluation.metrics: "rouge_l" does not fit data of kind "embedded", which has ex, ts, ex_vote, exaccerr '
            'nor data of kind "bird", which has ex, ex_vote, exaccerr'
        ]

    def test_of_a_stage_must_fit_one_of_its_own_sets(self, problems: Problems, several: str) -> None:
        text = several + 'sets = ["text"]\nevaluation = { metrics = ["ts"] }\n'
        line = text.count("\n")
        assert problems(text) == [
            f'r.toml:{line}: stage "evaluate": evaluation.metrics: "ts" does not fit data of kind "jsonl", which has '
            "exact_match, rouge_l, exaccerr"
        ]

    def test_of_a_set_that_compare_with_a_teacher_need_one(self, problems: Problems, several: str) -> None:
        teacher = '[teacher]\nfrom_scratch = { architecture = "llama", hidden_size = 64 }\n\n'
        text = several.replace(teacher, "").replace(
            "[evaluation_sets.dev]", '[evaluation_sets.dev]\nmetrics = ["exaccerr"]'
        )
        text = text.replace('kind = "finetune"', 'kind = "finetune"\nmodel = "student"').replace(
            '"kid"', '"sft"'
        )
        assert problems(text) == [
            'r.toml:14: evaluation_sets.dev.metrics: "exaccerr" compares with the teacher; add a [teacher] table'
        ]


def test_a_stage_may_not_have_the_name_of_a_table(problems: Problems, several: str) -> None:
    assert problems(several + 'name = "datasets"\n')[0].endswith(
        'stage "datasets": name: "datasets" names another part of a recipe; choose another name'
    )
