"""``kdzoo run --fresh``: every stage anew, and nothing that is finished lost before its like is there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kdzoo.report.progress import Reporter

Command = Callable[..., Any]
Write = Callable[..., Path]


@pytest.fixture
def recipe(write: Write, tiny: str) -> Path:
    """Two trainings of two steps."""
    text = tiny.split('[[stage]]\nkind = "evaluate"')[0]
    return write(text, ("max_steps = 3", "max_steps = 2\nsave_steps = 1"))


def marked(run: Path) -> dict[str, str | None]:
    return {
        stage: json.loads((run / stage / "stage.json").read_text())["mark"] for stage in ("finetune", "kid")
    }


def test_it_does_all_anew_and_if_it_is_interrupted_the_command_without_it_goes_on(
    kdzoo: Command, recipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert kdzoo("run", recipe).code == 0
    (run,) = Path("runs").glob("tiny-*")
    weights = (run / "kid/model/model.safetensors").read_bytes()
    assert marked(run) == {"finetune": None, "kid": None}
    planned = kdzoo("run", recipe, "--fresh", "--dry-run").out
    assert planned.count("to do anew") == 2
    advance = Reporter.advance

    def stop(self: Reporter, done: int, numbers: str = "") -> None:
        advance(self, done, numbers)
        if self._name == "kid" and done == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Reporter, "advance", stop)
        ended = kdzoo("run", recipe, "--fresh")
    assert ended.code == 130
    assert "finished before" not in ended.out
    assert json.loads((run / "fresh.json").read_text())["stages"] == ["kid"]
    # what was finished of the stage is kept until the new one is
    assert (run / ".kid.before/model/model.safetensors").read_bytes() == weights
    assert "kid (distill)" in (planned := kdzoo("run", recipe, "--dry-run").out)
    assert "to do: continues after step 1 of 2" in planned
    again = kdzoo("run", recipe)
    assert again.code == 0
    assert "finetune: finished before" in again.out
    assert "kid: continues after step 1 of 2" in again.out
    assert (run / "kid/model/model.safetensors").read_bytes() == weights
    assert len(set(marked(run).values())) == 1
    assert None not in marked(run).values()
    assert not [
        path.name for path in run.iterdir() if path.name in ("fresh.json", ".kid.before", ".finetune.before")
    ]
    assert kdzoo("run", recipe).out.count("finished before") == 2


def test_the_members_of_a_sweep_do_what_they_have_in_common_once(kdzoo: Command, recipe: Path) -> None:
    sweep = ("run", recipe, "--seeds", "1,2")
    assert kdzoo(*sweep).code == 0
    done = kdzoo(*sweep, "--fresh")
    assert done.code == 0
    assert done.out.count("finetune: finished in") == 1
    assert done.out.count("finetune: finished before") == 1
    assert done.out.count("kid: finished in") == 2
    assert (
        len(
            {
                tuple(marked(run).values())
                for run in Path("runs").glob("tiny-*")
                if (run / "run.json").exists()
            }
        )
        == 1
    )


def test_commands_that_are_printed_ask_for_nothing(kdzoo: Command, recipe: Path) -> None:
    done = kdzoo("run", recipe, "--seeds", "1,2", "--print-jobs", "--fresh")
    assert done.code == 2
    assert "give --fresh with the commands" in done.err
