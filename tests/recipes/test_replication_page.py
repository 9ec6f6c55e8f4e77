"""docs/replication.md says what the committed scores and predictions say."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "replication.md").read_text(encoding="utf-8")


def teacher() -> dict[str, Any]:
    scores = json.loads((DOCS / "replication/short_teacher.json").read_text(encoding="utf-8"))
    found: dict[str, Any] = scores["teacher"]["sets"]["dev"]["details"]["ex"]
    return found


def predictions() -> list[dict[str, Any]]:
    file = DOCS / "replication/short_teacher.predictions.jsonl"
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_the_teacher_s_table_is_that_of_its_scores() -> None:
    ex = teacher()
    rows = {name: (part["right"], part["count"], part["score"]) for name, part in ex["by_difficulty"].items()}
    rows["all"] = (ex["right"], ex["count"], ex["score"])
    for name, (right, count, score) in rows.items():
        (found,) = re.findall(rf"^\| {name} \| (\d+) \| (\d+) \| ([\d.]+)%", PAGE, re.MULTILINE)
        assert found == (str(right), str(count), f"{100 * score + 1e-9:.1f}")
    low, high = ex["interval"]
    assert f"[{100 * low:.1f}, {100 * high:.1f}]" in PAGE


def test_the_scores_are_those_of_the_predictions() -> None:
    found = predictions()
    assert (sum(p["ex"] for p in found), len(found)) == (teacher()["right"], teacher()["count"])
    wrong = [p for p in found if not p["ex"]]
    errors = Counter((p["error"] or "").partition(":")[0] for p in wrong)
    assert f"of {len(wrong)} wrong" in PAGE
    assert (
        f"{errors['no such column']} name a column that is not there and {errors['no such table']} a table"
        in PAGE
    )


def test_the_losses_are_those_that_were_logged() -> None:
    lines = (DOCS / "replication/short_teacher.metrics.jsonl").read_text(encoding="utf-8").splitlines()
    logged = [json.loads(line) for line in lines]
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


def test_the_students_rows_are_those_of_their_scores_and_predictions() -> None:
    scores = json.loads((DOCS / "replication/short_students.json").read_text(encoding="utf-8"))
    lines = (DOCS / "replication/short_students.predictions.jsonl").read_text(encoding="utf-8").splitlines()
    answers = [json.loads(line) for line in lines]
    assert set(scores) == {"base", "sft", "rkd", "kid"}
    for name, found in scores.items():
        ex = found["sets"]["dev"]["details"]["ex"]
        own = [answer["ex"] for answer in answers if answer["model"] == name]
        assert (sum(own), len(own)) == (ex["right"], ex["count"])
        low, high = (f"{100 * bound:.1f}" for bound in ex["interval"])
        ((parameters, said),) = re.findall(rf"^\| {name} \| ([\d,]+) \| ([^|]+) \|", PAGE, re.MULTILINE)
        assert parameters == f"{found['parameters']:,}"
        assert said == f"{100 * ex['score'] + 1e-9:.1f}% [{low}, {high}]"
