"""Which checkpoints of a training count."""

import json

from kdzoo.engine.training.checkpoints import (
    Checkpoint,
    has_sharded_optimizer,
    last_complete_checkpoint,
    remove_incomplete_checkpoints,
)


def write(folder, step, state=None):
    checkpoint = folder / f"checkpoint-{step}"
    checkpoint.mkdir()
    if state is not None:
        (checkpoint / "trainer_state.json").write_text(state)
    return checkpoint


def state(step):
    return json.dumps({"global_step": step, "max_steps": 20, "epoch": 1.5})


def test_the_newest_that_was_written_to_its_end_is_found_and_nothing_changed(tmp_path):
    write(tmp_path, 9, state(9))
    newest = write(tmp_path, 10, state(10))
    cut_off = [write(tmp_path, 12), write(tmp_path, 14, state(14)[:-5]), write(tmp_path, 16, "[]")]
    assert last_complete_checkpoint(tmp_path) == Checkpoint(newest, 10, 20)
    assert all(path.is_dir() for path in cut_off)


def test_the_others_are_deleted_when_a_training_begins(tmp_path):
    write(tmp_path, 2, state(2))
    write(tmp_path, 4)
    remove_incomplete_checkpoints(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-2"]


def test_there_may_be_none(tmp_path):
    assert last_complete_checkpoint(tmp_path / "absent") is None
    remove_incomplete_checkpoints(tmp_path / "absent")


def test_a_sharded_optimizer_is_known_by_its_file(tmp_path):
    assert not has_sharded_optimizer(tmp_path)
    (tmp_path / "optimizer.bin").touch()
    assert has_sharded_optimizer(tmp_path)
