"""``kdzoo compare`` as its user meets it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_runs import EVALUATE, KID, SFT, MadeRun

ANSWERS = {"sft": {"embedded": {"ex": [0.0] * 10}}, "kid": {"embedded": {"ex": [1.0] * 8 + [0.0] * 2}}}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return MadeRun([SFT, KID, EVALUATE], ANSWERS).write(tmp_path / "run")


def test_it_prints_the_table_and_what_the_tests_say(kdzoo: Callable[..., Any], run: Path) -> None:
    done = kdzoo("compare", run)
    assert (done.code, done.err) == (0, "")
    lines = [line.rstrip() for line in done.out.splitlines()]
    assert lines[0].split()[:3] == ["model", "parameters", "EX"]
    assert lines[2].split()[:3] == ["kid", "1,000", "80.0%"]
    assert (
        lines[-1]
        .strip()
        .startswith("kid against sft, EX: +80.0 points on 10 questions: better by more than chance")
    )


def test_it_tests_against_another_model_where_asked_to(
    kdzoo: Callable[..., Any], run: Path, tmp_path: Path
) -> None:
    file = tmp_path / "page.html"
    done = kdzoo("compare", run, "--against", "kid", "--html", file)
    assert (done.code, done.err) == (0, "")
    assert "sft against kid, EX: -80.0 points on 10 questions: worse by more than chance" in done.out
    assert "kid against sft" not in done.out
    assert "<h2>Differences from kid</h2>" in file.read_text()


def test_one_that_was_not_evaluated_is_told(kdzoo: Callable[..., Any], run: Path) -> None:
    done = kdzoo("compare", run, "--against", "minillm")
    assert (done.code, done.out) == (2, "")
    assert done.err == 'kdzoo: no model of these runs is called "minillm"; there are: sft, kid\n'


def test_it_writes_a_page_where_asked_to(kdzoo: Callable[..., Any], run: Path, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    done = kdzoo("compare", run, "--html", file)
    assert done.out.splitlines()[-1] == f"page: {file}"
    assert file.read_text().startswith("<!DOCTYPE html>")


def test_a_sweep_s_folder_is_all_its_members(kdzoo: Callable[..., Any], run: Path, tmp_path: Path) -> None:
    MadeRun([SFT, KID, EVALUATE], ANSWERS, seed=1).write(tmp_path / "other")
    sweep = tmp_path / "sweep"
    sweep.mkdir()
    members = [
        {"values": {"seed": n}, "run": f"../{name}"} for n, name in enumerate(("run", "other", "third"))
    ]
    (sweep / "sweep.json").write_text(json.dumps({"recipe": "r", "keys": ["seed"], "members": members}))
    done = kdzoo("compare", sweep)
    assert done.out.splitlines()[1].split()[:2] == ["sft", "2"]
    assert done.err == f"note: {sweep}: not begun: seed = 2\n"


def test_what_is_unfinished_is_told_on_stderr(kdzoo: Callable[..., Any], tmp_path: Path) -> None:
    run = MadeRun([SFT, EVALUATE], unfinished=["evaluate"], status="interrupted").write(tmp_path / "r")
    done = kdzoo("compare", run)
    assert done.code == 0
    assert "note: " in done.err
    assert "interrupted; not finished: evaluate" in done.err
    assert "not evaluated" in done.out


@pytest.mark.parametrize("what", ["nothing", "empty", "file"])
def test_what_is_no_run_is_one_message(kdzoo: Callable[..., Any], tmp_path: Path, what: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    done = kdzoo("compare", tmp_path / what)
    assert done.code == 2
    assert done.err.startswith(f"kdzoo: {tmp_path / what}: ")
    assert len(done.err.splitlines()) == 1


def test_a_page_that_cannot_be_written_is_a_failure(
    kdzoo: Callable[..., Any], run: Path, tmp_path: Path
) -> None:
    done = kdzoo("compare", run, "--html", tmp_path / "absent" / "page.html")
    assert done.code == 1
    assert "cannot be written" in done.err


def test_no_run_is_a_usage_error(kdzoo: Callable[..., Any]) -> None:
    assert kdzoo("compare").code == 2


def test_torch_is_not_needed(run: Path) -> None:
    code = (
        "import sys\nfrom click.testing import CliRunner\nfrom kdzoo.commands.compare import command\n"
        f"assert CliRunner().invoke(command, [{str(run)!r}, '--html', {str(run / 'page.html')!r}]).exit_code == 0\n"
        "sys.exit(len({'torch', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
