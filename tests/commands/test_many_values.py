"""An option may have several values behind it, as a shell's * gives them."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from kdzoo.commands.many_values import WithManyValues


@click.command(cls=WithManyValues, many_values=("--runs",))
@click.argument("words", nargs=-1)
@click.option("--runs", multiple=True)
@click.option("--flag", is_flag=True)
@click.option("--one")
def command(words: tuple[str, ...], runs: tuple[str, ...], flag: bool, one: str | None) -> None:
    click.echo(f"{' '.join(words)}|{' '.join(runs)}|{flag}|{one}")


@pytest.mark.parametrize(
    ("line", "printed"),
    [
        ("a b", "a b||False|None"),
        ("a --runs x y z", "a|x y z|False|None"),
        ("--runs x y --flag a", "a|x y|True|None"),
        ("--runs x y --one 1 a b", "a b|x y|False|1"),
        ("--one 1 a --runs x --runs y z", "a|x y z|False|1"),
        ("--runs=x a", "a|x|False|None"),
        ("--runs x -- a b", "a b|x|False|None"),
        ("--runs x -", "|x -|False|None"),
    ],
)
def test_values_end_where_the_next_option_begins(line: str, printed: str) -> None:
    done = CliRunner().invoke(command, line.split())
    assert (done.output.strip(), done.exit_code) == (printed, 0)


@pytest.mark.parametrize("line", ["--runs", "--runs --flag"])
def test_one_at_least_is_needed(line: str) -> None:
    done = CliRunner().invoke(command, line.split())
    assert done.exit_code == 2
    assert "--runs" in done.output
