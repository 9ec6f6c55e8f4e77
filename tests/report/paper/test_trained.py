"""Which of the paper's models a run has trained is seen from its recipe, whatever runs, stages and sets are called."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from paper_runs import FINISHED, STAGES, make_run, recipe_text, scored

from kdzoo.report.paper.exhibits import Query, the_paper
from kdzoo.report.paper.trained import Score, TrainedModel, trained_models
from kdzoo.report.runs_read import read_run

STUDENT, TEACHER = "Qwen1.5-0.5B", "Qwen1.5-1.8B"
EX = ("Spider-dev", "ex")


@pytest.fixture
def read(tmp_path: Path) -> Any:
    """The models of a run of this recipe that has left these results."""

    def read(
        recipe: str, results: Any = FINISHED, status: str = "finished", notes: list[str] | None = None
    ) -> list[TrainedModel]:
        folder = make_run(tmp_path / "runs/some-name", recipe, results, status)
        return trained_models(read_run(folder), the_paper(), [] if notes is None else notes)

    return read


def test_teacher_and_students_in_the_paper_s_words(read: Any) -> None:
    sft, teacher, kid = read(recipe_text())
    assert sft.trained == Query(STUDENT, None, "sft", trained_on="Spider")
    assert teacher.trained == Query(None, TEACHER, "sft", trained_on="Spider")
    assert kid.trained == Query(STUDENT, TEACHER, "kid", trained_on="Spider")
    assert [model.scores for model in (sft, teacher, kid)] == [
        {EX: Score(50.0, 1034)},
        {EX: Score(75.0, 1034)},
        {EX: Score(62.5, 1034)},
    ]
    assert [model.step_seconds for model in (sft, teacher, kid)] == [0.5, 0.75, 1.0]
    assert all(model.state == "finished" and not model.marks for model in (sft, teacher, kid))


def test_a_teacher_is_the_same_whatever_the_seed_of_its_students(read: Any) -> None:
    sft, teacher, kid = read(recipe_text(head="seed = 4\nstudent_seed = 7"))
    assert (sft.seeds, teacher.seeds, kid.seeds) == ((4, 7), (4, 4), (4, 7))


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("Qwen/Qwen1.5-0.5B", STUDENT),
        ("/models/qwen1.5-0.5b", STUDENT),
        ("Salesforce/codegen-350M-mono", "CodeGen-350M"),
        ("TinyLlama/TinyLlama-1.1B-intermediate-step-1431k-3T", "TinyLLaMA-1.1B"),
    ],
)
def test_a_student_is_known_by_the_last_part_of_its_path(read: Any, path: str, name: str) -> None:
    assert read(recipe_text(student=f'path = "{path}"'))[0].trained.student == name


@pytest.mark.parametrize(
    "changed",
    [
        {"student": 'path = "Qwen/Qwen1.5-0.5B-Chat"'},
        {"student": 'path = "gpt2"'},
        {"data": 'kind = "embedded"'},
    ],
)
def test_other_models_and_data_are_none_of_the_paper_s(read: Any, changed: dict[str, str]) -> None:
    assert [model.trained for model in read(recipe_text(**changed), {}) if model.trained.student] == []


def test_a_student_that_was_trained_before_is_none_of_the_paper_s(read: Any) -> None:
    stages = STAGES.replace('method = "kid"', 'method = "kid"\nstudent_from = "sft"')
    assert [model.stage for model in read(recipe_text(stages))] == ["sft", "finetune"]


class TestSets:
    @pytest.mark.parametrize(
        ("keys", "name"),
        [
            ("", "Spider-dev"),
            ('evaluation = "dev.json"', "Spider-dev"),
            ('evaluation = "spider_dk.json"', "Spider-DK"),
            ('evaluation = "../Spider-DK/Spider-DK.json"', "Spider-DK"),
            ('evaluation = "spider_syn_dev.json"', "Spider-Syn"),
            ('evaluation = "../Spider-Syn/dev.json"', "Spider-Syn"),
            ('evaluation = "../spider-realistic/spider-realistic.json"', "Spider-Realistic"),
            ('data = "b"\nevidence = false', "BIRD-dev w/o EK"),
            ('data = "b"', "BIRD-dev w/ EK"),
        ],
    )
    def test_are_known_by_their_files_and_keys(self, read: Any, keys: str, name: str) -> None:
        bird = '[datasets.b]\nkind = "bird"\npath = "/data/bird"\n'
        more = f"{bird}[evaluation_sets.anything]\n{keys}\n"
        result = {**FINISHED, "evaluate": scored(kid={"anything": {"ex": 0.25}})}
        assert read(recipe_text(more=more), result)[2].scores == {(name, "ex"): Score(25.0, 1034)}

    def test_training_questions_that_are_held_out_are_not_dev(self, read: Any) -> None:
        data = 'kind = "spider"\npath = "/data/spider"\nsplit = "question"'
        assert [model.scores for model in read(recipe_text(data=data))] == [{}, {}, {}]

    def test_others_are_none_of_the_paper_s(self, read: Any) -> None:
        more = '[evaluation_sets.anything]\nevaluation = "test.json"\n'
        result = {**FINISHED, "evaluate": scored(kid={"anything": {"ex": 0.25}})}
        assert read(recipe_text(more=more), result)[2].scores == {}


class TestMarks:
    @pytest.mark.parametrize(
        "changed",
        [
            {"training": "epochs = 3"},
            {"training": "epochs = 8\nmax_steps = 20"},
            {"training": "epochs = 8\nlearning_rate = 1e-4"},
            {"rank": "rank = 8"},
            {"data": 'kind = "spider"\npath = "/data/spider"\nmax_train = 100'},
            {"data": 'kind = "spider"\npath = "/data/spider"\nsplit = "question"'},
            {"stages": STAGES.replace('[[stage]]\nkind = "finetune"\n', "")},
        ],
        ids=["epochs", "steps", "learning rate", "rank", "data", "split", "a teacher that is not fine-tuned"],
    )
    def test_other_settings_than_the_paper_s(self, read: Any, changed: dict[str, str]) -> None:
        assert read(recipe_text(**changed))[-1].marks == {"other settings"}

    def test_another_value_of_an_option_that_the_paper_leaves_open(self, read: Any) -> None:
        stages = STAGES.replace('"kid"', '"kid"\noptions = { mle_weight = 0.5 }')
        kid = read(recipe_text(stages))[2]
        assert (kid.trained.options, kid.marks) == (frozenset(), {"other options"})

    def test_an_option_that_the_paper_gives_makes_another_model(self, read: Any) -> None:
        stages = STAGES.replace('"kid"', '"kid"\noptions = { alpha = 0.4 }')
        kid = read(recipe_text(stages))[2]
        assert (kid.trained.options, kid.marks) == ({("alpha", 0.4)}, frozenset())

    def test_a_rehearsal_is_what_it_stands_for(self, read: Any, tmp_path: Path) -> None:
        tiny = 'from_scratch = { architecture = "qwen2", hidden_size = 32 }'
        data = 'kind = "embedded"\n[tokenizer]\ntrain = { vocab_size = 500 }'
        more = "[evaluation_sets.spider]\n"
        run = make_run(
            tmp_path / "run",
            recipe_text(teacher=tiny, student=tiny, data=data, more=more, training="max_steps = 4"),
            FINISHED,
        )
        assert trained_models(read_run(run), the_paper(), []) == []
        (run / "rehearses.toml").write_text(recipe_text())
        kid = trained_models(read_run(run), the_paper(), [])[2]
        assert kid.trained == Query(STUDENT, TEACHER, "kid", trained_on="Spider")
        assert (kid.marks, kid.scores) == ({"rehearsal"}, {EX: Score(62.5, 1034)})


class TestWhatIsNotThere:
    @pytest.mark.parametrize(
        ("status", "state"),
        [("failed", "failed"), ("running", "unfinished"), ("interrupted", "unfinished")],
    )
    def test_of_a_run_that_has_not_ended_well(self, read: Any, status: str, state: str) -> None:
        sft, _, kid = read(recipe_text(), {"sft": FINISHED["sft"]}, status)
        assert (sft.state, kid.state) == ("finished", state)
        assert kid.asked_for == {EX: state}
        assert kid.scores == {}

    @pytest.mark.parametrize("score", [None, True, "0.5", [0.5], float("nan")])
    def test_a_score_that_is_no_number(self, read: Any, score: Any) -> None:
        assert (
            read(recipe_text(), {**FINISHED, "evaluate": scored(kid={"spider": {"ex": score}})})[2].scores
            == {}
        )

    @pytest.mark.parametrize("results", [{}, {"models": []}, {"models": {"kid": {"sets": []}}}])
    def test_results_of_another_form(self, read: Any, results: Any) -> None:
        assert read(recipe_text(), {**FINISHED, "evaluate": results})[2].scores == {}


class TestScoresWhileTraining:
    def test_are_read_by_step(self, read: Any, tmp_path: Path) -> None:
        folder = make_run(tmp_path / "run", recipe_text(), FINISHED)
        lines = [
            {"step": 1, "loss": 2.0},
            {"step": 1000, "set": "spider", "examples": 100, "scores": {"ex": 0.125}},
            {"step": 2000, "set": "unknown", "examples": 100, "scores": {"ex": 0.25}},
        ]
        (folder / "kid/metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        kid = trained_models(read_run(folder), the_paper(), [])[2]
        assert kid.curve == {("Spider-dev", "ex", 1000): Score(12.5, 100)}

    def test_a_broken_file_is_noted(self, tmp_path: Path) -> None:
        folder = make_run(tmp_path / "run", recipe_text(), FINISHED)
        (folder / "kid/metrics.jsonl").write_text("{\n")
        notes: list[str] = []
        assert trained_models(read_run(folder), the_paper(), notes)[2].curve == {}
        assert len(notes) == 1
        assert "metrics.jsonl:1" in notes[0]
