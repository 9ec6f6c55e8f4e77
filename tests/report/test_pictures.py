"""Pictures as elements of a page."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import pytest

from kdzoo.report.pictures import Picture, Series, svg, swatch

TITLE = 'EX & <script>alert("x")</script>'


def picture(*series: Series, **more: object) -> Picture:
    return Picture(TITLE, "step [$x_1$]", "EX (%)", series or [Series(0, [1, 2], [3, 4])], **more)  # type: ignore[arg-type]


def texts(text: str) -> list[str]:
    return [
        "".join(node.itertext()) for node in ElementTree.fromstring(text).iter() if node.tag.endswith("}text")
    ]


def test_text_is_text_and_nothing_in_it_is_markup_or_mathematics() -> None:
    found = svg(picture(), "a")
    assert {"step [$x_1$]", "EX (%)", "1.0", "4.0"} <= set(texts(found)) | {
        t.replace("−", "-") for t in texts(found)
    }
    assert ElementTree.fromstring(found)[0].text == TITLE
    assert "<script" not in found


def test_it_is_an_element_that_needs_nothing_and_takes_the_page_s_colour() -> None:
    found = svg(picture(description="what it shows"), "a")
    assert found.startswith('<svg role="img"')
    assert "currentColor" in found
    assert "#010203" not in found
    assert "<desc>what it shows</desc>" in found
    assert not re.findall(r'(?:href|src)="(?!#)', found)
    for outside in ("<?xml", "<!DOCTYPE", "<style", "<metadata", "font-family", "<image"):
        assert outside not in found


def test_the_same_picture_is_the_same_text_and_pictures_of_a_page_share_no_ids() -> None:
    first, again, other = svg(picture(), "a"), svg(picture(), "a"), svg(picture(), "b")
    assert first == again
    ids = [set(re.findall(r' id="([^"]*)"', text)) for text in (first, other)]
    assert ids[0]
    assert not ids[0] & ids[1]
    for used in re.findall(r"url\(#([^)]*)\)|href=\"#([^\"]*)\"", first):
        assert set(used) & ids[0]


def test_rows_differ_in_more_than_colour() -> None:
    def look(row: int) -> tuple[str, ...]:
        text = swatch(row)
        assert 'aria-hidden="true"' in text
        marker = re.search(r'<path id="[^"]*" d="([^"]*)"', text)
        assert marker is not None
        return (
            tuple(re.findall(r"stroke: (#[0-9a-f]{6})", text)[:1]),
            tuple(re.findall("stroke-dasharray: [^;]*", text)),
            marker[1],
        )  # type: ignore[return-value]

    looks = [look(row) for row in range(42)]
    assert len(set(looks)) == 42
    assert len({(dash, marker) for _, dash, marker in looks}) == 35


def test_intervals_are_bars_or_bands() -> None:
    plain = svg(picture(Series(0, [1, 2], [3, 4])), "a")
    bars = svg(picture(Series(0, [1, 2], [3, 4], [2, 3], [5, 5])), "a")
    band = svg(picture(Series(0, [1, 2], [3, 4], [2, 3], [5, 5]), as_band=True), "a")
    assert "fill-opacity: 0.15" in band
    assert "fill-opacity" not in bars
    strokes = [text.count("stroke: #0072b2") for text in (plain, bars, band)]
    assert strokes[1] > strokes[0]


def test_a_level_goes_through_the_whole_picture() -> None:
    found = svg(picture(Series(0, [1, 2], [3, 4]), Series(1, [], [3.5], is_level=True)), "a")
    assert "#d55e00" in found


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ((0.1, 0.2, 0.3), ["0.1", "0.2", "0.3"]),
        ((1e-5, 1e-4, 1e-3), ["1e-05", "0.0001", "0.001"]),
    ],
)
def test_a_sweep_s_values_are_named_on_its_axis(values: tuple[float, ...], named: list[str]) -> None:
    found = svg(picture(Series(0, values, [1, 2, 3]), ticks=values), "a")
    assert [text for text in texts(found) if text in named] == named


def test_values_over_orders_of_magnitude_stand_apart_evenly() -> None:
    values = (1e-5, 1e-4, 1e-3)
    found = ElementTree.fromstring(svg(picture(Series(0, values, [1, 2, 3]), ticks=values), "a"))
    places = [
        float(node.attrib["x"])
        for node in found.iter()
        if node.tag.endswith("}text") and node.text in ("1e-05", "0.0001", "0.001")
    ]
    assert places[1] - places[0] == pytest.approx(places[2] - places[1], rel=0.01)


def test_many_values_are_not_all_named() -> None:
    values = tuple(range(1, 20))
    assert len(texts(svg(picture(Series(0, values, values), ticks=values), "a"))) < 25
