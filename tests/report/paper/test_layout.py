"""What a reader sees of the paper's tables: measured beside the paper's own, what is not there in words, signs explained."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from kdzoo.report.paper.cells import FilledExhibit, fill
from kdzoo.report.paper.exhibits import Query, the_paper
from kdzoo.report.paper.layout import heading, legend, markdown, terminal_table
from kdzoo.report.paper.trained import Score, TrainedModel

EX = ("Spider-dev", "ex")


def kid(score: float | None, state: Any = "finished", **changed: Any) -> TrainedModel:
    trained = Query("Qwen1.5-0.5B", "Qwen1.5-1.8B", "kid", trained_on="Spider")
    scores = {} if score is None else {EX: Score(score, 1034)}
    given = {"marks": frozenset(), "seeds": (0, None), "scores": scores, **changed}
    return TrainedModel(trained, Path("run"), "kid", state, asked_for={EX: state}, **given)


def exhibits(*models: TrainedModel) -> list[FilledExhibit]:
    return fill(the_paper(), models)


def named(name: str, *models: TrainedModel) -> FilledExhibit:
    return next(found for found in exhibits(*models) if found.exhibit.name == name)


def shown(filled: FilledExhibit) -> list[list[str]]:
    out = io.StringIO()
    Console(file=out, width=200).print(terminal_table(filled))
    return [line.split() for line in out.getvalue().splitlines()]


def test_a_heading_counts_the_cells_by_their_states() -> None:
    assert heading(named("figure 6", kid(51.234))).endswith("(1 filled, 29 missing of 30 cells)")
    failed = heading(named("figure 6", kid(None, "failed")))
    assert failed.startswith("Figure 6: execution accuracy (%) on Spider-dev over training steps")
    # of the model's row: after 1,000 to 4,000 steps, and at the end
    assert failed.endswith("(25 missing, 5 failed of 30 cells)")


def test_a_terminal_shows_the_measured_value_above_the_paper_s() -> None:
    lines = shown(named("figure 6", kid(51.234)))
    row = next(number for number, line in enumerate(lines) if line[:1] == ["KID"])
    assert lines[row] == ["KID", *["missing"] * 4, "51.2"]
    assert lines[row + 1] == [*["(n/a)"] * 4, "(63.7)"]


@pytest.mark.parametrize(
    ("models", "text"),
    [
        ([kid(51.234)], "51.2 (63.7)"),
        ([kid(None, "failed")], "failed (63.7)"),
        ([kid(None, "unfinished")], "unfinished (63.7)"),
        ([], "missing (63.7)"),
        ([kid(1.0, marks=frozenset({"rehearsal"}))], "1.0 r (63.7)"),
        ([kid(1.0, marks=frozenset({"other settings", "other options"}))], "1.0 so (63.7)"),
        ([kid(1.0), kid(2.0, seeds=(0, 1))], "1.5 x2 (63.7)"),
    ],
)
def test_a_cell_of_markdown_has_both_and_signs(models: list[TrainedModel], text: str) -> None:
    rows = [line for line in markdown([named("figure 6", *models)]).splitlines() if line.startswith("| KID")]
    assert [row.split(" | ")[-1] for row in rows] == [f"{text} |"]


def test_latencies_are_factors_and_gains_have_a_sign() -> None:
    rows = markdown([named("table 3")]).splitlines()
    cells = next(row for row in rows if row.startswith("| FKD")).split(" | ")
    assert (cells[1], cells[-2], cells[-1]) == ("missing (2.1×)", "missing (42.99)", "missing (-0.86) |")


def test_a_row_may_have_decimals_of_its_own() -> None:
    rows = {
        line.split(" | ")[0]: line.split(" | ")[1]
        for line in markdown([named("table 7")]).splitlines()
        if " | " in line
    }
    assert (rows["| ExAccErr"], rows["| Performance"]) == ("missing (35.4)", "missing (31.03)")


def test_the_legend_explains_what_is_seen_and_nothing_else() -> None:
    def said(*models: TrainedModel) -> list[str]:
        return [line.partition(":")[0] for line in legend(exhibits(*models))[1:]]

    assert said() == ["missing"]
    assert said(kid(1.0, marks=frozenset({"rehearsal"}))) == ["missing", "r"]
    assert said(kid(None, "failed")) == ["missing", "failed"]
    assert said(kid(1.0), kid(2.0, seeds=(0, 1))) == ["missing", "xN"]


def test_markdown_has_every_table_with_its_sources_and_the_notes() -> None:
    text = markdown(exhibits(kid(51.2)), ["something was not read"])
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        f"## {heading(found)}" for found in exhibits(kid(51.2))
    ]
    assert text.count("From `run/kid`.") == 2  # table 3 and figure 6
    assert "- something was not read" in text
