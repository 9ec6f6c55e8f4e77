"""What was measured of each method."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from made_runs import EVALUATE, FINETUNE, KID, SFT, MadeRun

from kdzoo.report.by_method import measured_headings, measured_json, measured_texts, rows_by_method
from kdzoo.report.comparison import Comparison, compare
from kdzoo.report.runs_read import read_runs

RESULTS = {"sft": {"step_seconds": 0.2, "peak_memory_bytes": 1 << 30}, "kid": {"step_seconds": 0.3}}


@pytest.fixture
def compared(tmp_path: Path) -> Any:
    def compared(answers: dict[str, Any]) -> Comparison:
        run = MadeRun([FINETUNE, SFT, KID, EVALUATE], answers, RESULTS)
        return compare(read_runs([run.write(tmp_path / "r")]))

    return compared


def test_students_stand_by_the_method_that_trained_them(compared: Any) -> None:
    found = compared({model: {"embedded": {"ex": [1, 0]}} for model in ("teacher", "sft", "kid")})
    rows = rows_by_method(found)
    assert {method: [row.label for row in of] for method, of in rows.items()} == {
        "sft": ["sft"],
        "kid": ["kid"],
    }
    assert measured_headings(found) == ("EX", "relative to SFT", "peak memory")
    assert measured_texts(found, rows["sft"][0]) == ("50.0% [9.5,\u00a090.5]", "1.00", "1.0 GiB")
    assert measured_texts(found, rows["kid"][0])[1:] == ("1.50", "-")


def test_of_several_columns_it_is_the_average(compared: Any) -> None:
    found = compared({model: {"a": {"ex": [1, 0]}, "b": {"ex": [1, 1]}} for model in ("sft", "kid")})
    assert measured_headings(found)[0] == "Avg."
    assert measured_texts(found, rows_by_method(found)["kid"][0])[0] == "75.0% (+0.0)"


def test_as_json_all_scores_are_there(compared: Any) -> None:
    found = compared({"sft": {"a": {"ex": [1, 0]}}, "kid": {"a": {"ex": [1, 1]}}})
    told = measured_json(found, rows_by_method(found)["kid"][0])
    assert told["scores"][0]["score"] == 1.0
    assert told["scores"][0]["set"] == "a"
    assert told["step_relative_to_baseline"] == pytest.approx(1.5)
    assert told["peak_memory_bytes"] is None


def test_what_is_not_evaluated_has_dashes(tmp_path: Path) -> None:
    run = MadeRun([KID, EVALUATE], unfinished=["kid", "evaluate"]).write(tmp_path / "r")
    found = compare(read_runs([run]))
    assert measured_headings(found)[0] == "score"
    assert measured_texts(found, rows_by_method(found)["kid"][0]) == ("-", "-", "-")


def test_a_student_that_others_began_with_is_no_result_of_its_method(tmp_path: Path) -> None:
    base = 'kind = "finetune"\nname = "base"\nmodel = "student"'
    stages = [base, f'{KID}\nstudent_from = "base"', 'kind = "evaluate"\nmodels = ["student", "kid"]']
    answers = {name: {"embedded": {"ex": [1, 0]}} for name in ("student", "kid")}
    found = compare(read_runs([MadeRun(stages, answers).write(tmp_path / "r")]))
    assert len(found.rows) == 2
    assert list(rows_by_method(found)) == ["kid"]
