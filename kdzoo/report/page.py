"""One page of a comparison, for people to show each other: a single file that needs no network and no script."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2

from kdzoo.errors import RunError
from kdzoo.files import write_text
from kdzoo.report.comparison import Comparison
from kdzoo.report.differing_answers import DifferingAnswers, differing_answers
from kdzoo.report.figures import pictures
from kdzoo.report.pictures import Picture, svg, swatch
from kdzoo.report.plain_words import how_tested, p_values, verdict
from kdzoo.report.table import column_heading, difference_text, table_columns

# More characters of a question or an answer are cut off.
_LONGEST = 2000


def write_page(file: Path, comparison: Comparison) -> None:
    """Write the page of a comparison, the whole of it or nothing.

    Raises:
        RunError: the file cannot be written.
    """
    text = page(comparison)
    try:
        write_text(file, text)
    except OSError as error:
        raise RunError(f"{file}: cannot be written: {error.strerror}") from None


def page(comparison: Comparison) -> str:
    """The page as HTML; the same for the same comparison. All that runs say is text in it, never markup."""
    notes = list(comparison.notes)
    drawn = [
        {
            "title": picture.title,
            "svg": svg(picture, f"picture-{number}"),
            "legend": _legend(picture, comparison),
            "description": picture.description,
        }
        for number, picture in enumerate(pictures(comparison, notes))
    ]
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("kdzoo", "report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template("page.html").render(
        longest=_LONGEST,
        title="Models compared: " + ", ".join(dict.fromkeys(run.recipe.name for run in comparison.runs)),
        columns=sorted(table_columns(comparison), key=lambda column: not column.is_score),
        rows=comparison.rows,
        swatches=[swatch(number) for number, _ in enumerate(comparison.rows)],
        notes=list(dict.fromkeys(notes)),
        tests=_tests(comparison),
        how_tested=how_tested(comparison),
        compared_with=comparison.compared_with,
        pictures=drawn,
        runs=comparison.runs,
        differences=[_questions(found, comparison) for found in differing_answers(comparison)],
    )


def _legend(picture: Picture, comparison: Comparison) -> dict[int, str]:
    """What each row that is drawn is called."""
    return {series.row: series.label or comparison.rows[series.row].label for series in picture.series}


def _tests(comparison: Comparison) -> list[dict[str, Any]]:
    return [
        {
            "row": row.label,
            "number": number,
            "column": column_heading(column, comparison),
            "difference": difference_text(column.metric, cell.difference.value),
            "questions": cell.difference.questions,
            "p": p_values(cell.difference),
            "test": cell.difference.test.name,
            "verdict": verdict(cell.difference),
        }
        for number, row in enumerate(comparison.rows)
        for column, cell in row.cells.items()
        if cell.difference is not None
    ]


def _questions(found: DifferingAnswers, comparison: Comparison) -> dict[str, Any]:
    own, baseline = found.row.label, found.row.baseline_label
    winner, loser = (own, baseline) if found.is_gained else (baseline, own)
    return {
        "title": f"{winner} right, {loser} wrong",
        "column": column_heading(found.column, comparison),
        "count": found.count,
        "questions": [
            {
                "id": answer.question.id,
                "text": answer.question.text,
                "gold": answer.own.gold,
                "answers": [
                    (own, answer.own, answer.own_score),
                    (baseline, answer.baseline, answer.baseline_score),
                ],
            }
            for answer in found.shown
        ],
    }
