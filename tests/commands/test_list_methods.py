"""``kdzoo list`` compares the installed methods, and tells of those that cannot be loaded."""

import json
import re
import subprocess
import sys
import types

import pytest
from built_in import METHODS
from click.testing import CliRunner
from made_runs import EVALUATE, KID, SFT, MadeRun, kid

from kdzoo.commands import list_methods
from kdzoo.methods.entry_points import Broken
from kdzoo.methods.method import Method, StepCost
from kdzoo.methods.registry import Plugin, Zoo


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


def test_the_table_has_a_line_for_each_method_below_where_its_data_come_from():
    lines = run().stdout.splitlines()
    groups: dict[str, list[str]] = {}
    for line in filter(None, lines[2:-2]):
        if line.endswith(":"):
            groups[line.removesuffix(":")] = []
        else:
            list(groups.values())[-1].append(line.split()[0])
    assert sorted(name for names in groups.values() for name in names) == METHODS
    assert list(groups) == sorted(groups)
    assert all(names == sorted(names) for names in groups.values())
    assert {"fkd", "rkd", "sft"} <= set(groups["ground truth"])
    assert groups["ground truth and student-generated"] == ["distillm", "imitkd"]
    assert groups["imperfect"] == ["kid"]
    assert "gkd" in groups["student-generated"]
    assert groups["student-generated and teacher-generated"] == ["fdistill"]
    (kid,) = (line for line in lines if line.startswith("kid "))
    assert " ".join(kid.split()) == (
        "kid Zhong et al. 2024 imperfect: masked, predicted, rewritten KL(q‖p) MLE on y 2 1 1 0 kdzoo 0.1.0"
    )


OF_THE_PAPER = {"sft", "fkd", "rkd", "fdistill", "imitkd", "gkd", "kid"}


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--on-policy"], ["fdistill", "gkd", "imitkd"]),
        (["--off-policy"], ["fkd", "kid", "rkd", "sft"]),
        (["--no-teacher"], ["sft"]),
        (["--needs-teacher", "--off-policy"], ["fkd", "kid", "rkd"]),
        (["--since", "2024"], ["gkd", "kid", "sft"]),
        (["zhong"], ["kid", "sft"]),
        (["ZHONG", "baseline"], ["sft"]),
        (["minillm"], ["rkd"]),
        (["kd"], ["fdistill", "fkd", "gkd", "imitkd", "rkd"]),
        (["student", "--since", "2024"], ["gkd", "kid"]),
    ],
)
def test_words_and_filters_choose_methods(arguments, names):
    """Told for the methods of the KID paper; what joins them may be chosen too."""
    chosen = [method["name"] for method in json.loads(run("--json", *arguments).stdout)]
    assert [name for name in chosen if name in OF_THE_PAPER] == names
    table = run(*arguments).stdout
    assert all(re.search(rf"^{name} ", table, re.MULTILINE) for name in names)
    assert not any(re.search(rf"^{name} ", table, re.MULTILINE) for name in set(METHODS) - set(chosen))


class TestNoneLeft:
    def test_is_told_and_there_is_no_table(self):
        done = run("nothing like it")
        assert (done.stdout, done.stderr) == ("", "no installed method is such a one\n")
        assert json.loads(run("--json", "nothing like it").stdout) == []

    def test_the_folder_of_a_run_is_no_word(self, tmp_path):
        assert f"--results {tmp_path} shows what it has measured" in run(str(tmp_path)).stderr


def test_json_holds_the_same():
    methods = {method["name"]: method for method in json.loads(run("--json").stdout)}
    assert set(METHODS) <= set(methods)
    assert methods["kid"] == {
        "name": "kid",
        "summary": methods["kid"]["summary"],
        "paper": "Zhong et al. 2024, Learning from Imperfect Data (arXiv 2410.11371)",
        "year": 2024,
        "training_data": "imperfect: masked, predicted, rewritten",
        "sources": ["imperfect"],
        "on_policy": False,
        "divergence": "KL(q‖p)",
        "aux_loss": "MLE on y",
        "cost": {"student": 2, "student_no_grad": 1, "teacher": 1, "generation": 0},
        "uses_teacher": True,
        "package": "kdzoo",
        "version": "0.1.0",
        "hooks": ["make_training_sequence", "divergence", "aux_loss"],
        "options": methods["kid"]["options"],
    }
    assert [option["name"] for option in methods["imitkd"]["options"]] == [
        "schedule",
        "constant",
        "base",
        "mix",
        "temperature",
    ]
    assert methods["fdistill"]["sources"] == ["student", "teacher"]
    assert (methods["gkd"]["year"], methods["gkd"]["on_policy"]) == (2024, True)
    assert methods["sft"]["uses_teacher"] is False
    assert methods["gkd"]["cost"]["generation"] == 1
    assert methods["imitkd"]["cost"]["generation"] == 0.5


def test_a_pipe_gets_whole_lines_without_colours(zoo):
    (line,) = (line for line in run().stdout.splitlines() if line.startswith("longwinded"))
    assert line.startswith("longwinded  [bold]Nobody[/bold] 2020  sequences sequences")
    assert "and no more" in line
    assert line.endswith("1.5     2     3  0.25  long-package 4.5.6")
    assert "\x1b" not in run().stdout


def test_a_narrow_terminal_gets_narrow_lines_with_everything(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    lines = run().stdout.splitlines()
    assert max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in lines) <= 80
    text = " ".join(lines)
    for part in ("JSD(beta)", "student-generated", "gen.", "Agarwal"):
        assert part in text


@pytest.fixture
def many(monkeypatch):
    """A zoo of 27 methods with names of nine letters."""
    texts = ("ground truth (or student-generated)", "TVD (or KL(p‖q), KL(q‖p), JS)", "- (or MLE on y)")
    plugins = {}
    for number in range(27):
        cost = StepCost(2, 0.25, 1.75, (0, 0.5, 1)[number % 3])
        paper = f"Wissemann et al. {2000 + number}, A title (arXiv 2410.11371)"
        method = Method(f"distill{number:02}", "A method of a test.", paper, *texts, cost)
        package = "kdzoo" if number else "long-package-of-another"
        plugins[method.name] = Plugin(method, types.ModuleType(method.name), package, "4.5.6")
    monkeypatch.setattr(list_methods, "discover", lambda: Zoo(plugins, []))


@pytest.mark.parametrize("width", [80, 100, 150])
def test_a_terminal_shows_all_of_many_methods_in_its_width(many, monkeypatch, width):
    for name, value in (("COLUMNS", str(width)), ("FORCE_COLOR", "1"), ("TERM", "xterm")):
        monkeypatch.setenv(name, value)
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in run().stdout.splitlines()]
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    for number in range(27):
        assert re.search(
            rf"^distill{number:02} .* 2 +0\.25 +1\.75 +{('0', '0.5', '1')[number % 3]}", text, re.M
        )
        assert str(2000 + number) in text
    assert len(lines) <= 5 * 27
    package = "long-package-of-another 4.5.6"
    told = package if width == 150 else f"From other packages: distill00 ({package})"
    assert told in " ".join(" ".join(lines).split())
    assert "…" not in text
    assert text.count("student-generated)") == 27


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
        (kid,) = (" ".join(line.split()) for line in lines if line.startswith("kid "))
        assert kid == (
            "kid Zhong et al. 2024 imperfect: masked, predicted, rewritten KL(q‖p) MLE on y 2 1 1 0 kdzoo 0.1.0 "
            "100.0% [34.2, 100.0] 1.50 -"
        )
        (rkd,) = (line for line in lines if line.startswith("rkd "))
        assert rkd.endswith("kdzoo 0.1.0")

    def test_it_is_chosen_with_its_methods(self, tmp_path):
        folders = [str(MadeRun([SFT, KID, EVALUATE], ANSWERS, COSTS).write(tmp_path / n)) for n in "ab"]
        methods = json.loads(run("imperfect", "--no-teacher", "--results", *folders, "--json").stdout)
        assert [(method["name"], len(method["measured"])) for method in methods] == [("sft", 2)]

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

    def test_the_option_needs_a_run(self):
        done = CliRunner().invoke(list_methods.command, ["--results"])
        assert done.exit_code == 2
        assert "'--results' requires an argument" in done.output


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
