"""The table of ``kdzoo list``: methods by where their training sequences come from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kdzoo.methods.registry import Plugin
from kdzoo.methods.source import Source

if TYPE_CHECKING:
    from kdzoo.report.comparison import Comparison

_LEGEND = (
    "p: teacher, q: student, y: ground truth. The columns of numbers are the cost of a step, in passes over "
    "sequences of the target's length: the student's with gradients and without, the teacher's, and the "
    "student's generation, token by token. Reading each prompt once per model comes on top."
)

_SOURCES = {
    Source.GROUND_TRUTH: "ground truth",
    Source.IMPERFECT: "imperfect",
    Source.STUDENT: "student-generated",
    Source.TEACHER: "teacher-generated",
}

# So wide a terminal shows packages beside the rest, and one so wide what was measured too.
_ROOM_FOR_PACKAGES = 140
_ROOM_FOR_MEASURED = 165

_OURS = "kdzoo"

# A row of one character of private use stands where a heading is written into the finished lines.
_FIRST_MARK = 0xE000


def print_methods(plugins: Sequence[Plugin], measured: Comparison | None) -> None:
    """Print methods, and what was measured of them beside or below."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=1000, soft_wrap=True)  # a pipe has no width to fit
    with_package = console.width >= _ROOM_FOR_PACKAGES
    beside = measured if console.width >= _ROOM_FOR_MEASURED else None
    groups = _by_source(plugins)
    marks = {chr(_FIRST_MARK + number): heading for number, (heading, _) in enumerate(groups)}
    table = _empty_table(None if with_package else console.width, max(len(p.method.name) for p in plugins))
    if with_package:
        table.add_column("package", no_wrap=True)
    if beside is not None:
        _add_measured_columns(table, beside)
    for mark, (_, group) in zip(marks, groups, strict=True):
        table.add_row(mark)
        for plugin in group:
            _add_rows(table, plugin, with_package, beside)
    with console.capture() as capture:
        console.print(table)
        console.print(Text(f"\n{_LEGEND}"))
        others = [plugin for plugin in plugins if plugin.package != _OURS]
        if others and not with_package:
            console.print(Text(f"\nFrom other packages: {', '.join(map(_with_package, others))}"))
        if measured is not None and beside is None:
            console.print(_measured_table(plugins, measured))
    click.echo("\n".join(_with_headings(capture.get().splitlines(), marks)))


def _by_source(plugins: Iterable[Plugin]) -> list[tuple[str, list[Plugin]]]:
    """The methods by their sources in words, each group by name."""

    def key(plugin: Plugin) -> tuple[Source, ...]:
        return plugin.method.usual_sources

    ordered = sorted(plugins, key=lambda plugin: (key(plugin), plugin.method.name))
    return [
        (" and ".join(_SOURCES[source] for source in sources) or "no sequences", list(group))
        for sources, group in groupby(ordered, key)
    ]


def _with_headings(lines: Iterable[str], marks: dict[str, str]) -> Iterator[str]:
    for line in lines:
        heading = next((text for mark, text in marks.items() if mark in line), None)
        if heading is None:
            yield line.rstrip()
        else:
            yield ""
            yield click.style(f"{heading}:", bold=True)


def _empty_table(width: int | None, longest_name: int) -> Table:
    """The columns of what methods declare; in a narrow terminal of that width those of texts have a share each."""
    space = 2 if width is None or width >= 100 else 1
    most: dict[str, int | None] = dict.fromkeys(("paper", "training data", "divergence", "aux.\nloss"))
    if width is not None:
        costs = sum(map(len, ("dent", "grad", "cher", "gen.")))
        left = width - longest_name - costs - 8 * space
        longest_word = len("student-generated)")
        left -= longest_word
        aux_loss, paper = left // 5, 5 * left // 12
        most = dict(zip(most, (paper, longest_word, left - aux_loss - paper, aux_loss), strict=True))
    table = Table(box=None, pad_edge=False, padding=(0, space, 0, 0))
    table.add_column("method", no_wrap=True)
    for heading, share in most.items():
        table.add_column(heading, overflow="fold", max_width=share)
    for heading in ("stu-\ndent", "no\ngrad", "tea-\ncher", "gen."):
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _add_rows(table: Table, plugin: Plugin, with_package: bool, measured: Comparison | None) -> None:
    """A method's row; where several settings of it were measured, each has a row below."""
    method, cost = plugin.method, plugin.method.cost
    declared: list[Text | str] = [
        *(
            Text(text)
            for text in (
                method.name,
                method.reference,
                method.training_data,
                method.divergence,
                method.aux_loss,
            )
        ),
        *(f"{passes:g}" for passes in (cost.student, cost.student_no_grad, cost.teacher, cost.generation)),
        *([Text(f"{plugin.package} {plugin.version}")] if with_package else []),
    ]
    found = _measured_lines(plugin, measured) if measured is not None else []
    if len(found) == 1 and found[0][0] == method.name:
        table.add_row(*declared, *found[0][1])
        return
    table.add_row(*declared)
    for label, texts in found:
        table.add_row(Text(f"  {label}"), *[""] * (len(declared) - 1), *texts)


def _with_package(plugin: Plugin) -> str:
    return f"{plugin.method.name} ({plugin.package} {plugin.version})"


def _measured_lines(plugin: Plugin, measured: Comparison) -> list[tuple[str, tuple[str, ...]]]:
    from kdzoo.report.by_method import measured_texts, rows_by_method

    rows = rows_by_method(measured).get(plugin.method.name, [])
    return [(row.label, measured_texts(measured, row)) for row in rows]


def _measured_table(plugins: Sequence[Plugin], measured: Comparison) -> Table:
    """What was measured by itself, for a terminal that has no room for it beside what is declared."""
    table = Table(title="\nmeasured", title_justify="left", box=None, pad_edge=False)
    table.add_column("method", overflow="fold")
    _add_measured_columns(table, measured)
    for plugin in plugins:
        for label, texts in _measured_lines(plugin, measured):
            table.add_row(Text(label), *texts)
    return table


def _add_measured_columns(table: Table, measured: Comparison) -> None:
    from kdzoo.report.by_method import measured_headings

    for heading in measured_headings(measured):
        table.add_column(heading, justify="right")
