"""Which model RUN and RUN/STAGE mean, and what is said where they mean none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from made_runs import EVALUATE, FINETUNE, KID, SFT

from kdzoo.errors import UserError
from kdzoo.runs.export.chosen import choose

Make = Callable[..., Path]
STAGES = (FINETUNE, SFT, KID, EVALUATE)


def test_a_run_alone_means_its_last_stage_that_trains(made_run: Make) -> None:
    run = made_run(*STAGES)
    chosen = choose(run)
    assert (chosen.stage.name, chosen.is_named) == ("kid", False)
    assert chosen.model == run / "kid" / "model"
    assert chosen.name == "source-kid"


@pytest.mark.parametrize("path", ["sft", "sft/", "sft/model", "../run/sft"])
def test_a_stage_is_named_by_its_folder(made_run: Make, path: str) -> None:
    chosen = choose(made_run(*STAGES) / path)
    assert (chosen.stage.name, chosen.is_named) == ("sft", True)


def test_a_stage_of_another_run_is_found_behind_its_link(made_run: Make) -> None:
    run, other = made_run(*STAGES), made_run(*STAGES, name="other")
    link = other / "finetune"
    (run / "finetune").rename(run / "moved")
    (run / "finetune").symlink_to(link)
    assert choose(run / "finetune").model == link / "model"


def test_where_the_program_runs_is_a_place_too(made_run: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    run = made_run(*STAGES)
    monkeypatch.chdir(run)
    assert choose(Path(".")).stage.name == "kid"
    assert choose(Path("sft")).stage.name == "sft"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("run/evaluate", r"stage 'evaluate' evaluates, and leaves no model; .*: finetune, sft, kid$"),
        ("run/kidd", r"there is no stage 'kidd'; did you mean \"kid\"\?; those that leave a model: finetune"),
        ("nothing", r"nothing: there is no such folder$"),
        ("nothing/kid", r"nothing/kid: there is no such folder$"),
        ("empty", r"empty: is no run: it has no run\.json$"),
        ("file", r"file: is a file; give the folder of a run"),
    ],
)
def test_what_is_no_model_is_told(made_run: Make, tmp_path: Path, path: str, reason: str) -> None:
    made_run(*STAGES)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match=reason):
        choose(tmp_path / path)


def test_an_unfinished_stage_is_not_replaced_by_an_earlier_one(made_run: Make) -> None:
    run = made_run(*STAGES, unfinished=["kid", "evaluate"])
    for path in (run, run / "kid"):
        with pytest.raises(
            UserError, match=r"'kid' is not finished; .*continues it; finished are: finetune, sft$"
        ):
            choose(path)


def test_a_run_that_only_evaluates_has_nothing_to_take(made_run: Make) -> None:
    run = made_run(f'{EVALUATE}\nmodels = ["teacher"]')
    with pytest.raises(UserError, match="no stage of its recipe trains a model"):
        choose(run)
