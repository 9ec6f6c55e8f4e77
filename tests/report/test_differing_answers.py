"""Which questions only one of two models gets."""

from __future__ import annotations

from pathlib import Path

from made_runs import EVALUATE, KID, SFT, MadeRun, ex

from kdzoo.report.comparison import compare
from kdzoo.report.differing_answers import SHOWN, DifferingAnswers, differing_answers
from kdzoo.report.runs_read import read_runs


def differing(tmp_path: Path, *runs: MadeRun) -> list[DifferingAnswers]:
    folders = [run.write(tmp_path / f"run-{n}") for n, run in enumerate(runs)]
    return list(differing_answers(compare(read_runs(folders))))


def test_gained_and_lost_questions_have_both_answers(tmp_path: Path) -> None:
    gained, lost = differing(tmp_path, MadeRun([SFT, KID, EVALUATE], ex(sft=[1, 0, 0, 1], kid=[1, 1, 1, 0])))
    assert (gained.is_gained, gained.count, lost.is_gained, lost.count) == (True, 2, False, 1)
    assert [answer.question.id for answer in gained.shown] == ["embedded-1", "embedded-2"]
    first = gained.shown[0]
    assert (first.own.prediction, first.own_score, first.own.error) == ("SELECT 1 FROM kid", "right", None)
    assert (first.baseline.prediction, first.baseline_score) == ("SELECT 1 FROM sft", "wrong")
    assert first.baseline.error == "no such column: x"
    assert lost.shown[0].question.id == "embedded-3"


def test_their_number_is_told_and_what_is_shown_is_bounded(tmp_path: Path) -> None:
    gained, lost = differing(tmp_path, MadeRun([SFT, KID, EVALUATE], ex(sft=[0.0] * 100, kid=[1.0] * 100)))
    assert (gained.count, len(gained.shown)) == (100, SHOWN)
    assert (lost.count, lost.shown) == (0, [])


def test_of_several_seeds_half_must_differ_and_the_clearest_is_shown(tmp_path: Path) -> None:
    kids = [[1, 0, 1], [1, 1, 0], [1, 0, 0], [0, 0, 1]]
    runs = [
        MadeRun([SFT, KID, EVALUATE], ex(sft=[0, 0, 0], kid=kid), seed=n, prediction=f"seed {n} {{model}}")
        for n, kid in enumerate(kids)
    ]
    gained, _ = differing(tmp_path, *runs)
    assert [(a.question.id, a.own_score, a.own.prediction) for a in gained.shown] == [
        ("embedded-0", "right with 3 of 4 seeds", "seed 0 kid"),
        ("embedded-2", "right with 2 of 4 seeds", "seed 0 kid"),
    ]


def test_scores_of_texts_differ_by_half_or_more(tmp_path: Path) -> None:
    gained, lost = differing(
        tmp_path, MadeRun([SFT, KID, EVALUATE], ex(sft=[0.2, 0.5, 0.9], kid=[0.7, 0.8, 0.1]))
    )
    assert [(a.question.id, a.own_score, a.baseline_score) for a in gained.shown] == [
        ("embedded-0", "70.0%", "20.0%")
    ]
    assert [a.question.id for a in lost.shown] == ["embedded-2"]


def test_each_set_is_told_by_its_first_metric(tmp_path: Path) -> None:
    sets = {"a": {"ex": [1, 0], "ts": [0, 0]}, "b": {"ex": [0, 0]}}
    found = differing(tmp_path, MadeRun([SFT, KID, EVALUATE], {"sft": sets, "kid": sets}))
    assert [(f.column.set, f.column.metric, f.is_gained) for f in found] == [
        ("a", "ex", True),
        ("a", "ex", False),
        ("b", "ex", True),
        ("b", "ex", False),
    ]


def test_a_seed_that_was_scored_by_another_metric_is_left_out(tmp_path: Path) -> None:
    both = {name: {"embedded": {"ts": [1, right], "ex": [1, 1]}} for name, right in (("sft", 0), ("kid", 1))}
    found = differing(
        tmp_path,
        MadeRun([SFT, KID, EVALUATE], both),
        MadeRun([SFT, KID, EVALUATE], ex(sft=[1, 0], kid=[1, 1]), seed=1),
    )
    assert [(f.column.metric, f.is_gained, f.count) for f in found] == [("ts", True, 1), ("ts", False, 0)]
    assert (found[0].shown[0].own_score, found[0].shown[0].baseline_score) == ("right", "wrong")
