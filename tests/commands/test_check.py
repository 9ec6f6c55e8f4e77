"""``kdzoo check`` tells of every rule whether a plugin keeps it."""

from __future__ import annotations

import json
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from broken_methods import aux_loss, described, divergence, module
from outside_package import install, look_again

from kdzoo import divergences
from kdzoo.methods import registry

Kdzoo = Callable[..., Any]

RESTS = "divergence_is_smallest_at_the_teacher"


@pytest.fixture
def install_method(monkeypatch: pytest.MonkeyPatch) -> Callable[[types.ModuleType], None]:
    """Let a module be the one installed method, named "mine"."""

    def install_method(made: types.ModuleType) -> None:
        zoo = registry.Zoo({"mine": registry.plugin_of(made)}, [])
        for where in ("kdzoo.methods.registry", "kdzoo.testing.checks"):
            monkeypatch.setattr(f"{where}.discover", lambda: zoo)

    return install_method


def lines_by_name(out: str) -> dict[str, str]:
    """Each check's outcome, by its name."""
    return {line[18:].split(":")[0]: line[:16].strip() for line in out.splitlines() if line[16:18] == "  "}


class TestAMethod:
    def test_that_keeps_the_rules_has_a_line_for_each_and_a_summary(self, kdzoo: Kdzoo) -> None:
        done = kdzoo("check", "sft")
        assert (done.code, done.err) == (0, "")
        *lines, last = done.out.splitlines()
        assert all(line.startswith(("passed  ", "does not apply  ")) for line in lines)
        counts = [sum(line.startswith(what) for line in lines) for what in ("passed", "does not apply")]
        assert last == f"sft: {counts[0]} passed, {counts[1]} do not apply"

    def test_that_breaks_one_is_told_why_and_what_could_not_be_tried(
        self, kdzoo: Kdzoo, install_method: Callable[[types.ModuleType], None]
    ) -> None:
        def aux_loss(step: Any) -> float:
            return 0.5

        install_method(module(divergence, aux_loss))
        done = kdzoo("check", "mine")
        assert done.code == 1
        outcomes = lines_by_name(done.out)
        assert outcomes["aux_loss_gives_a_tensor_or_none"] == "failed"
        assert outcomes["aux_loss_is_finite"] == "not run"
        assert "aux_loss_gives_a_tensor_or_none: mine: aux_loss must give a tensor" in done.out
        assert "aux_loss_is_finite: it needs aux_loss_is_one_number, which did not pass\n" in done.out
        assert done.out.splitlines()[-1].startswith("mine: ")
        assert "1 failed, 5 not run" in done.out.splitlines()[-1]

    def test_that_means_to_break_one_does_not_fail(
        self, kdzoo: Kdzoo, install_method: Callable[[types.ModuleType], None]
    ) -> None:
        def penalty(student_logits: Any) -> Any:
            return divergences.entropy(student_logits)

        penalty.__name__ = "divergence"
        install_method(module(penalty, method=described(expected_failed_checks={RESTS: "A penalty."})))
        done = kdzoo("check", "mine")
        assert done.code == 0
        assert lines_by_name(done.out)[RESTS] == "expected failure"
        assert f"{RESTS}: A penalty. (mine: divergence is not smallest" in done.out
        assert ", 1 expected failure, " in done.out.splitlines()[-1]

    def test_that_no_longer_breaks_it_fails(
        self, kdzoo: Kdzoo, install_method: Callable[[types.ModuleType], None]
    ) -> None:
        install_method(
            module(divergence, aux_loss, method=described(expected_failed_checks={RESTS: "Once."}))
        )
        done = kdzoo("check", "mine")
        assert done.code == 1
        assert f"failed            {RESTS}: is declared in expected_failed_checks, but it passes" in done.out

    def test_json_holds_the_same(self, kdzoo: Kdzoo) -> None:
        done = kdzoo("check", "kid", "--json", "--options", "alpha=0.5", "strategy=hard")
        content = json.loads(done.out)
        assert done.code == 0
        assert (content["method"], content["failed"]) == ("kid", False)
        assert content["options"] == {"alpha": 0.5, "strategy": "hard"}
        assert {check["outcome"] for check in content["checks"]} == {"passed", "does not apply"}
        assert all(check["name"] and check["reason"] for check in content["checks"])

    def test_that_cannot_be_loaded_has_failed(self, kdzoo: Kdzoo, site: Path) -> None:
        install(
            site,
            "outside",
            {"outside_broken": "import no_such_module"},
            {"kdzoo": {"hopeless": "outside_broken"}},
        )
        done = kdzoo("check", "hopeless")
        assert done.code == 1
        first = done.out.splitlines()[0]
        assert first.startswith(
            "failed            plugin_can_be_read: method 'hopeless' (package outside) cannot be loaded"
        )
        assert "No module named 'no_such_module'" in first


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    look_again()


class TestDatasetsAndMetrics:
    @pytest.fixture
    def data(self, tmp_path: Path) -> Path:
        lines = [json.dumps({"prompt": f"say {n}", "target": f"{n}"}) for n in range(3)]
        (tmp_path / "d.jsonl").write_text("\n".join(lines))
        return tmp_path / "d.jsonl"

    def test_a_dataset_is_checked_with_the_keys_of_its_table(self, kdzoo: Kdzoo, data: Path) -> None:
        done = kdzoo("check", "--dataset", "jsonl", "--options", f"train={data}", f"evaluation={data}")
        assert (done.code, set(lines_by_name(done.out).values())) == (0, {"passed"})
        assert done.out.splitlines()[-1] == "jsonl: 17 passed"

    def test_a_metric_is_checked_on_texts_or_on_a_dataset_s(self, kdzoo: Kdzoo, data: Path) -> None:
        assert kdzoo("check", "--metric", "rouge_l").out.splitlines()[-1] == "rouge_l: 15 passed"
        done = kdzoo("check", "--metric", "rouge_l", "--dataset", "jsonl", "--options", f"evaluation={data}")
        assert done.out.splitlines()[-1] == "rouge_l: 15 passed"

    @pytest.mark.parametrize("what", ["dataset", "metric"])
    def test_one_that_cannot_be_loaded_has_failed(self, kdzoo: Kdzoo, site: Path, what: str) -> None:
        groups = {f"kdzoo.{what}s": {"hopeless": "outside_broken:IT"}}
        install(site, "outside", {"outside_broken": "import no_such_module"}, groups)
        done = kdzoo("check", f"--{what}", "hopeless")
        assert done.code == 1
        first, second, *_ = done.out.splitlines()
        assert first.startswith(
            f"failed            plugin_can_be_read: {what} 'hopeless' (package outside) cannot"
        )
        assert second.endswith("it needs plugin_can_be_read, which did not pass")

    def test_one_that_needs_more_than_texts_is_told_how_to_have_it(self, kdzoo: Kdzoo) -> None:
        done = kdzoo("check", "--metric", "ex")
        assert done.code == 1
        assert "--dataset gives it a dataset's examples" in done.err


class TestUsage:
    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (["kidd"], "no method 'kidd' is installed; did you mean \"kid\"?"),
            ([], "name a METHOD, or a dataset by --dataset, or a metric by --metric"),
            (["kid", "--metric", "ex"], "name a METHOD, or a dataset"),
            (["kid", "--options", "alpha"], "--options alpha: write KEY=VALUE"),
            (
                ["--options", "alpha=1", "kid"],
                "--options kid: write KEY=VALUE; METHOD stands before --options",
            ),
            (
                ["kid", "--options", "alpah=1", "strategy=nice"],
                '--options: alpah: unknown option of method kid; did you mean "alpha"?',
            ),
            (
                ["kid", "--options", "alpha=2"],
                "--options: alpha: must be greater than 0 and at most 1, not 2",
            ),
            (["--dataset", "jsnl"], 'did you mean "jsonl"?'),
            (["--dataset", "jsonl", "--options", "trian=a"], "trian: unknown key of dataset jsonl"),
            (["--dataset", "jsonl", "--options", "train=none"], "dataset jsonl: train: there is no none"),
            (["--metric", "exact"], "no metric 'exact' is installed"),
            (["--metric", "ex", "--options", "a=1"], "name it by --dataset"),
            (["--metric", "ex", "--dataset", "jsonl", "--options", "train=none"], "there is no none"),
        ],
    )
    def test_a_mistake_is_told_and_the_exit_code_is_2(
        self, kdzoo: Kdzoo, arguments: list[str], words: str
    ) -> None:
        done = kdzoo("check", *arguments)
        assert (done.code, done.out) == (2, "")
        assert words in done.err


def test_a_mistake_is_told_before_torch_is_imported() -> None:
    code = (
        "import sys; from kdzoo.cli import main\n"
        "sys.argv = ['kdzoo', 'check', 'kid', '--options', 'alpha=2']\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert end.code == 2\n"
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
