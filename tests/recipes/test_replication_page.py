"""docs/replication.md says what the committed runs say."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from kdzoo.commands.compare import command

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "replication.md").read_text(encoding="utf-8")
RUNS = sorted((DOCS / "replication").glob("*/seed_*"))
TAUGHT = DOCS / "replication" / "cut_evenly" / "seed_1"


def lines_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def teacher() -> dict[str, Any]:
    scores = json.loads((TAUGHT / "evaluate_teacher/scores.json").read_text(encoding="utf-8"))
    found: dict[str, Any] = scores["teacher"]["sets"]["dev"]["details"]["ex"]
    return found


def test_the_teacher_s_table_is_that_of_its_scores() -> None:
    ex = teacher()
    rows = {name: (part["right"], part["count"], part["score"]) for name, part in ex["by_difficulty"].items()}
    rows["all"] = (ex["right"], ex["count"], ex["score"])
    for name, (right, count, score) in rows.items():
        (found,) = re.findall(rf"^\| {name} \| (\d+) \| (\d+) \| ([\d.]+)%", PAGE, re.MULTILINE)
        assert found == (str(right), str(count), f"{100 * score + 1e-9:.1f}")
    low, high = ex["interval"]
    assert f"[{100 * low:.1f}, {100 * high:.1f}]" in PAGE


def test_the_teacher_s_errors_are_those_of_its_predictions() -> None:
    wrong = [p for p in lines_of(TAUGHT / "evaluate_teacher/predictions.jsonl") if not p["ex"]]
    errors = Counter((p["error"] or "").partition(":")[0] for p in wrong)
    assert f"of {len(wrong)} wrong" in PAGE
    assert (
        f"{errors['no such column']} name a column that is not there and {errors['no such table']} a table"
        in PAGE
    )


def test_the_losses_are_those_that_were_logged() -> None:
    logged = lines_of(TAUGHT / "finetune/metrics.jsonl")
    loss = {line["step"]: line["loss"] for line in logged if "loss" in line}
    (said,) = re.findall(r"per token after ([\d, and\n]+) steps: ([\d., \n]+\d)\.", PAGE)
    steps, losses = (re.findall(r"[\d.]+", part) for part in said)
    assert len(steps) == len(losses) > 3
    assert [f"{loss[int(step)]:.2f}" for step in steps] == losses
    scores = {line["step"]: line["scores"]["ex"] for line in logged if "scores" in line}
    (growth,) = re.findall(
        r"Of 100 of the questions it answers ([\d, and\n]+) after ([\d, and\n]+)\s+steps:", PAGE
    )
    answered, after = ([int(number) for number in re.findall(r"\d+", part)] for part in growth)
    assert {step: round(100 * score) for step, score in scores.items()} == dict(
        zip(after, answered, strict=True)
    )


def compared(students: str, *options: str) -> list[str]:
    """The lines that comparing all of a design's seeds prints."""
    seeds = [str(run) for run in RUNS if run.parent.name == students]
    result = CliRunner().invoke(command, [*seeds, *options], env={"COLUMNS": "200"})
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.replace("\N{NO-BREAK SPACE}", " ").splitlines()
    return [line.rstrip() for line in lines if line.strip()]


@pytest.mark.parametrize("students", ["cut_evenly", "cut_from_teacher"])
def test_the_students_comparison_is_what_compare_prints(students: str) -> None:
    printed = compared(students)
    assert len(printed) > 5
    said = PAGE.splitlines()
    for line in printed:
        assert f"    {line}" in said


def test_and_so_is_that_against_rkd() -> None:
    printed = [line for line in compared("cut_from_teacher", "--against", "rkd") if " against " in line]
    assert len(printed) == 4
    assert set(printed) <= {line.removeprefix("    ") for line in PAGE.splitlines()}


@pytest.mark.parametrize(("seed", "ordinal"), [(0, "first"), (1, "second")])
def test_each_seed_s_scores_are_told(seed: int, ordinal: str) -> None:
    folder = DOCS / "replication" / "cut_from_teacher" / f"seed_{seed}"
    scores = json.loads((folder / "evaluate/scores.json").read_text(encoding="utf-8"))
    told = [f"{100 * scores[m]['sets']['dev']['scores']['ex']:.1f}" for m in ("sft", "rkd", "kid", "gkd")]
    assert f"| {ordinal} seed | {' | '.join(told)} |" in PAGE


def test_scores_are_those_of_the_predictions() -> None:
    for stage in [stage for run in RUNS for stage in run.glob("evaluate*")]:
        scores = json.loads((stage / "scores.json").read_text(encoding="utf-8"))
        answers = lines_of(stage / "predictions.jsonl")
        for name, found in scores.items():
            ex = found["sets"]["dev"]["details"]["ex"]
            own = [answer["ex"] for answer in answers if answer["model"] == name]
            assert (sum(own), len(own)) == (ex["right"], ex["count"])
