"""Models side by side: scores, intervals, and differences from the SFT student or another."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytest
from made_runs import EVALUATE, FINETUNE, HEAD, KID, SFT, MadeRun, ex, row

from kdzoo.errors import UserError
from kdzoo.report import statistics
from kdzoo.report.comparison import Comparison, compare, scores_of, seeds_of
from kdzoo.report.measured import Column
from kdzoo.report.runs_read import read_runs

EX = Column("embedded", "ex")
STAGES = [FINETUNE, SFT, KID, EVALUATE]

Compared = Callable[..., Comparison]


SFT_ANSWERS = [1.0] * 5 + [0.0] * 15
KID_ANSWERS = [1.0] * 4 + [0.0] + [1.0] * 8 + [0.0] * 7


def test_one_seed_has_wilson_s_interval_and_mcnemar_s_test(compared: Compared) -> None:
    found = compared(MadeRun(STAGES, ex(sft=SFT_ANSWERS, kid=KID_ANSWERS)))
    sft, kid = row(found, "sft").cells[EX], row(found, "kid").cells[EX]
    assert (sft.score, sft.interval) == (0.25, statistics.wilson_interval(5, 20))
    assert (kid.score, kid.interval) == (0.6, statistics.wilson_interval(12, 20))
    assert sft.difference is None
    assert kid.difference is not None
    assert kid.difference.value == pytest.approx(0.35)
    assert kid.difference.questions == 20
    # only kid: 8 questions, only sft: 1
    assert kid.difference.test.p == pytest.approx(2 * (1 + 9) / 2**9)
    assert kid.difference.corrected == kid.difference.test.p
    assert found.tests == 1


def test_several_seeds_have_their_mean_and_an_interval_over_both(compared: Compared) -> None:
    random = np.random.default_rng(0)
    seeds = [(random.random(30) < 0.5).astype(float).tolist() for _ in range(3)]
    found = compared(*(MadeRun([SFT, EVALUATE], ex(sft=values), seed=n) for n, values in enumerate(seeds)))
    (sft,) = found.rows
    cell = sft.cells[EX]
    assert cell.seeds == seeds_of(sft.group) == 3
    assert cell.score == pytest.approx(fmean(map(fmean, seeds)))
    assert cell.interval == statistics.mean_interval(np.array(seeds))


def test_p_values_are_corrected_for_all_comparisons_of_the_table(compared: Compared) -> None:
    answers = {
        name: {"a": {"ex": values}, "b": {"ex": values[::-1]}}
        for name, values in (("sft", SFT_ANSWERS), ("kid", KID_ANSWERS), ("rkd", SFT_ANSWERS))
    }
    rkd = 'kind = "distill"\nmethod = "rkd"'
    found = compared(MadeRun([SFT, KID, rkd, EVALUATE], answers))
    differences = [
        cell.difference for r in found.rows for cell in r.cells.values() if cell.difference is not None
    ]
    assert found.tests == len(differences) == 4
    assert [d.corrected for d in differences] == statistics.holm([d.test.p for d in differences])
    assert differences[0].corrected > differences[0].test.p


def test_only_questions_that_both_have_answered_are_compared(compared: Compared) -> None:
    sft = MadeRun([SFT, EVALUATE], ex(sft=[1, 0, 1, 0]))
    kid = MadeRun([KID, EVALUATE], ex(kid=[0, 0, 0, 0, 1, 1]))
    difference = row(compared(sft, kid), "kid").cells[EX].difference
    assert difference is not None
    assert (difference.questions, difference.value) == (4, -0.5)


def test_questions_in_other_words_are_not_the_same(compared: Compared) -> None:
    sft = MadeRun([SFT, EVALUATE], ex(sft=[1, 0]))
    kid = MadeRun([KID, EVALUATE], ex(kid=[1, 0]), question="What of {n}?")
    assert row(compared(sft, kid), "kid").cells[EX].difference is None


def test_seeds_that_answered_different_numbers_of_questions_are_told(compared: Compared) -> None:
    found = compared(
        MadeRun([SFT, EVALUATE], ex(sft=[1, 0, 1, 1])), MadeRun([SFT, EVALUATE], ex(sft=[1, 0]), seed=1)
    )
    assert found.notes == ["sft: its seeds have answered 2 questions of embedded in common"]
    assert found.rows[0].cells[EX].score == pytest.approx((0.75 + 0.5) / 2)


def test_a_teacher_is_not_tested_against_a_student(compared: Compared) -> None:
    found = compared(MadeRun(STAGES, ex(teacher=KID_ANSWERS, sft=SFT_ANSWERS)))
    assert row(found, "teacher").cells[EX].difference is None
    assert row(found, "teacher").baseline is None


class TestAverage:
    def sets(self, **values: list[list[float]]) -> dict[str, Any]:
        return {
            model: {name: {"ex": column} for name, column in zip("abc", columns, strict=False)}
            for model, columns in values.items()
        }

    def test_it_is_the_plain_mean_of_all_accuracies_with_its_difference_from_sft(
        self, compared: Compared
    ) -> None:
        found = compared(MadeRun(STAGES, self.sets(sft=[[1, 0], [0, 0, 0, 0]], kid=[[1, 1], [1, 0, 0, 0]])))
        assert row(found, "sft").average == 0.25
        assert row(found, "kid").average == 0.625
        assert row(found, "kid").average_difference == 0.375
        assert row(found, "sft").average_difference is None

    def test_excess_errors_are_none(self, compared: Compared) -> None:
        details = {"kid": {"exaccerr": {"score": 40.0}}}
        found = compared(MadeRun(STAGES, ex(sft=[1, 0], kid=[1, 1]), details=details))
        assert Column("embedded", "exaccerr") in found.columns
        assert not found.has_average

    def test_averages_of_other_columns_are_not_compared(self, compared: Compared) -> None:
        found = compared(MadeRun(STAGES, self.sets(sft=[[1, 0], [0, 0]], kid=[[1, 1], [1, 0], [1, 1]])))
        assert row(found, "kid").average == pytest.approx(2.5 / 3)
        assert row(found, "kid").average_difference is None
        assert not found.averages_alike


class TestWithoutAnInterval:
    def test_a_score_that_is_no_mean_of_its_questions(self, compared: Compared, tmp_path: Path) -> None:
        run = MadeRun([SFT, EVALUATE], ex(sft=[1, 0])).write(tmp_path / "r")
        file = run / "evaluate" / "stage.json"
        record = json.loads(file.read_text())
        record["results"]["models"]["sft"]["sets"]["embedded"]["scores"]["ex"] = 0.9
        file.write_text(json.dumps(record))
        (sft,) = compare(read_runs([run])).rows
        assert (sft.cells[EX].score, sft.cells[EX].interval) == (0.9, None)
        assert scores_of(sft.group, EX) is None

    def test_an_undefined_score(self, compared: Compared) -> None:
        details = {"sft": {"exaccerr": {"score": None}}, "kid": {"exaccerr": {"score": 3.0}}}
        found = compared(MadeRun([SFT, KID, EVALUATE], ex(sft=[1, 0], kid=[1, 0]), details=details))
        assert row(found, "sft").cells[Column("embedded", "exaccerr")].score is None

    def test_what_is_undefined_of_all_models_has_no_column(self, compared: Compared) -> None:
        details = {"sft": {"exaccerr": {"score": None}}}
        found = compared(MadeRun([SFT, EVALUATE], ex(sft=[1, 0]), details=details))
        assert found.columns == [EX]

    def test_what_is_not_evaluated_yet_stands_there(self, compared: Compared) -> None:
        found = compared(MadeRun([SFT, EVALUATE], unfinished=["evaluate"], status="running"))
        assert found.rows[0].name == "sft (not evaluated yet)"
        assert "running; not finished: evaluate" in found.notes[0]


def test_a_baseline_is_called_by_what_tells_it_from_the_row(compared: Compared) -> None:
    head = MadeRun([]).head
    runs = [
        MadeRun([SFT, KID, EVALUATE], ex(sft=[1, 0], kid=[0, 0]), head=f"{head}[training]\nepochs = {n}\n")
        for n in (1, 2)
    ]
    found = compared(*runs)
    assert [(r.label, r.baseline_label) for r in found.rows if r.group.name == "kid"] == [
        ("kid, training.epochs = 1.0", "sft"),
        ("kid, training.epochs = 2.0", "sft"),
    ]


class TestAgainstAnother:
    def test_students_are_tested_against_it(self, compared: Compared) -> None:
        rkd = 'kind = "distill"\nmethod = "rkd"'
        run = MadeRun([SFT, KID, rkd, EVALUATE], ex(sft=SFT_ANSWERS, kid=KID_ANSWERS, rkd=[1.0] * 20))
        found = compared(run, against="kid")
        values = {
            r.label: cell.difference and cell.difference.value
            for r in found.rows
            for cell in r.cells.values()
        }
        assert values == {"sft": pytest.approx(-0.35), "kid": None, "rkd": pytest.approx(0.4)}
        (usual,) = [cell.difference for cell in row(compared(run), "kid").cells.values()]
        (other,) = [cell.difference for cell in row(found, "sft").cells.values()]
        assert usual is not None
        assert other is not None
        assert usual.test == other.test
        assert (found.tests, found.compared_with) == (2, "kid")

    def test_it_may_be_the_teacher(self, compared: Compared) -> None:
        found = compared(MadeRun(STAGES, ex(teacher=[1] * 8, sft=[0] * 8, kid=[0] * 8)), against="teacher")
        differences = [cell.difference for r in found.rows for cell in r.cells.values()]
        assert [None if one is None else one.value for one in differences] == [None, -1, -1]

    def test_steps_stay_relative_to_sft_s(self, compared: Compared) -> None:
        results = {"sft": {"step_seconds": 0.2}, "kid": {"step_seconds": 0.3}}
        found = compared(MadeRun([SFT, KID, EVALUATE], ex(sft=[1], kid=[1]), results), against="kid")
        assert [r.relative_step for r in found.rows] == pytest.approx([1.0, 1.5])

    def test_of_several_with_its_name_it_is_the_most_alike_or_that_of_the_label(
        self, compared: Compared
    ) -> None:
        runs = [
            MadeRun(
                [SFT, KID, EVALUATE], ex(sft=[1, 0], kid=[0, 0]), head=f"{HEAD}[training]\nepochs = {n}\n"
            )
            for n in (1, 2)
        ]
        first, second = (f"kid, training.epochs = {n}.0" for n in (1, 2))
        for against, expected in (("kid", [first, second]), (second, [second, second])):
            found = compared(*runs, against=against)
            baselines = [r.baseline for r in found.rows if r.group.name == "sft"]
            assert [one and one.label for one in baselines] == expected

    def test_a_name_that_none_has_is_told_with_those_there_are(self, compared: Compared) -> None:
        run = MadeRun([SFT, KID, EVALUATE], ex(sft=[1], kid=[1]))
        with pytest.raises(UserError, match='no model of these runs is called "kidd"; did you mean "kid"'):
            compared(run, against="kidd")
