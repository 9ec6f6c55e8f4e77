"""docs/results.md says of all methods what the committed scores say."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "results.md").read_text(encoding="utf-8")
ZOO: dict[str, Any] = json.loads((DOCS / "results/zoo.json").read_text(encoding="utf-8"))
_, _, SECTION = PAGE.partition("## All methods, three seeds")
UNLEARN = {"opsd", "opd"}


def percent(share: float) -> str:
    return f"{100 * share + 1e-9:.1f}"


@pytest.mark.parametrize("model", ZOO["models"])
def test_a_row_of_the_table_is_that_of_the_scores(model: str) -> None:
    scores = ZOO["models"][model]
    ((ex, low, high, difference, step),) = re.findall(
        rf"^\| {model} \| ([\d.]+)% \[([\d.]+), ([\d.]+)\] \| ([-+\d.]*) \| [<\d.]* \| ([\d.]*) \|",
        SECTION,
        re.MULTILINE,
    )
    assert (ex, [low, high]) == (percent(scores["ex"]), [percent(bound) for bound in scores["interval"]])
    assert difference == (f"{100 * scores['difference']:+.1f}" if "difference" in scores else "")
    if step:
        assert step == f"{scores['relative_step']:.2f}"
    assert scores["unseen"] == 0


def test_losses_fall_and_students_learn_but_for_those_that_are_named() -> None:
    rose = {
        method
        for method, trainings in ZOO["trainings"].items()
        for one in trainings
        if one["loss_253_to_282"] >= one["loss_first_30"]
    }
    behind = {
        method
        for method, trainings in ZOO["trainings"].items()
        for one in trainings
        if one["ex_282"] < one["ex_before"]
    }
    assert rose == {"opd"}
    assert behind == UNLEARN
    ahead = [
        name
        for name, scores in ZOO["models"].items()
        if name in ZOO["trainings"] and scores.get("difference", 0) > 0 and scores["p"] < 0.05
    ]
    assert f"{len(ahead)} of the {len(ZOO['trainings'])} are ahead of SFT" in SECTION


def test_opd_learns_at_a_lower_rate_and_opsd_does_not() -> None:
    slower = ZOO["at_learning_rate_3e-4"]
    by_seed = sorted(slower["opd"], key=lambda one: int(one["seed"]))
    assert [one["ex_before"] for one in by_seed] == [0.14, 0.14, 0.16]
    assert [one["ex_282"] for one in by_seed] == [0.18, 0.14, 0.17]
    assert all(one["loss_253_to_282"] < one["loss_first_30"] for one in by_seed)
    assert all(one["ex_282"] < one["ex_before"] for one in slower["opsd"])
