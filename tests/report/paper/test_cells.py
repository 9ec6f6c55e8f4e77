"""Cells are filled by the runs that are most like the paper's; what is not there is told apart by why it is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kdzoo.report.paper.cells import Cell, fill
from kdzoo.report.paper.exhibits import Query, the_paper
from kdzoo.report.paper.trained import Score, TrainedModel

STUDENT, TEACHER = "Qwen1.5-0.5B", "Qwen1.5-1.8B"
KID = Query(STUDENT, TEACHER, "kid", trained_on="Spider")
SFT = Query(STUDENT, None, "sft", trained_on="Spider")
EX = ("Spider-dev", "ex")
COLUMNS = {
    "Spider": [
        (name, metric)
        for name in ("Spider-dev", "Spider-DK", "Spider-Realistic", "Spider-Syn")
        for metric in ("ex", "ts")
    ],
    "BIRD": [("BIRD-dev w/o EK", "ex"), ("BIRD-dev w/ EK", "ex")],
}
WHOLE = {name: known.questions for name, known in the_paper().sets.items()}


def model(trained: Query = KID, run: str = "run", score: float | None = 50.0, **changed: Any) -> TrainedModel:
    """A finished model with a score on Spider-dev."""
    scores = {} if score is None else {EX: Score(score, 1034)}
    made = TrainedModel(trained, Path(run), "stage", "finished", frozenset(), (0, None), scores=scores)
    made.asked_for = {EX: "finished"}
    return replace(made, **changed)


def cell(models: list[TrainedModel], exhibit: str, row: str, column: str, group: str = "") -> Cell:
    filled = next(found for found in fill(the_paper(), models) if found.exhibit.name == exhibit)
    rows = next(found.rows for found in filled.groups if group in found.label)
    cells = next(found.cells for found in rows if found.label == row)
    return cells[[found.label for found in filled.columns].index(column)]


def kid(models: list[TrainedModel]) -> Cell:
    return cell(models, "table 3", "KID", "Spider-dev EX", TEACHER)


def test_without_runs_every_cell_is_missing_and_has_the_paper_s_number() -> None:
    exhibits = fill(the_paper(), [])
    assert [found.exhibit.name for found in exhibits] == [
        *(f"table {number}" for number in range(2, 8)),
        *(f"figure {number}" for number in (1, 2, 4, 5, 6)),
    ]
    assert {found.state for exhibit in exhibits for found in exhibit.cells} == {"missing"}
    assert kid([]) == Cell("missing", published=63.7, published_in="table 3")


def test_a_run_fills_a_cell_in_every_table_and_figure_that_has_it() -> None:
    for exhibit, column in (("table 3", "Spider-dev EX"), ("figure 6", "end")):
        found = cell([model()], exhibit, "KID", column, TEACHER if exhibit == "table 3" else "")
        assert (found.state, found.value, found.sources) == ("filled", 50.0, {"run/stage"})
        assert (found.published, found.published_in) == (63.7, "table 3")


@pytest.mark.parametrize(
    "other",
    [
        replace(KID, method="rkd"),
        replace(KID, teacher="Qwen1.5-4B"),
        replace(KID, student="TinyLLaMA-1.1B"),
        replace(KID, trained_on="BIRD"),
        replace(KID, options=frozenset({("alpha", 0.3)})),
    ],
)
def test_another_model_does_not(other: Query) -> None:
    assert kid([model(other)]).state == "missing"


def test_an_option_has_its_own_row() -> None:
    student = replace(KID, student="CodeGen-350M", teacher="CodeGen-2B")
    models = [model(student, score=40.0), model(replace(student, options=frozenset({("alpha", 0.3)})))]
    values = [cell(models, "figure 5", f"α = 0.{n}", "CodeGen-350M").value for n in (1, 2, 3)]
    assert values == [None, 40.0, 50.0]


class TestSeveralRuns:
    def test_other_seeds_are_averaged(self) -> None:
        models = [model(score=50.0), model(score=53.0, seeds=(0, 1)), model(score=56.0, seeds=(1, None))]
        assert (kid(models).value, kid(models).runs) == (53.0, 3)

    def test_of_the_same_seeds_the_latest_counts(self) -> None:
        models = [model(score=50.0, order=2.0), model(score=40.0, order=1.0)]
        assert (kid(models).value, kid(models).runs) == (50.0, 1)

    @pytest.mark.parametrize(
        "less", [{"marks": frozenset({mark})} for mark in ("rehearsal", "other settings", "other options")]
    )
    def test_one_less_like_the_paper_s_counts_only_where_there_is_no_other(self, less: Any) -> None:
        other = model(score=10.0, order=9.0, seeds=(1, None), **less)
        assert kid([model(), other]).value == 50.0
        assert kid([other]).value == 10.0
        assert kid([other]).marks == less["marks"]

    def test_a_score_on_fewer_questions_is_marked(self) -> None:
        few = model(scores={EX: Score(99.0, 100)})
        assert (kid([few]).value, kid([few]).marks) == (99.0, {"fewer questions"})
        assert kid([few, model()]).value == 50.0

    def test_one_that_failed_does_not_hide_one_that_did_not(self) -> None:
        failed = model(score=None, state="failed", asked_for={EX: "failed"})
        assert kid([failed, model()]).state == "filled"


class TestWhatIsNotThere:
    @pytest.mark.parametrize("state", ["failed", "unfinished"])
    def test_of_a_run_that_was_to_measure_it(self, state: Any) -> None:
        assert kid([model(score=None, state=state, asked_for={EX: state})]).state == state

    def test_of_a_run_that_trains_the_model_and_does_not_measure_it(self) -> None:
        assert kid([model(score=None, state="failed", asked_for={})]).state == "missing"

    def test_of_a_metric_that_has_no_value(self) -> None:
        assert kid([model(score=None)]).state == "missing"


class TestLatency:
    def latency(self, models: list[TrainedModel]) -> Cell:
        return cell(models, "table 3", "KID", "Latency", TEACHER)

    def test_is_a_step_s_time_relative_to_the_sft_student_s(self) -> None:
        models = [model(step_seconds=1.5), model(SFT, step_seconds=0.75)]
        assert self.latency(models).value == 2.0
        assert cell(models, "table 3", "SFT", "Latency").value == 1.0
        assert cell(models, "figure 2", "RKD", "1.8B").state == "missing"

    def test_is_the_mean_over_the_training_sets(self) -> None:
        bird = [replace(KID, trained_on="BIRD"), replace(SFT, trained_on="BIRD")]
        models = [model(step_seconds=1.5), model(SFT, step_seconds=0.75)]
        models += [model(bird[0], step_seconds=3.0), model(bird[1], step_seconds=1.0)]
        assert self.latency(models).value == 2.5

    def test_is_relative_to_a_student_of_the_same_run_where_there_is_one(self) -> None:
        models = [
            model(SFT, run="on another machine", step_seconds=10.0),
            model(SFT, step_seconds=0.5),
            model(step_seconds=1.0),
        ]
        assert self.latency(models).value == 2.0
        assert self.latency([models[0], models[2]]).value == 0.1

    def test_a_rehearsal_s_times_are_not_mixed_with_others(self) -> None:
        rehearsed = model(SFT, step_seconds=0.5, marks=frozenset({"rehearsal"}))
        assert self.latency([model(step_seconds=1.0), rehearsed]).state == "missing"

    def test_the_teacher_s_is_relative_to_its_student_s_baseline(self) -> None:
        teacher = Query(None, TEACHER, "sft", trained_on="Spider")
        models = [model(teacher, step_seconds=3.0), model(SFT, step_seconds=2.0)]
        assert cell(models, "table 3", "Teacher", "Latency", TEACHER).value == 1.5

    def test_needs_both(self) -> None:
        assert self.latency([model(step_seconds=1.0)]).state == "missing"
        assert self.latency([model(state="failed")]).state == "failed"


class TestAverage:
    def models(self, of: Query, first: float) -> list[TrainedModel]:
        """Scores of first, first + 1, ... on the ten columns."""
        found, value = [], first
        for trained_on, columns in COLUMNS.items():
            scores = {column: Score(value + n, WHOLE[column[0]]) for n, column in enumerate(columns)}
            value += len(columns)
            found.append(model(replace(of, trained_on=trained_on), scores=scores))
        return found

    def test_is_that_of_the_ten_columns_and_the_gain_is_over_the_sft_student_s(self) -> None:
        models = [*self.models(KID, 30.0), *self.models(SFT, 20.5)]
        average, gain = (cell(models, "table 3", "KID", name, TEACHER) for name in ("Avg.", "Δ"))
        assert (average.value, average.published) == (34.5, 47.02)
        assert (gain.value, gain.published) == (9.5, 3.17)
        assert cell(models, "table 3", "SFT", "Δ").state == "not asked for"

    def test_needs_all_ten(self) -> None:
        models = self.models(KID, 30.0)
        del models[1].scores["BIRD-dev w/ EK", "ex"]
        assert cell(models, "table 3", "KID", "Avg.", TEACHER).state == "missing"
        models[1].asked_for["BIRD-dev w/ EK", "ex"] = "failed"
        assert cell(models, "table 3", "KID", "Avg.", TEACHER).state == "failed"

    def test_figure_1_shows_it_without_the_columns(self) -> None:
        four = replace(KID, teacher="Qwen1.5-4B")
        assert cell(self.models(four, 30.0), "figure 1", "KID", "Avg.").value == 34.5


class TestOverSteps:
    def test_the_score_after_so_many_steps(self) -> None:
        curve = {(*EX, step): Score(step / 100, 1034) for step in (500, 1000)}
        assert cell([model(curve=curve)], "figure 6", "KID", "1,000").value == 10.0
        assert cell([model(curve=curve)], "figure 6", "KID", "2,000").state == "missing"

    def test_of_a_training_that_has_not_come_so_far(self) -> None:
        begun = model(score=None, state="unfinished", asked_for={EX: "unfinished"})
        assert cell([begun], "figure 6", "KID", "2,000").state == "unfinished"


def test_exaccerr_is_not_scaled() -> None:
    bird = Query(STUDENT, "Qwen1.5-7B", "kid", trained_on="BIRD")
    of = ("BIRD-dev w/ EK", "exaccerr")
    found = cell(
        [model(bird, scores={of: Score(-2.5, 1534)}, asked_for={of: "finished"})],
        "table 7",
        "ExAccErr",
        "KID",
    )
    assert (found.value, found.published) == (-2.5, 5.3)
