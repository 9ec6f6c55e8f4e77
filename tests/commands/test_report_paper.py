"""``kdzoo report paper``: from folders of runs to the paper's tables, on the screen and as a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from paper_runs import FINISHED, make_run, recipe_text

Command = Callable[..., Any]


def test_without_runs_the_paper_s_own_numbers_are_shown(kdzoo: Command) -> None:
    done = kdzoo("report", "paper")
    assert (done.code, done.err) == (0, "")
    headings = [line for line in done.out.splitlines() if line.startswith(("Table", "Figure"))]
    assert [line.partition(":")[0] for line in headings] == [
        *(f"Table {number}" for number in range(2, 8)),
        *(f"Figure {number}" for number in (1, 2, 4, 5, 6)),
    ]
    assert "(63.7)" in done.out


def test_runs_fill_cells_and_markdown_names_them(kdzoo: Command, tmp_path: Path) -> None:
    run = make_run(tmp_path / "of-anything-1", recipe_text(), FINISHED)
    page = tmp_path / "paper.md"
    done = kdzoo("report", "paper", run, "--markdown", page)
    assert done.code == 0
    assert done.out.splitlines()[-1] == f"page: {page}"
    text = page.read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| KID |")]
    assert rows[0].split(" | ")[1:3] == ["2.0× (2.0×)", "62.5 (63.7)"]
    assert "From `of-anything-1/finetune`, `of-anything-1/kid`, `of-anything-1/sft`." in text


def test_what_is_not_finished_is_told(kdzoo: Command, tmp_path: Path) -> None:
    run = make_run(tmp_path / "r", recipe_text(), {"sft": FINISHED["sft"]}, status="failed")
    done = kdzoo("report", "paper", run)
    assert done.code == 0
    assert "not finished: finetune, kid, evaluate" in done.err
    assert "failed: a run that measures it has ended in an error before" in done.out


def test_a_folder_that_is_no_run(kdzoo: Command, tmp_path: Path) -> None:
    done = kdzoo("report", "paper", tmp_path / "nothing")
    assert (done.code, done.out) == (2, "")
    assert "there is no such folder" in done.err


def test_a_page_that_cannot_be_written(kdzoo: Command, tmp_path: Path) -> None:
    done = kdzoo("report", "paper", "--markdown", tmp_path / "no/folder.md")
    assert done.code == 1
    assert done.err == f"kdzoo: {tmp_path / 'no/folder.md'}: cannot be written: No such file or directory\n"
