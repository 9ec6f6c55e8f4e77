"""Which checkpoints of a training count: those whose files are as they were written."""

import errno
import hashlib
import json
import os

import pytest

from kdzoo.engine.training import checkpoints
from kdzoo.engine.training.checkpoints import (
    ASIDE,
    Checkpoint,
    checkpoints_in,
    find_last,
    has_sharded_optimizer,
    publish,
    remove_damaged,
)


def write_aside(folder, step, weights=b"weights"):
    """What the Trainer leaves of a checkpoint, aside."""
    aside = folder / ASIDE / f"checkpoint-{step}"
    (aside / "optimizer_0").mkdir(parents=True)
    (aside / "model.safetensors").write_bytes(weights)
    (aside / "optimizer_0/shard").write_bytes(b"state" * step)
    (aside / "trainer_state.json").write_text(
        json.dumps({"global_step": step, "max_steps": 20, "epoch": 1.5})
    )
    return aside


def write(folder, *steps, keep=None):
    for step in steps:
        publish(write_aside(folder, step), folder, keep)
    return folder / f"checkpoint-{steps[-1]}"


def names(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != ASIDE)


class TestWriting:
    def test_a_manifest_names_every_file_by_its_hash(self, tmp_path):
        path = write(tmp_path, 4)
        manifest = json.loads((path / "manifest.json").read_text())["files"]
        assert set(manifest) == {"model.safetensors", "optimizer_0/shard", "trainer_state.json"}
        for name, of in manifest.items():
            content = (path / name).read_bytes()
            assert of == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}

    def test_the_latest_steps_are_kept_whatever_a_clock_says(self, tmp_path):
        write(tmp_path, 2, 9, 10)
        for age, step in enumerate((10, 9, 2)):  # the clock has been set back before each
            os.utime(tmp_path / f"checkpoint-{step}", (1000 + age, 1000 + age))
        write(tmp_path, 11, keep=2)
        assert names(tmp_path) == ["checkpoint-10", "checkpoint-11"]

    def test_the_others_stay_as_they_are_if_the_disk_is_full(self, tmp_path, monkeypatch):
        write(tmp_path, 2, 4)

        def full(*_):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(checkpoints, "write_json", full)
        aside = write_aside(tmp_path, 6)
        with pytest.raises(OSError):
            publish(aside, tmp_path, 2)
        assert names(tmp_path) == ["checkpoint-2", "checkpoint-4"]
        assert find_last(tmp_path).last == Checkpoint(tmp_path / "checkpoint-4", 4, 20)

    def test_one_of_the_same_step_is_replaced(self, tmp_path):
        write(tmp_path, 4)
        publish(write_aside(tmp_path, 4, b"others"), tmp_path, 2)
        assert (tmp_path / "checkpoint-4/model.safetensors").read_bytes() == b"others"
        assert find_last(tmp_path).last is not None


def flip(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


DAMAGES = {
    "truncated": (
        lambda path: os.truncate(path / "model.safetensors", 3),
        "model.safetensors has 3 bytes instead of 7",
    ),
    "altered": (lambda path: flip(path / "model.safetensors"), "model.safetensors is not what was written"),
    "altered below": (
        lambda path: flip(path / "optimizer_0/shard"),
        "optimizer_0/shard is not what was written",
    ),
    "a file is gone": (lambda path: (path / "optimizer_0/shard").unlink(), "optimizer_0/shard is not there"),
    "no manifest": (lambda path: (path / "manifest.json").unlink(), "it has no manifest.json"),
    "half a manifest": (lambda path: os.truncate(path / "manifest.json", 20), "manifest.json cannot be read"),
    "another manifest": (
        lambda path: (path / "manifest.json").write_text("[]"),
        "manifest.json cannot be read",
    ),
    "a manifest of nothing": (
        lambda path: (path / "manifest.json").write_text('{"files": {"model.safetensors": 1}}'),
        "manifest.json cannot be read",
    ),
    "another state": (
        lambda path: flip(path / "trainer_state.json"),
        "trainer_state.json is not what was written",
    ),
}


class TestReading:
    @pytest.mark.parametrize(("damage", "why"), DAMAGES.values(), ids=DAMAGES)
    def test_a_damaged_one_is_passed_over_for_the_one_before(self, tmp_path, damage, why):
        newest = write(tmp_path, 8, 9, 10)
        damage(newest)
        before = names(tmp_path)
        found = find_last(tmp_path)
        assert found.last == Checkpoint(tmp_path / "checkpoint-9", 9, 20)
        assert [str(damaged) for damaged in found.damaged] == [f"checkpoint-10 is damaged ({why})"]
        assert names(tmp_path) == before

    def test_several_may_be_damaged_or_all(self, tmp_path):
        write(tmp_path, 8, 9)
        for step in (8, 9):
            flip(tmp_path / f"checkpoint-{step}/model.safetensors")
        found = find_last(tmp_path)
        assert found.last is None
        assert [damaged.path.name for damaged in found.damaged] == ["checkpoint-9", "checkpoint-8"]

    def test_sizes_alone_tell_which_are_there(self, tmp_path):
        write(tmp_path, 8, 9, 10)
        DAMAGES["truncated"][0](tmp_path / "checkpoint-9")
        flip(tmp_path / "checkpoint-10/model.safetensors")  # which reading alone tells
        assert [checkpoint.step for checkpoint in checkpoints_in(tmp_path)] == [10, 8]

    def test_a_file_that_came_later_does_not_matter(self, tmp_path):
        (write(tmp_path, 4) / ".DS_Store").touch()
        assert find_last(tmp_path).damaged == ()

    def test_other_folders_are_none(self, tmp_path):
        write(tmp_path, 4)
        (tmp_path / "checkpoint-best").mkdir()
        write_aside(tmp_path, 6)
        assert find_last(tmp_path).last == Checkpoint(tmp_path / "checkpoint-4", 4, 20)

    def test_there_may_be_none(self, tmp_path):
        assert find_last(tmp_path / "absent").last is None
        remove_damaged(tmp_path / "absent", find_last(tmp_path / "absent"))


def test_what_is_damaged_or_half_written_is_deleted_when_a_training_begins(tmp_path):
    write(tmp_path, 2, 4)
    flip(tmp_path / "checkpoint-4/model.safetensors")
    write_aside(tmp_path, 6)
    remove_damaged(tmp_path, find_last(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-2"]


def test_a_sharded_optimizer_is_known_by_its_file(tmp_path):
    assert not has_sharded_optimizer(tmp_path)
    (tmp_path / "optimizer.bin").touch()
    assert has_sharded_optimizer(tmp_path)
