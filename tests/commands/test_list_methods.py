"""``kdzoo list`` compares the installed methods, and tells of those that cannot be loaded."""

import json
import re
import subprocess
import sys
import types

import pytest
from click.testing import CliRunner
from made_runs import EVALUATE, KID, SFT, MadeRun, kid

from kdzoo.commands import list_methods
from kdzoo.methods.entry_points import Broken
from kdzoo.methods.method import Method, StepCost
from kdzoo.methods.registry import Plugin, Zoo

BUILT_IN = [
    *("abkd", "akl", "amid", "csd", "fdistill", "fkd", "gkd", "imitkd", "kid", "opd", "rkd", "sft", "todi")
]


def run(*arguments):
    done = CliRunner().invoke(list_methods.command, arguments)
    assert done.exit_code == 0, done.output
    return done


@pytest.fixture
def zoo(monkeypatch):
    """Replace the installed methods by one of long descriptions and a broken one."""
    method = Method(
        name="longwinded",
        summary="A method of a test.",
        paper="[bold]Nobody[/bold] 2020",
        training_data="sequences " * 30 + "and no more",
        divergence="[red]KL(q‖p)[/red]",
        aux_loss="none",
        cost=StepCost(student=1.5, student_no_grad=2, teacher=3, generation=0.25),
    )
    plugin = Plugin(method, types.ModuleType("longwinded"), "long-package", "4.5.6")
    broken = Broken("hopeless", "bad-package", "ImportError: no torchvision")
    found = Zoo({"longwinded": plugin}, [broken])
    monkeypatch.setattr(list_methods, "discover", lambda: found)


def test_the_table_has_a_line_for_each_method_in_order():
    lines = run().stdout.splitlines()
    assert [line.split()[0] for line in lines[2 : 2 + len(BUILT_IN)]] == BUILT_IN
    kid = lines[2 + BUILT_IN.index("kid")]
    assert " ".join(kid.split()) == (
        "kid imperfect: masked, predicted, rewritten KL(q‖p) MLE on y 2 1 1 0 kdzoo 0.1.0"
    )


def test_json_holds_the_same():
    methods = {method["name"]: method for method in json.loads(run("--json").stdout)}
    assert set(BUILT_IN) <= set(methods)
    assert methods["kid"] == {
        "name": "kid",
        "summary": methods["kid"]["summary"],
        "paper": "Zhong et al. 2024, Learning from Imperfect Data (arXiv 2410.11371)",
        "training_data": "imperfect: masked, predicted, rewritten",
        "divergence": "KL(q‖p)",
        "aux_loss": "MLE on y",
        "cost": {"student": 2, "student_no_grad": 1, "teacher": 1, "generation": 0},
        "uses_teacher": True,
        "package": "kdzoo",
        "version": "0.1.0",
    }
    assert methods["sft"]["uses_teacher"] is False
    assert methods["gkd"]["cost"]["generation"] == 1
    assert methods["imitkd"]["cost"]["generation"] == 0.5


def test_a_pipe_gets_whole_lines_without_colours(zoo):
    line = run().stdout.splitlines()[2]
    assert line.startswith("longwinded  sequences sequences")
    assert "and no more" in line
    assert line.endswith("1.5     2        3  0.25  long-package 4.5.6")
    assert "\x1b" not in run().stdout


def test_a_narrow_terminal_gets_narrow_lines_with_everything(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    lines = run().stdout.splitlines()
    assert max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in lines) <= 80
    text = " ".join(lines)
    for part in ("JSD(beta)", "student-generated", "0.1.0"):
        assert part in text


def test_brackets_in_descriptions_are_text_not_markup(zoo):
    assert "[red]KL(q‖p)[/red]" in run().stdout


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_a_broken_method_is_told_of_on_stderr(zoo, arguments):
    done = run(*arguments)
    assert "hopeless" not in done.stdout
    for part in ("warning", "'hopeless'", "bad-package", "ImportError: no torchvision"):
        assert part in done.stderr


ANSWERS = {"sft": {"embedded": {"ex": [1, 0]}}, "kid": {"embedded": {"ex": [1, 1]}}}
COSTS = {"sft": {"step_seconds": 0.2, "peak_memory_bytes": 1 << 30}, "kid": {"step_seconds": 0.3}}


class TestResults:
    def test_what_was_measured_stands_beside_what_is_declared(self, tmp_path):
        run_folder = MadeRun([SFT, KID, EVALUATE], ANSWERS, COSTS).write(tmp_path / "r")
        lines = run("--results", str(run_folder)).stdout.splitlines()
        assert lines[1].split()[-6:] == ["EX", "relative", "to", "SFT", "peak", "memory"]
        assert " ".join(lines[2 + BUILT_IN.index("kid")].split()) == (
            "kid imperfect: masked, predicted, rewritten KL(q‖p) MLE on y 2 1 1 0 kdzoo 0.1.0 100.0% [34.2, 100.0] 1.50 -"
        )
        assert lines[2 + BUILT_IN.index("rkd")].endswith("kdzoo 0.1.0")

    def test_several_settings_of_a_method_have_a_line_each(self, tmp_path):
        folders = [
            str(MadeRun([kid(alpha), EVALUATE], ANSWERS).write(tmp_path / str(alpha))) for alpha in (0.1, 0.2)
        ]
        lines = [line.split() for line in run("--results", *folders).stdout.splitlines()]
        assert [line[:4] for line in lines if line[:1] == ["kid,"]] == [
            ["kid,", "alpha", "=", "0.1"],
            ["kid,", "alpha", "=", "0.2"],
        ]

    def test_json_has_the_same(self, tmp_path):
        run_folder = MadeRun([SFT, KID, EVALUATE], ANSWERS, COSTS).write(tmp_path / "r")
        methods = {m["name"]: m for m in json.loads(run("--json", "--results", str(run_folder)).stdout)}
        assert methods["rkd"]["measured"] == []
        (measured,) = methods["kid"]["measured"]
        assert measured["step_relative_to_baseline"] == pytest.approx(1.5)
        assert measured["scores"][0]["score"] == 1.0

    def test_a_narrow_terminal_gets_a_table_of_its_own_for_it(self, tmp_path, monkeypatch):
        for name, value in (("COLUMNS", "80"), ("FORCE_COLOR", "1"), ("TERM", "dumb")):
            monkeypatch.setenv(name, value)
        run_folder = MadeRun([SFT, KID, EVALUATE], ANSWERS, COSTS).write(tmp_path / "r")
        lines = [
            re.sub(r"\x1b\[[0-9;]*m", "", line)
            for line in run("--results", str(run_folder)).stdout.splitlines()
        ]
        assert max(map(len, lines)) <= 80
        at = lines.index("measured")
        assert [line.split()[0] for line in lines[at + 1 :]] == ["method", "kid", "sft"]

    @pytest.mark.parametrize("arguments", [("--results",), ("somewhere",)])
    def test_runs_and_the_flag_go_together(self, arguments):
        done = CliRunner().invoke(list_methods.command, arguments)
        assert done.exit_code == 2
        assert "kdzoo list --results RUN..." in done.output


def test_neither_torch_nor_transformers_is_imported():
    code = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from kdzoo.commands.{module} import command\n"
        "assert CliRunner().invoke(command, {arguments}).exit_code == 0\n"
        "sys.exit(len({{'torch', 'transformers', 'numpy', 'scipy', 'matplotlib'}} & set(sys.modules)))"
    )
    for module, arguments in (("list_methods", "[]"), ("show_method", "['kid']")):
        done = subprocess.run(
            [sys.executable, "-c", code.format(module=module, arguments=arguments)],
            check=False,
            capture_output=True,
            encoding="utf-8",
        )
        assert done.returncode == 0, done.stderr
