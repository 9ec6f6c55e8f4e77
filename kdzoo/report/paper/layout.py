"""The paper's tables and figures with their cells, for a terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from rich.table import Table
from rich.text import Text

from kdzoo.report.paper.cells import Cell, FilledExhibit, FilledRow
from kdzoo.report.paper.exhibits import Column
from kdzoo.report.paper.trained import Mark

_SOURCE = "arXiv 2410.11371v1"
_NOT_AT_HAND = "n/a"
_SIGNS: dict[Mark, str] = {
    "rehearsal": "r",
    "other settings": "s",
    "fewer questions": "q",
    "other options": "o",
}
_MEANING: dict[Mark, str] = {
    "rehearsal": "of a rehearsal: tiny random models, which say nothing",
    "other settings": "trained with other settings than the paper's, or on less data",
    "fewer questions": "on fewer questions than the set has",
    "other options": "with another value than the default of an option that the paper leaves open",
}


def legend(exhibits: Iterable[FilledExhibit]) -> list[str]:
    """What the cells' words and signs mean, as far as any cell has them."""
    cells = list(chain.from_iterable(exhibit.cells for exhibit in exhibits))
    lines = [
        f"Measured, and in brackets the paper's own number ({_SOURCE}); {_NOT_AT_HAND}: it is not at hand."
    ]
    said = {
        "missing": "missing: no run that is given measures it",
        "unfinished": "unfinished: a run that measures it has not come so far",
        "failed": "failed: a run that measures it has ended in an error before",
    }
    states = {cell.state for cell in cells}
    lines += [meaning for state, meaning in said.items() if state in states]
    marks = {mark for cell in cells for mark in cell.marks}
    lines += [f"{_SIGNS[mark]}: {meaning}" for mark, meaning in _MEANING.items() if mark in marks]
    if any(cell.runs > 1 for cell in cells):
        lines.append("xN: the mean over N runs of other seeds")
    return lines


def heading(filled: FilledExhibit) -> str:
    """An exhibit's name and title, and how many of its cells are in which state."""
    cells = filled.cells
    counts = [
        f"{number} {state}"
        for state in ("filled", "missing", "unfinished", "failed")
        if (number := sum(cell.state == state for cell in cells))
    ]
    name = filled.exhibit.name
    return f"{name[0].upper()}{name[1:]}: {filled.exhibit.title} ({', '.join(counts)} of {len(cells)} cells)"


def terminal_table(filled: FilledExhibit) -> Table:
    """A table whose cells have the measured value above the paper's."""
    table = Table(box=None, pad_edge=False)
    table.add_column("", no_wrap=True)
    for column in filled.columns:
        label = "\n".join(column.label.rsplit(" ", 1))
        table.add_column(label, justify="right", vertical="bottom", overflow="fold")
    for group in filled.groups:
        if group.label:
            table.add_row(Text(group.label, style="italic"))
        for row in group.rows:
            cells = [
                Text.assemble(
                    (own, "bold" if cell.state == "filled" else "" if cell.state == "missing" else "red"),
                    (f"\n{published}", "dim"),
                )
                for cell, (own, published) in zip(row.cells, _texts(row, filled.columns), strict=True)
            ]
            table.add_row(row.label, *cells)
    return table


def markdown(exhibits: Sequence[FilledExhibit], notes: Sequence[str] = ()) -> str:
    """All exhibits as a Markdown document, each with the stages that its numbers are from."""
    parts = ["# The paper's tables and figures", "", *(f"- {line}" for line in legend(exhibits))]
    parts += [f"- {note}" for note in notes]
    for filled in exhibits:
        parts += ["", f"## {heading(filled)}", "", *_markdown_table(filled)]
        sources = sorted(frozenset().union(*(cell.sources for cell in filled.cells)))
        if sources:
            parts += ["", "From " + ", ".join(f"`{source}`" for source in sources) + "."]
    return "\n".join(parts) + "\n"


def _markdown_table(filled: FilledExhibit) -> Iterator[str]:
    yield "| | " + " | ".join(column.label for column in filled.columns) + " |"
    yield "| --- |" + " ---: |" * len(filled.columns)
    for group in filled.groups:
        if group.label:
            yield f"| *{group.label}* |" + " |" * len(filled.columns)
        for row in group.rows:
            cells = (" ".join(filter(None, pair)) for pair in _texts(row, filled.columns))
            yield f"| {row.label} | " + " | ".join(cells) + " |"


def _texts(row: FilledRow, columns: Sequence[Column]) -> list[tuple[str, str]]:
    """What was measured, with its signs, and the paper's number in brackets, of each cell."""
    return [
        (_measured(cell, column), "" if cell.state == "not asked for" else f"({_published(cell, column)})")
        for cell, column in zip(row.cells, (_as_in(row, column) for column in columns), strict=True)
    ]


def _as_in(row: FilledRow, column: Column) -> Column:
    """A column with the decimals of a row, if that has its own."""
    return column if row.decimals is None else column.model_copy(update={"decimals": row.decimals})


def _measured(cell: Cell, column: Column) -> str:
    if cell.state == "not asked for":
        return ""
    if cell.value is None:
        return cell.state
    several = [f"x{cell.runs}"] if cell.runs > 1 else []
    signs = "".join(sign for mark, sign in _SIGNS.items() if mark in cell.marks)
    return " ".join([_number(cell.value, column), *([signs] if signs else []), *several])


def _published(cell: Cell, column: Column) -> str:
    return _NOT_AT_HAND if cell.published is None else _number(cell.published, column)


def _number(value: float, column: Column) -> str:
    if column.quantity == "gain":
        return f"{value:+.{column.decimals}f}"
    return f"{value:.{column.decimals}f}" + ("×" if column.quantity == "latency" else "")
