"""Models of several runs: what is the same but for its seed, and what differs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from made_runs import EVALUATE, FINETUNE, HEAD, KID, SFT, MadeRun, kid

from kdzoo.report.groups import ModelGroup, baseline_of, curves, grouped, short_key, value_text
from kdzoo.report.measured import measured_models
from kdzoo.report.runs_read import read_run

Group = Callable[..., list[ModelGroup]]


@pytest.fixture
def group(tmp_path: Path) -> Group:
    def group(*runs: MadeRun) -> list[ModelGroup]:
        parent = tmp_path / str(len(list(tmp_path.iterdir())))
        folders = [run.write(parent / f"run-{n}") for n, run in enumerate(runs)]
        return grouped(model for folder in folders for model in measured_models(read_run(folder), []))

    return group


def answers(*models: str, right: float = 1) -> dict[str, Any]:
    return {model: {"embedded": {"ex": [right, 0]}} for model in models}


def made(stages: Sequence[str], seed: int = 0, **more: Any) -> MadeRun:
    return MadeRun([*stages, EVALUATE], answers("teacher", "sft", "kid", "kid2"), seed=seed, **more)


def test_runs_that_differ_in_their_seed_are_put_together(group: Group) -> None:
    groups = group(made([SFT, KID], 0), made([SFT, KID], 1), made([SFT, KID], 2))
    assert [(g.label, len(g.members)) for g in groups] == [("sft", 3), ("kid", 3)]


def test_and_so_are_those_whose_stages_have_other_seeds(group: Group) -> None:
    groups = group(*(made([f"{SFT}\nseed = {seed}", KID], fingerprints={"kid": "kid"}) for seed in (1, 2)))
    assert [(g.label, len(g.members)) for g in groups] == [("sft", 2), ("kid", 1)]


def test_a_stage_that_runs_share_counts_once(group: Group) -> None:
    shared = {"fingerprints": {"finetune": "teacher", "sft": "sft"}}
    groups = group(*(made([FINETUNE, SFT, kid(alpha)], **shared) for alpha in (0.1, 0.2)))
    assert [(g.label, len(g.members)) for g in groups] == [
        ("teacher", 1),
        ("sft", 1),
        ("kid, alpha = 0.1", 1),
        ("kid, alpha = 0.2", 1),
    ]


def test_what_another_run_measured_of_a_shared_model_is_taken_over(group: Group) -> None:
    shared = {"sft": "x"}
    first = MadeRun([SFT, EVALUATE], {"sft": {"embedded": {"ex": [1, 0]}}}, fingerprints=shared)
    second = MadeRun(
        [SFT, EVALUATE], {"sft": {"embedded": {"ex": [0, 0], "ts": [0, 0]}}}, fingerprints=shared
    )
    (sft,) = group(first, second)
    assert sft.members[0].sets["embedded"].scores == {"ex": 0.5, "ts": 0.0}


def test_a_model_as_it_was_given_is_one_whatever_the_seeds(group: Group) -> None:
    given = f'{EVALUATE}\nmodels = ["student"]'
    (student,) = group(*(MadeRun([given], answers("student"), seed=seed) for seed in (1, 2)))
    assert len(student.members) == 1


def test_the_same_seed_again_under_other_code_is_no_further_seed(group: Group) -> None:
    groups = group(made([SFT]), made([SFT]))
    assert [g.label for g in groups] == ["sft (run-0)", "sft (run-1)"]


def test_settings_that_differ_name_the_rows(group: Group) -> None:
    slow = HEAD + "[training]\nlearning_rate = 1e-5\n"
    groups = group(made([kid(0.1)]), made([kid(0.2)], head=slow), made([kid(0.2)], 1, head=slow))
    assert [(g.label, len(g.members)) for g in groups] == [
        ("kid, training.learning_rate = 0.0002, alpha = 0.1", 1),
        ("kid, training.learning_rate = 1e-05, alpha = 0.2", 2),
    ]


def test_so_do_those_of_the_further_teachers_that_a_stage_learns_from(group: Group) -> None:
    def several(wide: str, deep: str, precision: str = "sdpa") -> str:
        tables = (
            f'[teachers.wide]\npath = "{wide}"\nattention = "{precision}"\n[teachers.deep]\npath = "{deep}"\n'
        )
        return HEAD.replace("[student]", f"{tables}[student]")

    multi = 'kind = "distill"\nname = "kid"\nmethod = "multi"\noptions.weights = { teacher = 1, wide = 1 }'
    runs = [("org/a", "org/b"), ("org/a", "org/c"), ("org/d", "org/b"), ("org/a", "org/b", "eager")]
    groups = group(*(made([multi], seed, head=several(*wide)) for seed, wide in enumerate(runs)))
    # deep teaches nobody, and how attention is computed shapes nothing
    assert [(g.label, len(g.members)) for g in groups] == [
        ("kid, teachers.wide.path = org/a", 3),
        ("kid, teachers.wide.path = org/d", 1),
    ]


def test_so_do_settings_of_stages_before_and_of_the_teacher(group: Group) -> None:
    base = 'kind = "finetune"\nname = "base"\nmodel = "student"\ntraining = {{ epochs = {} }}'
    begun = f'{KID}\nstudent_from = "base"'
    groups = group(made([base.format(1), begun]), made([base.format(2), begun]))
    labels = [g.label for g in groups if g.name == "kid"]
    assert labels == ["kid, base.training.epochs = 1", "kid, base.training.epochs = 2"]
    assert "teacher.path" not in group(made([base.format(1)]))[0].settings
    taught = base.format(1) + '\nstudent_from = "finetune"'
    same = HEAD.replace('path = "s"', 'path = "t"\nkeep_layers = 2')
    assert "teacher.path" in group(made([FINETUNE, taught], head=same))[-1].settings
    other = HEAD.replace('[teacher]\npath = "t"', '[teacher]\npath = "u"')
    assert [g.settings.get("teacher.path") for g in group(made([KID], head=other))] == ["u"]


def test_what_shapes_no_number_is_no_difference(group: Group) -> None:
    other = HEAD + '[training]\nsharing = "off"\nloggers = ["tensorboard"]\n'
    (sft,) = group(made([SFT]), made([SFT], 1, head=other))
    assert len(sft.members) == 2


def test_how_a_training_is_scored_counts_only_where_that_chooses_its_weights(group: Group) -> None:
    scored = HEAD + "[training]\nevaluate_every = {}\nkeep_best = {}\n"
    watched = group(*(made([SFT], n, head=scored.format(n, "false")) for n in (1, 2)))
    assert [(g.label, len(g.members)) for g in watched] == [("sft", 2)]
    kept = group(*(made([SFT], n, head=scored.format(n, "true")) for n in (1, 2)))
    assert [g.label for g in kept] == ["sft, training.evaluate_every = 1", "sft, training.evaluate_every = 2"]


def test_what_is_measured_otherwise_is_not_put_together(group: Group) -> None:
    measured = HEAD + '[evaluation]\nbatch_size = {}\nexaccerr_average = "{}"\n'
    alike = group(*(made([KID], n, head=measured.format(n, "all")) for n in (1, 2)))
    assert [(g.label, len(g.members)) for g in alike] == [("kid", 2)]
    other = group(
        *(made([KID], n, head=measured.format(1, of)) for n, of in enumerate(("all", "unfinished")))
    )
    assert [g.label for g in other] == [
        "kid, evaluation.exaccerr_average = all",
        "kid, evaluation.exaccerr_average = unfinished",
    ]


def test_the_teacher_is_no_other_for_a_student_that_learns_without_one(group: Group) -> None:
    other = HEAD.replace('[teacher]\npath = "t"', '[teacher]\npath = "u"')
    (sft,) = group(made([SFT]), made([SFT], 1, head=other))
    assert sft.label == "sft"


def test_rows_that_differ_in_much_are_called_after_their_runs(group: Group) -> None:
    head = HEAD + "[training]\nlearning_rate = 1e-5\nepochs = 9\nbatch_size = 3\nweight_decay = 0.5\n"
    assert [g.label for g in group(made([SFT]), made([SFT], head=head))] == ["sft (run-0)", "sft (run-1)"]


class TestBaseline:
    def test_it_is_the_sft_student_of_the_recipe_most_like_one_s_own(self, group: Group) -> None:
        slow = HEAD + "[training]\nlearning_rate = 1e-5\n"
        groups = group(made([SFT, KID]), made([SFT, KID], head=slow))
        for one in groups:
            found = baseline_of(one, groups)
            assert found is not None
            assert found.name == "sft"
            assert found.differing == one.differing

    def test_it_may_stand_in_another_run(self, group: Group) -> None:
        sft, own = group(made([SFT]), made([KID]))
        assert baseline_of(own, [sft, own]) is sft
        assert baseline_of(sft, [sft, own]) is sft

    def test_of_two_in_one_run_it_is_the_one_that_learnt_from_the_same_data(self, group: Group) -> None:
        head = f'{HEAD}[datasets.other]\nkind = "jsonl"\ntrain = "t"\nevaluation = "e"\n'
        named = 'kind = "distill"\nmethod = "{0}"\nname = "{0}-other"\ndata = "other"'
        stages = [SFT, KID, named.format("sft"), named.format("kid"), EVALUATE]
        models = ("sft", "kid", "sft-other", "kid-other")
        groups = group(MadeRun(stages, answers(*models), head=head))
        found = {one.name: baseline_of(one, groups) for one in groups}
        assert {name: None if of is None else of.name for name, of in found.items()} == {
            "sft": "sft",
            "kid": "sft",
            "sft-other": "sft-other",
            "kid-other": "sft-other",
        }
        without = [one for one in groups if one.name != "sft-other"]
        assert baseline_of(groups[3], without) is None

    def test_it_may_have_learnt_from_another_part_of_the_data(self, group: Group) -> None:
        less = HEAD.replace('"embedded"', '"embedded"\nquestions = 100')
        sft, own = group(made([SFT]), made([KID], head=less))
        assert baseline_of(own, [sft, own]) is sft

    def test_it_has_the_same_student_and_a_teacher_has_none(self, group: Group) -> None:
        other = HEAD.replace('[student]\npath = "s"', '[student]\npath = "larger"')
        teacher, sft, own = group(made([FINETUNE, SFT]), made([KID], head=other))
        assert baseline_of(own, [teacher, sft, own]) is None
        assert baseline_of(teacher, [teacher, sft, own]) is None


class TestCurves:
    def test_a_number_of_three_values_or_more_makes_one(self, group: Group) -> None:
        groups = group(*(made([kid(alpha)], seed) for alpha in (0.3, 0.1, 0.2) for seed in (0, 1)))
        (curve,) = curves(groups)
        assert (curve.key, curve.name, curve.others) == ("kid.options.alpha", "kid", {})
        assert [(value, len(of.members)) for value, of in curve.points] == [(0.1, 2), (0.2, 2), (0.3, 2)]

    def test_two_values_or_words_make_none(self, group: Group) -> None:
        assert curves(group(made([kid(0.1)]), made([kid(0.2)]))) == []
        words = [f'{KID}\noptions = {{ strategy = "{s}" }}' for s in ("random", "uniform", "hard")]
        groups = group(*(made([stage]) for stage in words))
        assert groups[0].label == "kid, strategy = random"
        assert curves(groups) == []

    def test_each_of_a_grid_s_lines_is_one(self, group: Group) -> None:
        runs = [
            made([kid(alpha)], head=HEAD + f"[training]\nlearning_rate = {rate}\n")
            for alpha in (0.1, 0.2, 0.3)
            for rate in (1e-4, 2e-4)
        ]
        found = curves(group(*runs))
        assert [(c.key, dict(c.others), len(c.points)) for c in found] == [
            ("kid.options.alpha", {"training.learning_rate": 1e-4}, 3),
            ("kid.options.alpha", {"training.learning_rate": 2e-4}, 3),
        ]


def test_keys_and_values_are_said_shortly() -> None:
    assert short_key("kid.options.alpha", "kid") == "alpha"
    assert short_key("base.training.epochs", "kid") == "base.training.epochs"
    assert [value_text(value) for value in ("a", 0.5, True, ["x"], "\x1b[1m\n")] == [
        "a",
        "0.5",
        "true",
        '["x"]',
        r'"\u001b[1m\n"',
    ]
