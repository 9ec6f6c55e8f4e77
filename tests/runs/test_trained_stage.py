"""RUN/STAGE names a stage that has left a model, and RUN the last one; what names none is told."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from made_runs import EVALUATE, FINETUNE, KID, SFT, MadeRun

from kdzoo.errors import RunError, UserError
from kdzoo.runs.run_directory import RunDirectory
from kdzoo.runs.trained_stage import find_trained_stage


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of which all stages are finished, as it is seen from where runs are kept."""
    monkeypatch.chdir(tmp_path)
    return _with_models(MadeRun([FINETUNE, SFT, KID, EVALUATE]).write(Path("runs/r-1")))


def _with_models(folder: Path, *but: str) -> Path:
    for stage in ("finetune", "sft", "kid"):
        if stage not in but:
            (folder / stage / "model").mkdir()
    return folder


def test_a_run_alone_is_its_last_stage_that_trains(run: Path) -> None:
    found = find_trained_stage(run)
    assert (found.stage.name, found.folder, found.model) == ("kid", run / "kid", run / "kid/model")
    assert (found.stage.role, found.name, found.is_named) == ("student", "source-kid", False)
    assert found.finished.folder == (run / "kid").resolve()


@pytest.mark.parametrize(("stage", "role"), [("finetune", "teacher"), ("sft", "student")])
def test_a_stage_may_be_named(run: Path, stage: str, role: str) -> None:
    found = find_trained_stage(run / stage)
    assert (found.stage.name, found.stage.role, found.folder) == (stage, role, run / stage)
    assert found.is_named
    for same in (run / stage / ".", run / stage / "model"):
        assert find_trained_stage(same).folder == run / stage


def test_one_that_another_run_has_done_counts(run: Path) -> None:
    other = MadeRun([SFT, EVALUATE]).write(Path("runs/r-2"))
    RunDirectory(other).reuse("sft", run / "sft")
    assert find_trained_stage(other).model == other / "sft/model"
    shutil.rmtree(run)
    with pytest.raises(RunError, match=r"another run's, which is gone: \.\./r-1/sft"):
        find_trained_stage(other)


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ("r-1", 'no such run; did you mean "runs/r-1"?'),
        ("runs/r-11", 'no such run; did you mean "runs/r-1"?'),
        ("elsewhere/x", "no such run; `kdzoo runs` lists"),
        ("runs", "is no run, but holds some: r-1"),
        ("runs/r-1/kit", 'has no stage "kit"; did you mean "kid"?'),
        ("runs/r-1/evaluate", 'stage "evaluate" trains no model; those that do are: finetune, sft, kid'),
        ("runs/r-1/run.json", 'has no stage "run.json"'),
    ],
)
def test_what_names_none_is_told(run: Path, named: str, told: str) -> None:
    with pytest.raises(UserError) as error:
        find_trained_stage(Path(named))
    assert told in str(error.value)


def test_a_stage_that_is_not_finished_is_told_with_those_that_are(tmp_path: Path) -> None:
    run = _with_models(
        MadeRun([FINETUNE, SFT, KID, EVALUATE], unfinished=["kid", "evaluate"]).write(tmp_path / "r-1")
    )
    for named in (run, run / "kid"):
        with pytest.raises(
            RunError, match=r'"kid" has left no model: it is not finished.*finished are: finetune, sft$'
        ):
            find_trained_stage(named)
    assert find_trained_stage(run / "sft").stage.name == "sft"


def test_a_model_that_is_gone_and_a_damaged_record_are_told(tmp_path: Path) -> None:
    run = _with_models(MadeRun([FINETUNE, SFT, KID]).write(tmp_path / "r-1"), "kid")
    with pytest.raises(RunError, match=r"its model is gone: there is no folder .*kid/model"):
        find_trained_stage(run)
    (run / "sft/stage.json").write_text("{")
    with pytest.raises(RunError, match=r"its record is damaged: .*stage.json:1: not valid JSON"):
        find_trained_stage(run / "sft")


def test_a_run_without_such_a_stage_is_told(tmp_path: Path) -> None:
    run = MadeRun([EVALUATE + '\nmodels = ["student"]']).write(tmp_path / "r-1")
    with pytest.raises(UserError, match="no stage of this run trains a model"):
        find_trained_stage(run)
