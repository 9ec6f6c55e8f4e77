"""``kdzoo export`` as its user meets it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import ModelCard
from small_run import make_small_run

Call = Callable[..., Any]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_small_run(tmp_path_factory.mktemp("small"))


def test_a_run_s_last_model_is_taken_and_that_is_said(kdzoo: Call, run: Path, tmp_path: Path) -> None:
    done = kdzoo("export", run, tmp_path / "out")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == ["the last stage that trains: fkd", f"exported: {tmp_path / 'out'}"]
    assert ModelCard.load(tmp_path / "out" / "README.md").data.library_name == "peft"


def test_all_options_work_together(kdzoo: Call, run: Path, tmp_path: Path) -> None:
    pytest.importorskip("gguf")
    done = kdzoo("export", run / "fkd", tmp_path / "out", "--merge", "--dtype", "bfloat16", "--gguf")
    assert (done.code, done.err, done.out) == (0, "", f"exported: {tmp_path / 'out'}\n")
    names = {file.name for file in (tmp_path / "out").iterdir()}
    assert {"model.safetensors", "small-fkd.gguf", "README.md", "chat_template.jinja"} <= names


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("nothing", "out"), 2, "nothing: there is no such run"),
        (("RUN/evaluate", "out"), 2, 'stage "evaluate" trains no model'),
        (("RUN/fkd", "RUN"), 2, "is not empty; give a new folder"),
        (("RUN/fkd", "out", "--gguf"), 2, "--gguf: a GGUF file holds a whole model"),
        (("RUN/fkd", "out", "--dtype", "int8"), 2, "'int8' is not one of 'float32', 'float16', 'bfloat16'"),
        (("RUN/fkd", "out", "--push", "a/b/c"), 2, "--push a/b/c: is no name of a repository"),
        (("RUN/fkd", "out", "--push", "me/x"), 1, "--push me/x: there is no token for the hub"),
    ],
)
def test_what_cannot_be_done_is_one_message_and_writes_nothing(
    kdzoo: Call,
    run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    code: int,
    told: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    done = kdzoo("export", *(argument.replace("RUN", str(run)) for argument in arguments))
    assert done.code == code
    assert told in done.err
    assert "Traceback" not in done.err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_pushed_when_it_is_whole(
    kdzoo: Call, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushed: list[tuple[str, list[str]]] = []

    class Hub:
        def create_repo(self, repo: str, *, exist_ok: bool) -> str:
            return f"https://hub/{repo}"

        def upload_folder(self, *, repo_id: str, folder_path: Path, commit_message: str) -> None:
            pushed.append((repo_id, sorted(file.name for file in folder_path.iterdir())))

    monkeypatch.setattr(huggingface_hub, "HfApi", Hub)
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: "secret")
    done = kdzoo("export", run / "fkd", tmp_path / "out", "--push", "me/student")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[-1] == "pushed: https://hub/me/student"
    assert pushed == [("me/student", sorted(file.name for file in (tmp_path / "out").iterdir()))]
    text = (tmp_path / "out" / "README.md").read_text()
    assert "folder = 'me/student'" in text
    assert "secret" not in text


def test_help_and_mistakes_need_no_torch() -> None:
    code = (
        "import sys\nfrom click.testing import CliRunner\nfrom kdzoo.commands.export import command\n"
        "assert CliRunner().invoke(command, ['--help']).exit_code == 0\n"
        "assert CliRunner().invoke(command, ['nothing', 'out']).exception\n"
        "sys.exit(len({'torch', 'transformers', 'peft'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
