"""``kdzoo list`` compares the installed methods, and tells of those that cannot be loaded."""

import json
import re
import subprocess
import sys
import types

import pytest
from click.testing import CliRunner

from kdzoo.commands import list_methods
from kdzoo.methods.entry_points import Broken
from kdzoo.methods.method import Method, StepCost
from kdzoo.methods.registry import Plugin, Zoo

BUILT_IN = ["fdistill", "fkd", "gkd", "imitkd", "kid", "rkd", "sft"]


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
    assert [line.split()[0] for line in lines[2:9]] == BUILT_IN
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


def test_neither_torch_nor_transformers_is_imported():
    code = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from kdzoo.commands.{module} import command\n"
        "assert CliRunner().invoke(command, {arguments}).exit_code == 0\n"
        "sys.exit(len({{'torch', 'transformers', 'numpy'}} & set(sys.modules)))"
    )
    for module, arguments in (("list_methods", "[]"), ("show_method", "['kid']")):
        done = subprocess.run(
            [sys.executable, "-c", code.format(module=module, arguments=arguments)],
            check=False,
            capture_output=True,
            encoding="utf-8",
        )
        assert done.returncode == 0, done.stderr
