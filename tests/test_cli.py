"""The command ``kdzoo``: exit codes, help, and what is left unimported until it is needed."""

from __future__ import annotations

import errno
import importlib.metadata
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from built_in import METHODS

from kdzoo import cli
from kdzoo.commands.lazy import LazyGroup
from kdzoo.errors import RunError, UserError


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run the command line in this process and give its exit code."""
    monkeypatch.setattr(sys, "argv", ["kdzoo", *arguments])
    try:
        cli.main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


class TestExitCodes:
    @pytest.fixture
    def failing(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], int]:
        def failing(error: BaseException) -> int:
            @click.command()
            def command() -> None:
                raise error

            monkeypatch.setattr(cli, "_kdzoo", command)
            return call(monkeypatch)

        return failing

    @pytest.mark.parametrize(
        ("error", "code", "message"),
        [
            (UserError("r.toml:3: no such key"), 2, "kdzoo: r.toml:3: no such key\n"),
            (RunError("the disk is full"), 1, "kdzoo: the disk is full\n"),
            (KeyboardInterrupt(), 130, "\nkdzoo: interrupted\n"),
            (click.UsageError("no such option"), 2, "Usage: "),
        ],
    )
    def test_a_known_error_is_one_message_and_no_traceback(
        self,
        failing: Callable[[BaseException], int],
        capsys: pytest.CaptureFixture[str],
        error: BaseException,
        code: int,
        message: str,
    ) -> None:
        assert failing(error) == code
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith(message)
        assert "Traceback" not in err

    def test_a_name_that_no_file_can_have_is_one_message_too(
        self, failing: Callable[[BaseException], int], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert failing(OSError(errno.ENAMETOOLONG, "File name too long", "x" * 5000)) == 2
        assert capsys.readouterr().err == f"kdzoo: {'x' * 100}...: no file has so long a name\n"

    def test_a_fault_of_ours_keeps_its_traceback(self, failing: Callable[[BaseException], int]) -> None:
        with pytest.raises(ZeroDivisionError):
            failing(ZeroDivisionError())

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["runn"], "No such command 'runn'"),
            (["run"], "Missing argument 'RECIPE'"),
            (["run", "r.toml", "--epochs", "3"], "No such option"),
            (["show", "kidd"], 'did you mean "kid"?'),
        ],
    )
    def test_a_wrong_command_line_is_a_usage_error(
        self,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        arguments: list[str],
        words: str,
    ) -> None:
        assert call(monkeypatch, *arguments) == 2
        assert words in capsys.readouterr().err


class TestHelp:
    @pytest.mark.parametrize("flag", ["-h", "--help"])
    def test_it_lists_every_command_with_what_it_does(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], flag: str
    ) -> None:
        assert call(monkeypatch, flag) == 0
        out = capsys.readouterr().out
        for line in (
            "run Run the stages of RECIPE",
            "runs List the runs in each DIR",
            "compare Compare the models of RUNS",
            "list Compare the installed methods",
            "show Show METHOD",
            "new Write a package with a method",
            "check Check that the installed METHOD",
        ):
            assert line in " ".join(out.split())

    def test_the_version_is_the_package_s(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert call(monkeypatch, "--version") == 0
        assert capsys.readouterr().out == f"kdzoo, version {importlib.metadata.version('kdzoo')}\n"


class TestWhatIsImported:
    @pytest.mark.parametrize(
        "arguments",
        [
            ["--help"],
            ["--version"],
            ["list"],
            ["list", "--json"],
            ["show", "kid"],
            ["run", "--help"],
            ["runs", "--help"],
            ["data", "--help"],
        ],
        ids=" ".join,
    )
    def test_quick_commands_do_not_import_torch(self, arguments: list[str]) -> None:
        code = (
            "import sys\nfrom kdzoo.cli import main\n"
            "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
            "heavy = {'torch', 'transformers', 'peft', 'numpy', 'sqlglot'} & set(sys.modules)\n"
            "sys.exit(f'imported: {heavy}' if heavy else 0)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], check=False, capture_output=True, encoding="utf-8"
        )
        assert done.returncode == 0, done.stderr

    def test_a_dry_run_of_models_on_a_hub_does_not_either(self, tmp_path: Path) -> None:
        recipe = Path(__file__).parents[1] / "recipes/kid_tinyllama.toml"
        code = (
            "import sys\nfrom kdzoo.cli import main\n"
            "try:\n    main()\nexcept SystemExit as end:\n    assert end.code == 2, end.code  # there are no data\n"
            "sys.exit(len({'torch', 'transformers'} & set(sys.modules)))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, "run", str(recipe), "--dry-run"],
            cwd=tmp_path,
            env={"KDZOO_DATA": str(tmp_path / "absent")},
            check=False,
            capture_output=True,
            encoding="utf-8",
        )
        assert done.returncode == 0, done.stderr
        assert list(tmp_path.iterdir()) == []

    def test_a_command_s_module_is_imported_when_it_is_asked_for(self) -> None:
        group = LazyGroup(modules={"json": "no.such.module", "other": "neither.this"})
        context = click.Context(group)
        assert group.list_commands(context) == ["json", "other"]
        assert group.get_command(context, "absent") is None
        with pytest.raises(ModuleNotFoundError, match="no"):
            group.get_command(context, "json")


def test_the_installed_command_is_this_one() -> None:
    (script,) = importlib.metadata.entry_points(group="console_scripts", name="kdzoo")
    assert script.load() is cli.main


@pytest.mark.parametrize(
    "command",
    [[Path(sys.executable).with_name("kdzoo")], [sys.executable, "-m", "kdzoo"]],
    ids=["script", "module"],
)
def test_the_installed_command_gives_the_built_in_methods(command: list[Any]) -> None:
    done = subprocess.run([*command, "list", "--json"], check=True, capture_output=True, encoding="utf-8")
    methods: list[dict[str, Any]] = json.loads(done.stdout)
    assert [method["name"] for method in methods if method["package"] == "kdzoo"] == METHODS


def test_output_that_nobody_reads_is_no_fault() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    code = "from kdzoo.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "list"],
        check=False,
        stdout=writer,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")
