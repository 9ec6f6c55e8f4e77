"""Pictures as inline SVG: readable on a phone, in light and dark, by colour-blind people, and without a network."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

# Okabe and Ito's colours, without yellow and black, which are lost on white and on dark pages.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_LINES = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (5, 1.5, 1, 1.5)), (0, (8, 2)))
_MARKS = 8  # on a long line
_STEPS = (1, 2, 2.5, 5, 10)
_TICKS = 8
_ORDERS = 20

# Stands for the page's own colour of text until the picture is done.
_INK = "#010203"
_WIDTH, _HEIGHT = 5.0, 3.4  # inches; a point is a unit of the picture
_SETTINGS: dict[str, Any] = {
    "svg.fonttype": "none",  # text stays text
    "text.parse_math": False,  # a "$" is one
    "font.family": "sans-serif",
    "font.size": 12,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": _INK,
    "grid.alpha": 0.15,
    "lines.linewidth": 1.8,
    "lines.markersize": 6,
}


@dataclass(frozen=True)
class Series:
    """Points of one row of the table, which gives them its colour, marker and line; ``low`` and ``high`` are intervals.

    ``label`` is said of them where it is not the row's own. ``is_level`` draws a line through the whole picture at their
    one value.
    """

    row: int
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    label: str = ""
    is_level: bool = False


@dataclass(frozen=True)
class Picture:
    """What to draw: axes with their units, and what it shows in words for who cannot see it.

    ``has_lines`` joins the points of a series; ``as_band`` draws its intervals as a band, not as bars. ``ticks`` are the
    values that the x axis names, unless it is left to choose; where they span orders of magnitude it is logarithmic.
    """

    title: str
    x_label: str
    y_label: str
    series: Sequence[Series]
    has_lines: bool = True
    as_band: bool = False
    whole_x: bool = False
    ticks: Sequence[float] = ()
    description: str = ""


def svg(picture: Picture, name: str) -> str:
    """Draw a picture as an ``<svg>`` element, the same for the same picture. ``name`` keeps its ids apart from others'."""
    with matplotlib.rc_context(_settings(name)):
        figure = Figure(figsize=(_WIDTH, _HEIGHT), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        for series in picture.series:
            _draw(axes, series, picture)
        axes.set_xlabel(picture.x_label)
        axes.set_ylabel(picture.y_label)
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=_STEPS))
        if picture.ticks:
            _name_ticks(axes, picture.ticks)
        else:
            axes.xaxis.set_major_locator(MaxNLocator(6, steps=_STEPS, integer=picture.whole_x))
        return _element(figure, picture.title, picture.description)


def swatch(row: int) -> str:
    """A row's line and marker, as small as text."""
    with matplotlib.rc_context(_settings(f"swatch-{row}")):
        figure = Figure(figsize=(0.5, 0.2))
        FigureCanvasSVG(figure)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.plot([0, 1, 2], [0, 0, 0], marker=_marker(row), markevery=[1], **_look(row))
        return _element(figure, "", "")


def _name_ticks(axes: Axes, ticks: Sequence[float]) -> None:
    if min(ticks) > 0 and max(ticks) / min(ticks) >= _ORDERS:
        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
    step = math.ceil(len(ticks) / _TICKS)
    axes.set_xticks(ticks[::step], [f"{tick:g}" for tick in ticks[::step]])


def _settings(name: str) -> Any:
    """matplotlib's settings for one picture: the salt makes its ids its own, and the same each time."""
    return {**_SETTINGS, "svg.hashsalt": name}


def _draw(axes: Axes, series: Series, picture: Picture) -> None:
    look = _look(series.row)
    if series.is_level:
        axes.axhline(series.y[0], **look)
        return
    if not picture.has_lines:
        look["linestyle"] = "none"
    if picture.as_band and len(series.low):
        axes.fill_between(series.x, series.low, series.high, color=look["color"], alpha=0.15, linewidth=0)
    elif len(series.low):
        pairs = list(zip(series.y, series.low, series.high, strict=True))
        errors = [[y - low for y, low, _ in pairs], [high - y for y, _, high in pairs]]
        axes.errorbar(
            series.x, series.y, yerr=errors, fmt="none", ecolor=look["color"], elinewidth=1.2, capsize=3
        )
    step = max(1, len(series.x) // _MARKS)
    axes.plot(series.x, series.y, marker=_marker(series.row), markevery=step, **look)


def _look(row: int) -> dict[str, Any]:
    return {"color": _COLOURS[row % len(_COLOURS)], "linestyle": _LINES[row % len(_LINES)]}


def _marker(row: int) -> str:
    return _MARKERS[row % len(_MARKERS)]


def _element(figure: Figure, title: str, description: str) -> str:
    """The figure as an element of a page: no file's head, no ids but those it refers to, the page's colour of text."""
    file = io.StringIO()
    figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL)  # the page has one for all
    text = re.sub(r" font-family: [^;]*;", "", text)
    text = re.sub(r' id="[a-z0-9.]+(_[a-z0-9]+)*_\d+"', "", text)
    text = re.sub(r"\s*\n\s*", " ", text)
    text = text.replace(_INK, "currentColor")
    box = re.search(r'viewBox="[^"]*"', text)
    assert box is not None
    if title:
        words = f"<title>{escape(title)}</title>" + (
            f"<desc>{escape(description)}</desc>" if description else ""
        )
        head = f'<svg role="img" {box[0]} xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
    else:
        words = ""
        head = f'<svg aria-hidden="true" {box[0]} xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
    return head + words + text[text.index(">") + 1 :].strip()
