"""Rows of a statement on a terminal: aligned, with nothing in them that the terminal obeys, and what is left out told."""

from io import StringIO

import pytest
from rich.console import Console

from kdzoo.commands.result_table import counted, result_table
from kdzoo.tasks.sql.request import Result


def shown(result):
    console = Console(file=StringIO(), width=60)
    console.print(result_table(result))
    return console.file.getvalue()


def test_values_stand_below_their_names():
    lines = shown(Result(["name", "age"], [["Ann", 7], [None, None], ["NULL", 1.5]], False)).splitlines()
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if "│" in line]
    assert cells == [["Ann", "7"], ["NULL", "NULL"], ["NULL", "1.5"]]
    assert "│    7 │" in "".join(lines)  # numbers stand to the right


def test_markup_and_control_characters_are_text():
    text = shown(Result(["[red]\x1b[2J"], [["[bold]x[/bold]"], ["a\nb\x07"]], False))
    assert "[bold]x[/bold]" in text
    assert "[red]\\x1b[2J" in text
    assert "a\\nb\\x07" in text
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("rows", "more", "told"),
    [
        (0, False, "no rows"),
        (1, False, "1 row"),
        (1200, False, "1,200 rows"),
        (20, True, "the first 20 rows; there are more"),
        (1, True, "the first row; there are more"),
    ],
)
def test_what_is_left_out_is_told(rows, more, told):
    assert counted(Result(["n"], [[n] for n in range(rows)], more)) == told
