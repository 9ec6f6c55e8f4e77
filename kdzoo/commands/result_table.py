"""The rows that a statement gave, as a table for a terminal."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from kdzoo.report.printable import printable_line
from kdzoo.tasks.sql.request import Result, Shown


def result_table(result: Result) -> Table:
    """Lay rows out; columns of numbers stand to the right, and NULL is told from the text NULL."""
    table = Table()
    for number, name in enumerate(result.columns):
        values = [row[number] for row in result.rows]
        justify = "right" if values and all(_is_number(value) for value in values) else "left"
        table.add_column(Text(printable_line(name)), justify=justify, overflow="fold")  # type: ignore[arg-type]
    for row in result.rows:
        table.add_row(*map(_cell, row))
    return table


def counted(result: Result) -> str:
    """How many rows there are, and whether those are all."""
    count = len(result.rows)
    if result.more:
        return f"the first {count:,} rows; there are more" if count != 1 else "the first row; there are more"
    return "no rows" if count == 0 else "1 row" if count == 1 else f"{count:,} rows"


def _is_number(value: Shown) -> bool:
    return value is None or isinstance(value, int | float)


def _cell(value: Shown) -> Text:
    if value is None:
        return Text("NULL", style="dim italic")
    return Text(printable_line(value if isinstance(value, str) else repr(value)))
