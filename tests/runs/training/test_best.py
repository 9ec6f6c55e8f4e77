"""The best weights so far lie in a folder by their step until they become the stage's model."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdzoo.errors import RunError
from kdzoo.runs.training.best import BestWeights, best_of


@given(st.dictionaries(st.integers(1, 50), st.none() | st.floats(-1, 1)))
def test_the_best_is_the_last_that_none_surpasses(scores: dict[int, float | None]) -> None:
    found, highest = None, float("-inf")
    for step in sorted(scores):
        score = scores[step]
        if score is not None and score >= highest:
            found, highest = step, score
    assert best_of(scores) == found


@pytest.fixture
def weights(tmp_path: Path) -> BestWeights:
    return BestWeights(tmp_path, lambda folder: (folder / "weights").write_text("the model") and None)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_all_but_some_are_forgotten(tmp_path: Path, weights: BestWeights) -> None:
    for step in (5, 50, 500):
        weights.keep(step)
    weights.forget_all_but(50, None, 7)
    assert names(tmp_path) == ["best-50"]
    weights.forget_all_but()
    assert names(tmp_path) == []


def test_one_takes_the_model_s_place_and_then_stays_there(tmp_path: Path, weights: BestWeights) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "older").write_text("")
    weights.keep(5)
    weights.move_to(5, model)
    assert names(tmp_path) == ["model"]
    assert names(model) == ["weights"]
    weights.move_to(5, model)
    assert names(model) == ["weights"]


def test_one_that_somebody_has_removed_is_missed(tmp_path: Path, weights: BestWeights) -> None:
    with pytest.raises(RunError, match=r"best-5 is gone; remove .* to train anew"):
        weights.move_to(5, tmp_path / "model")


def test_none_is_half_written(tmp_path: Path) -> None:
    def fails(folder: Path) -> None:
        (folder / "weights").write_text("half")
        raise OSError("no space left")

    with pytest.raises(OSError):
        BestWeights(tmp_path, fails).keep(5)
    assert names(tmp_path) == []
