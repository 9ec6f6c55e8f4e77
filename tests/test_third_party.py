"""A method in a package of its own, as CONTRIBUTING.md shows it: found, shown, checked, and run from a recipe."""

from __future__ import annotations

import importlib
import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
import torch
from outside_package import install_project
from rich.console import Console

from kdzoo.cli import main
from kdzoo.errors import UserError
from kdzoo.methods import registry
from kdzoo.recipe import load_recipe
from kdzoo.report.progress import Reporter
from kdzoo.runs import fingerprints, pipeline
from kdzoo.testing import check_method

PAGE = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")

RECIPE = """\
[data]
kind = "embedded"
questions = 60
test_questions = 10
databases = 2
[tokenizer]
train = { vocab_size = 600 }
[teacher]
from_scratch = { architecture = "llama", hidden_size = 32, intermediate_size = 64, num_hidden_layers = 2, num_attention_heads = 4 }
[student]
from_scratch = { architecture = "llama", hidden_size = 32, intermediate_size = 64, num_hidden_layers = 2, num_attention_heads = 4 }
[training]
max_steps = 2
batch_size = 8
input_limit = 512
[[stage]]
kind = "finetune"
[[stage]]
kind = "distill"
method = "bothkl"
options = { forward_share = 0.25 }
[[stage]]
kind = "evaluate"
models = ["bothkl"]
"""


def block(language: str, mark: str) -> str:
    """The one code block of that language on the page that holds ``mark``, as it stands there."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    (found,) = (text for text in blocks if mark in text)
    return found


def install(
    site: Path, modules: dict[str, str], entry_points: dict[str, str], package: str = "outside"
) -> None:
    """Put a package where an installer would put it: its modules, and what its metadata says of its entry points."""
    for name, source in modules.items():
        (site / f"{name}.py").write_text(source, encoding="utf-8")
    info = site / f"{package}-1.2.3.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2.3\n")
    lines = [f"{name} = {module}" for name, module in entry_points.items()]
    (info / "entry_points.txt").write_text("\n".join(["[kdzoo]", *lines, ""]))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that is searched for packages like site-packages, for as long as the test runs."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    registry.discover.cache_clear()
    yield site
    registry.discover.cache_clear()
    for name in [name for name in sys.modules if (site / f"{name}.py").is_file()]:
        del sys.modules[name]


@pytest.fixture
def documented(site: Path) -> Path:
    """The package of CONTRIBUTING.md, installed."""
    source = block("python", "@hookimpl")
    module = re.match(r"# (\w+)\.py\n", source)
    assert module is not None
    project = tomllib.loads(block("toml", "entry-points"))["project"]
    install(site, {module[1]: source}, project["entry-points"]["kdzoo"])
    importlib.invalidate_caches()
    return site / f"{module[1]}.py"


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "outside.toml"
    path.write_text(RECIPE)
    return path


class TestTheDocumentedMethod:
    def test_it_is_listed_and_shown_beside_the_built_in_ones(self, documented: Path) -> None:
        def kdzoo(*arguments: str) -> str:
            code = "import sys; sys.path.append(sys.argv.pop(1)); from kdzoo.cli import main; main()"
            command = [sys.executable, "-c", code, str(documented.parent), *arguments]
            done = subprocess.run(command, check=True, capture_output=True, encoding="utf-8")
            assert done.stderr == ""
            return done.stdout

        methods = {method["name"]: method for method in json.loads(kdzoo("list", "--json"))}
        assert {"sft", "fkd", "rkd", "fdistill", "imitkd", "gkd", "kid", "bothkl"} <= set(methods)
        assert (methods["bothkl"]["package"], methods["bothkl"]["version"]) == ("outside", "1.2.3")
        text = kdzoo("show", "bothkl")
        assert "bothkl: A mixture of forward and reverse KL on the ground truth." in text
        assert "  forward_share = 0.5  (number >= 0 and <= 1)\n" in text

    def test_it_keeps_the_rules_that_the_page_promises_are_checked(self, documented: Path) -> None:
        check_method("bothkl")

    def test_it_computes_what_the_page_says(self, documented: Path) -> None:
        plugin = registry.find("bothkl")
        student, teacher = torch.randn(
            2, 5, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
        )
        losses = registry.hooks_of(plugin).divergence(
            student_logits=student,
            teacher_logits=teacher,
            tokens=None,
            step=None,
            options=plugin.method.options(forward_share=0.25),
        )
        q, p = student.softmax(-1), teacher.softmax(-1)
        mixture = 0.25 * (p * (p / q).log()).sum(-1) + 0.75 * (q * (q / p).log()).sum(-1)
        torch.testing.assert_close(losses.double(), mixture, rtol=1e-5, atol=1e-6)

    def test_it_runs_from_a_recipe(self, documented: Path, recipe: Path, tmp_path: Path) -> None:
        printed = StringIO()
        loaded = load_recipe(recipe)
        run = pipeline.run(loaded, tmp_path / "runs", Reporter(Console(file=printed, width=200)))
        record = json.loads((run.stage("bothkl") / "stage.json").read_text())
        assert (record["results"]["method"], record["results"]["steps"]) == ("bothkl", 2)
        assert 'method = "bothkl"' in (run.path / "recipe.toml").read_text()
        assert re.search(r"^bothkl +[\d,]+ ", printed.getvalue(), re.MULTILINE)

    def test_an_option_that_it_does_not_have_is_refused(self, documented: Path, recipe: Path) -> None:
        with pytest.raises(UserError, match="unknown option of method bothkl"):
            load_recipe(recipe, ["bothkl.options.mle_weight=7"])

    def test_a_recipe_s_typo_in_its_options_is_told(self, documented: Path, recipe: Path) -> None:
        with pytest.raises(
            UserError, match=r'unknown option of method bothkl; did you mean "forward_share"\?'
        ):
            load_recipe(recipe, ["bothkl.options.forward_shar=1"])

    def test_a_change_of_its_code_is_noticed_although_its_version_stays(
        self, documented: Path, recipe: Path
    ) -> None:
        loaded = load_recipe(recipe)
        before = fingerprints.of_stages(loaded)
        documented.write_text(documented.read_text().replace("* forward +", "* 2 * forward +"))
        after = fingerprints.of_stages(loaded)
        assert after["finetune"] == before["finetune"]
        assert after["bothkl"] != before["bothkl"]
        assert after["evaluate"] != before["evaluate"]


class TestTheFirstCommands:
    """What the page's first lines say, run as they stand; pip is the one part that is played."""

    def test_write_install_and_check_a_method(
        self, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.chdir(tmp_path)
        lines = re.search(r"own package\n\n((?:    .+\n)+)", PAGE)
        assert lines is not None
        commands = [shlex.split(line) for line in lines[1].splitlines()]
        assert [command[0] for command in commands] == ["kdzoo", "cd", "pip", "kdzoo"]
        for command in commands:
            if command[0] == "cd":
                monkeypatch.chdir(command[1])
            elif command[0] == "pip":
                assert command[1:] == ["install", "-e", "."]
                install_project(site, Path())
            else:
                monkeypatch.setattr(sys, "argv", command)
                main()
        assert re.search(r"^mine: \d+ passed, \d+ do not apply$", capsys.readouterr().out, re.MULTILINE)

    def test_a_method_that_means_to_break_a_rule_says_so_as_the_page_does(self, documented: Path) -> None:
        declared = re.search(r"`Method\((expected_failed_checks=\{.*?\}), \.\.\.\)`", PAGE)
        assert declared is not None
        source = documented.read_text().replace('name="bothkl",', f'name="bothkl", {declared[1]},')
        documented.write_text(source)
        with pytest.raises(AssertionError, match="is declared in expected_failed_checks, but it passes"):
            check_method("bothkl")
        penalty = source.replace("return options.forward_share *", "return -options.forward_share *")
        documented.write_text(penalty)
        sys.modules.pop(documented.stem)
        registry.discover.cache_clear()
        check_method("bothkl")


class TestAnOptionThatDoesNothing:
    """WeightedOptions on the documented method, which has no aux_loss for one of the weights."""

    @pytest.fixture
    def idle(self, site: Path) -> Path:
        source = block("python", "@hookimpl")
        source = source.replace("options=BothKLOptions", "options=WeightedOptions")
        source = source.replace("options.forward_share", "options.kd_weight").replace(
            "StepCost,", "StepCost, WeightedOptions,"
        )
        install(site, {"idle": source}, {"bothkl": "idle"}, package="idle")
        importlib.invalidate_caches()
        return site

    def test_is_an_error_to_check_method(self, idle: Path) -> None:
        with pytest.raises(AssertionError, match="bothkl: no hook reads the options mle_weight: "):
            check_method("bothkl", {"mle_weight": 7})

    def test_is_told_by_the_run(self, idle: Path, recipe: Path, tmp_path: Path) -> None:
        printed = StringIO()
        loaded = load_recipe(recipe, ["bothkl.options={ kd_weight = 0.5, mle_weight = 7 }"])
        pipeline.run(loaded, tmp_path / "runs", Reporter(Console(file=printed, width=200)))
        assert [line for line in printed.getvalue().splitlines() if "nothing" in line] == [
            "bothkl: mle_weight = 7.0 changed nothing in 2 steps: the method does not use it with these options"
        ]


class TestABrokenOne:
    def test_recipes_of_other_methods_run_on(self, site: Path, recipe: Path) -> None:
        install(site, {"outside_broken": "import no_such_module"}, {"bothkl": "outside_broken"})
        loaded = load_recipe(recipe, ["bothkl.method=kid", "bothkl.options={}"])
        assert loaded.stages[1].method == "kid"

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            (("import Method", "import NoSuchName, Method"), "cannot import name 'NoSuchName'"),
            (("student_logits, teacher_logits, options):", "student, teacher, options):"), "student"),
            (('name="bothkl"', 'name="both_kl"'), "the entry point is named 'bothkl', its method 'both_kl'"),
            (("@hookimpl\ndef register_method", "def register_method"), "register_method"),
        ],
        ids=["import", "arguments", "name", "not marked"],
    )
    def test_a_recipe_that_names_it_is_told_why(
        self, site: Path, recipe: Path, change: tuple[str, str], reason: str
    ) -> None:
        source = block("python", "@hookimpl")
        assert change[0] in source
        install(site, {"outside_broken": source.replace(*change)}, {"bothkl": "outside_broken"})
        with pytest.raises(UserError) as caught:
            load_recipe(recipe)
        message = str(caught.value)
        assert message.startswith(
            f"{recipe}:20: stage \"bothkl\": method: method 'bothkl' (package outside) cannot be loaded: "
        )
        assert reason in message


def test_the_page_names_files_that_are_there() -> None:
    root = Path(__file__).parents[1]
    links: list[str] = re.findall(r"\]\(([^)]+)\)", PAGE)
    assert links
    assert [link for link in links if "://" not in link and not (root / link).exists()] == []
