"""micro_batch_size = "auto": chosen once for a stage, and kept with it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from kdzoo.recipe import Training
from kdzoo.runs.training import micro_batch


@pytest.fixture
def chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Choose for a batch of 8 where so many rows fit; what was said comes after the number."""
    monkeypatch.setattr(micro_batch, "_config", lambda model: model)

    def choose(fits: int | None, setting: Any = "auto") -> tuple[Any, list[str]]:
        class Memory:
            def __init__(self, *_: Any) -> None: ...

            def estimate(self, **_: Any) -> Any:
                return SimpleNamespace(loaded=0, peak=1 << 30)

            def micro_batch_that_fits(self) -> int | None:
                return fits

        said: list[str] = []
        monkeypatch.setattr(micro_batch, "StageMemory", Memory)
        training = Training(batch_size=8, micro_batch_size=setting)
        context: Any = SimpleNamespace(
            recipe=SimpleNamespace(training_of=lambda stage: training),
            reporter=SimpleNamespace(say=said.append),
            device=torch.device("cpu"),
        )
        stage: Any = SimpleNamespace(name="kid")
        return micro_batch.with_micro_batch(context, stage, tmp_path, {}, []).micro_batch_size, said

    return choose


def test_the_most_that_fits_is_chosen_and_said(chosen: Any) -> None:
    rows, (said,) = chosen(4)
    assert rows == 4
    assert said.startswith("kid: micro_batch_size = 4 is chosen, which will take about 1.0 GiB")


def test_a_later_start_computes_the_same_whatever_fits_then(chosen: Any) -> None:
    chosen(4)
    rows, (said,) = chosen(1)
    assert (rows, said) == (4, "kid: micro_batch_size = 4, as chosen before")


@pytest.mark.parametrize("broken", ["", "three", "3", "0"])
def test_what_is_no_choice_is_made_anew(chosen: Any, tmp_path: Path, broken: str) -> None:
    (tmp_path / "micro_batch_size").write_text(broken)
    assert chosen(2)[0] == 2


def test_where_nothing_fits_one_row_is_taken_with_a_warning(chosen: Any) -> None:
    rows, (said,) = chosen(None)
    assert rows == 1
    assert "may not fit" in said


def test_what_the_recipe_says_is_left_alone(chosen: Any, tmp_path: Path) -> None:
    assert chosen(1, setting=2) == (2, [])
    assert not list(tmp_path.iterdir())
