"""The paper's numbers hold together as the paper says they do, so that a slip in copying them would show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from kdzoo.methods import registry
from kdzoo.report.paper.exhibits import Query, published, the_paper

ROUNDING = 0.0051


def rows() -> Iterator[Any]:
    for exhibit in the_paper().exhibit:
        for group in exhibit.group:
            for row in group.rows:
                cells = list(the_paper().cells_of(exhibit, group, row))
                yield pytest.param(cells, row, id=f"{exhibit.name}-{group.label}-{row.label}")


Cells = list[tuple[Any, Query, float | None]]


def number(cells: Cells, quantity: str) -> float | None:
    return next((number for _, query, number in cells if query.quantity == quantity), None)


def of(student: str, teacher: str | None, method: str, **measured: Any) -> float:
    return published()[Query(student, teacher, method, **measured)][0]


EX = {"trained_on": "Spider", "set": "Spider-dev", "metric": "ex"}
QWEN = "Qwen1.5-0.5B"


@pytest.mark.parametrize(("cells", "row"), rows())
def test_an_average_is_the_mean_of_its_ten_columns(cells: Cells, row: Any) -> None:
    average = number(cells, "average")
    scores = [number for _, query, number in cells if query.set is not None and number is not None]
    if average is not None:
        assert len(scores) == 10
        assert sum(scores) / 10 == pytest.approx(average, abs=ROUNDING)


@pytest.mark.parametrize(("cells", "row"), rows())
def test_a_gain_is_the_average_s_difference_from_the_sft_student_s(cells: Cells, row: Any) -> None:
    gain, average = number(cells, "gain"), number(cells, "average")
    if gain is not None and average is not None:
        query = next(query for _, query, _ in cells if query.quantity == "average")
        alone = replace(query, teacher=None, method="sft", options=frozenset())
        assert average - published()[alone][0] == pytest.approx(gain, abs=ROUNDING)


@pytest.mark.parametrize(("cells", "row"), rows())
def test_numbers_that_are_printed_twice_are_the_same(cells: Cells, row: Any) -> None:
    for _, query, number in cells:
        if number is not None:
            assert number == published()[query][0]


@pytest.mark.parametrize(("cells", "row"), rows())
def test_a_row_has_a_number_for_every_column_or_none_at_all(cells: Cells, row: Any) -> None:
    assert len(row.published) in (0, len(cells))


@pytest.mark.parametrize(("cells", "row"), rows())
def test_a_cell_is_of_what_there_is(cells: Cells, row: Any) -> None:
    paper = the_paper()
    if row.method is not None:
        registry.find(row.method).method.options(**row.options)  # an option that does not exist is an error
        assert set(row.options) <= set(paper.given_options.get(row.method, ()))
    for _, query, _ in cells:
        assert {query.student, query.teacher, query.beside} <= {None, *paper.models}
        assert query.set in {None, *paper.sets}
        assert query.trained_on in {None, *paper.training_sets}
        assert query.metric in {None, *paper.metrics}


class TestWhatTheFiguresPrint:
    """The labels in the figures are differences of numbers in the tables."""

    def test_figure_1(self) -> None:
        latency = {m: of(QWEN, "Qwen1.5-4B", m, quantity="latency") for m in ("gkd", "kid")}
        average = {m: of(QWEN, "Qwen1.5-4B", m, quantity="average") for m in ("rkd", "kid")}
        assert latency["gkd"] - latency["kid"] == pytest.approx(10.4)
        assert average["kid"] - average["rkd"] == pytest.approx(3.96)

    @pytest.mark.parametrize(("teacher", "label"), [("1.8B", 8.9), ("4B", 10.5), ("7B", 11.6)])
    def test_figure_2(self, teacher: str, label: float) -> None:
        latency = {m: of(QWEN, f"Qwen1.5-{teacher}", m, quantity="latency") for m in ("gkd", "rkd")}
        assert latency["gkd"] - latency["rkd"] == pytest.approx(label)

    @pytest.mark.parametrize(
        ("student", "teacher", "label"),
        [("CodeGen-350M", "CodeGen-2B", 5.3), ("TinyLLaMA-1.1B", "LLaMA2-7B", 5.1)],
    )
    def test_figure_4(self, student: str, teacher: str, label: float) -> None:
        assert of(student, teacher, "kid", **EX) - of(student, None, "sft", **EX) == pytest.approx(label)

    def test_table_5_s_vanilla_kid_is_table_4_s_rkd(self) -> None:
        rewritten_by_nothing = frozenset({("rewrite", "none")})
        vanilla = of("CodeGen-350M", "CodeGen-2B", "kid", options=rewritten_by_nothing, **EX)
        assert vanilla == of("CodeGen-350M", "CodeGen-2B", "rkd", **EX)


def test_a_default_that_is_named_is_the_same_as_none() -> None:
    paper = the_paper()
    assert paper.given("kid", {"alpha": 0.2, "strategy": "random", "mle_context": "imperfect"}) == frozenset()
    assert paper.given("kid", {"alpha": 0.3}) == {("alpha", 0.3)}


def test_curves_and_bars_without_printed_numbers_have_none() -> None:
    assert Query(QWEN, "Qwen1.5-1.8B", "kid", step=1000, **EX) not in published()
    assert (
        Query("CodeGen-350M", "CodeGen-2B", "kid", frozenset({("strategy", "hard")}), **EX) not in published()
    )
