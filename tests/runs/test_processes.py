"""Several processes do the work of one: the same losses, the same answers, and nothing is lost when one ends."""

import json
import signal
import time
from pathlib import Path

import pytest

from kdzoo.runs.processes import Processes
from tests.runs.launched import Launched, run_by, write_recipe

METHODS = ["sft", "rkd", "gkd", "fdistill", "kid"]


def lines(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def losses(run: Path, stage: str) -> list[float]:
    return [line["loss"] for line in lines(run / stage / "metrics.jsonl") if "loss" in line]


def answers(run: Path) -> list[tuple[str, str, str]]:
    return [
        (line["model"], line["id"], line["prediction"]) for line in lines(run / "evaluate/predictions.jsonl")
    ]


def scores(run: Path) -> dict[str, list[object]]:
    """Each model's scores on all sets."""
    models = json.loads((run / "evaluate/scores.json").read_text())
    return {name: [of["scores"] for of in model["sets"].values()] for name, model in models.items()}


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recipe(tmp_path_factory.mktemp("recipe"), METHODS)


@pytest.fixture(scope="module")
def by_one(recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_by(recipe, tmp_path_factory.mktemp("one"), 1)[0]


@pytest.mark.parametrize("sharded", [False, True], ids=["ddp", "fsdp2"])
def test_two_processes_do_the_work_of_one(recipe: Path, by_one: Path, tmp_path: Path, sharded: bool) -> None:
    by_two, printed = run_by(recipe, tmp_path, 2, sharded=sharded)
    for stage in ("finetune", *METHODS):
        assert len(losses(by_one, stage)) == 20
        assert losses(by_two, stage) == pytest.approx(losses(by_one, stage), rel=1e-4), stage
    assert answers(by_two) == answers(by_one)
    one, two = (scores(run) for run in (by_one, by_two))
    assert one.keys() == {"teacher", *METHODS}
    assert two == one
    assert "results:" in printed[0]
    assert "kdzoo" not in printed[1]  # one process prints


def test_parts_of_a_step_are_split_too(recipe: Path, by_one: Path, tmp_path: Path) -> None:
    settings = ("training.micro_batch_size=2", "training.max_steps=4")
    by_three, _ = run_by(write_recipe(tmp_path, ["gkd"]), tmp_path / "three", 3, settings=settings)
    alone, _ = run_by(tmp_path / "small.toml", tmp_path / "one", 1, settings=settings)
    assert losses(by_three, "gkd") == pytest.approx(losses(alone, "gkd"), rel=1e-4)


def test_where_one_is_killed_the_other_ends_and_one_alone_can_go_on(tmp_path: Path) -> None:
    recipe, runs = write_recipe(tmp_path, ["kid"]), tmp_path / "runs"
    settings = ("training.max_steps=40", "training.epochs=8", "training.save_steps=5")
    for victim, step in ((1, 5), (0, 15)):
        launched = Launched(recipe, runs, 2, settings=settings)
        _wait_for(runs, f"*/kid/checkpoints/checkpoint-{step}/trainer_state.json", launched)
        launched.processes[victim].send_signal(signal.SIGKILL)
        code, printed = launched.ended(timeout=60)[1 - victim]
        assert code == 1
        assert "another process of this run has ended" in printed
        assert "the same command continues" in printed
        assert "Traceback" not in printed
    run, (printed,) = run_by(recipe, runs, 1, settings=settings)
    assert "kid: continues after step" in printed
    whole, _ = run_by(recipe, tmp_path / "whole", 1, settings=settings)
    assert losses(run, "kid") == pytest.approx(losses(whole, "kid"), rel=1e-4)
    assert answers(run) == answers(whole)


def test_a_signal_to_one_process_ends_all_with_a_checkpoint(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, ["sft"])
    settings = ("training.max_steps=2000", "training.epochs=400")
    launched = Launched(recipe, tmp_path / "runs", 2, settings=settings)
    _wait_for(tmp_path / "runs", "*/finetune/metrics.jsonl", launched)
    launched.processes[1].send_signal(signal.SIGTERM)
    ended = launched.ended()
    assert [code for code, _ in ended] == [143, 143]
    assert "finetune: ended after step" in ended[0][1]
    assert list((tmp_path / "runs").glob("*/finetune/checkpoints/checkpoint-*/trainer_state.json"))


def test_the_main_process_says_what_is_wrong_and_the_others_end(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, ["sft"])
    recipe.write_text(recipe.read_text().replace("batch_size = 10", "batch_size = 0"))
    (code, printed), (other, _) = Launched(recipe, tmp_path / "runs", 2).ended()
    assert (code, other) == (2, 1)
    assert "small.toml:22: training.batch_size" in printed
    assert "Traceback" not in printed


def test_one_process_alone_neither_waits_nor_asks() -> None:
    alone = Processes()
    with alone.main_first():
        assert alone.of_main(lambda: 3) == 3
    assert alone.of_all([1, 2]) == [1, 2]
    assert alone.share([1, 2]) == [1, 2]
    assert not alone.any(False)
    assert alone.own_folder(Path("here")) == Path("here")


def _wait_for(folder: Path, pattern: str, launched: Launched) -> None:
    deadline = time.monotonic() + 240
    while not list(folder.glob(pattern)):
        assert time.monotonic() < deadline
        assert all(process.poll() is None for process in launched.processes)
        time.sleep(0.1)


def test_a_sharded_training_continues_sharded_and_not_otherwise(tmp_path: Path) -> None:
    recipe, runs = write_recipe(tmp_path, []), tmp_path / "runs"
    settings = ("training.max_steps=30", "training.epochs=8", "training.save_steps=5")
    launched = Launched(recipe, runs, 2, sharded=True, settings=settings)
    _wait_for(runs, "*/finetune/checkpoints/checkpoint-10/trainer_state.json", launched)
    for process in launched.processes:
        process.kill()
    launched.ended()
    ((code, printed),) = Launched(recipe, runs, 1, settings=settings).ended()
    assert code == 1
    assert "was written with sharded weights" in printed
    run, (printed, _) = run_by(recipe, runs, 2, sharded=True, settings=settings)
    assert "finetune: continues after step" in printed
    whole, _ = run_by(recipe, tmp_path / "whole", 1, settings=settings)
    assert losses(run, "finetune") == pytest.approx(losses(whole, "finetune"), rel=1e-4)
