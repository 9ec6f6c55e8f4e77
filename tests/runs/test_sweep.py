"""A sweep as a whole: its folder, what it notes there, and members that fail."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from kdzoo.errors import RunError, UserError
from kdzoo.recipe import Member, load_sweep
from kdzoo.report.progress import Reporter
from kdzoo.runs.interruption import Interrupted
from kdzoo.runs.sweep import Failure, Plan, run_in_turn, tell_end

RECIPE = """\
name = "r"
[data]
kind = "embedded"
[tokenizer]
train = { vocab_size = 500 }
[teacher]
from_scratch = { architecture = "llama", hidden_size = 64 }
[student]
from_scratch = { architecture = "llama", hidden_size = 32 }
[[stage]]
kind = "finetune"
[[stage]]
kind = "distill"
method = "kid"
[sweep]
student_seed = [1, 2]
kid.options.alpha = [0.1, 0.3]
"""

MakePlan = Callable[..., Plan]


@pytest.fixture
def plan(tmp_path: Path) -> MakePlan:
    def plan(text: str = RECIPE, *overrides: str) -> Plan:
        (tmp_path / "r.toml").write_text(text)
        return Plan.of(load_sweep(tmp_path / "r.toml", overrides), tmp_path / "runs")

    return plan


@pytest.fixture
def printed() -> StringIO:
    return StringIO()


@pytest.fixture
def reporter(printed: StringIO) -> Reporter:
    return Reporter(Console(file=printed, width=60))


class TestPlan:
    def test_each_member_has_a_run_of_its_own(self, plan: MakePlan, tmp_path: Path) -> None:
        made = plan()
        assert len({planned.run for planned in made.members}) == 4
        assert {planned.run.parent for planned in made.members} == {tmp_path / "runs"}
        assert len({planned.prints["finetune"] for planned in made.members}) == 1
        assert len({planned.prints["kid"] for planned in made.members}) == 4

    def test_the_same_sweep_has_the_same_folder_and_another_one_another(self, plan: MakePlan) -> None:
        assert plan().folder == plan().folder
        assert plan().folder.name.startswith("r-sweep-")
        others = [plan(RECIPE, "seed=3"), plan(RECIPE.replace("0.3", "0.4")), plan(RECIPE, "student_seed=1")]
        assert len({other.folder for other in [plan(), *others]}) == 4

    def test_it_is_noted_with_each_member_s_values_and_run(self, plan: MakePlan) -> None:
        made = plan()
        made.write()
        note = json.loads((made.folder / "sweep.json").read_text())
        assert (note["recipe"], note["keys"]) == ("r", ["student_seed", "kid.options.alpha"])
        values = [{"student_seed": s, "kid.options.alpha": a} for s in (1, 2) for a in (0.1, 0.3)]
        assert [member["values"] for member in note["members"]] == values
        for member, planned in zip(note["members"], made.members, strict=True):
            assert (made.folder / member["run"]).resolve() == planned.run

    def test_dates_are_noted_as_text(self, plan: MakePlan) -> None:
        made = plan(
            RECIPE.replace("student_seed = [1, 2]", "kid.options.mask_token = [2026-01-01, 12:30:00]")
        )
        made.write()
        note = json.loads((made.folder / "sweep.json").read_text())
        assert note["members"][0]["values"]["kid.options.mask_token"] == "2026-01-01"

    def test_members_that_differ_in_nothing_that_counts_are_one_run(self, plan: MakePlan) -> None:
        made = plan(RECIPE.replace("student_seed", "threads"))
        assert len(made.members) == 4
        values = [planned.member.values for planned in made.runs]
        assert values == [{"threads": 1, "kid.options.alpha": alpha} for alpha in (0.1, 0.3)]

    def test_a_folder_that_cannot_be_written(self, plan: MakePlan, tmp_path: Path) -> None:
        made = plan()
        (tmp_path / "runs").touch()
        with pytest.raises(RunError, match=r"^cannot write below .*/runs/r-sweep-\w{8}: "):
            made.write()


class TestOneAfterTheOther:
    def test_in_the_order_of_the_grid_each_under_its_values(
        self, plan: MakePlan, reporter: Reporter, printed: StringIO
    ) -> None:
        done: list[Member] = []
        made = plan()
        assert run_in_turn(made, done.append, reporter) == []
        assert done == [planned.member for planned in made.members]
        assert printed.getvalue().splitlines()[1] == "student_seed=1 alpha=0.3 (2 of 4)"

    def test_one_that_fails_does_not_stop_the_others(
        self, plan: MakePlan, reporter: Reporter, capsys: pytest.CaptureFixture[str]
    ) -> None:
        done = []

        def run(member: Member) -> None:
            if member.values == {"student_seed": 1, "kid.options.alpha": 0.3}:
                raise UserError("it went wrong")
            if member.values == {"student_seed": 2, "kid.options.alpha": 0.1}:
                raise ZeroDivisionError
            done.append(member.label)

        failures = run_in_turn(plan(), run, reporter)
        assert done == ["student_seed=1 alpha=0.1", "student_seed=2 alpha=0.3"]
        assert [failure.label for failure in failures] == [
            "student_seed=1 alpha=0.3",
            "student_seed=2 alpha=0.1",
        ]
        told = capsys.readouterr().err
        assert told.startswith("kdzoo: student_seed=1 alpha=0.3: it went wrong\n")
        assert "Traceback" in told  # a mistake of ours is told as one

    def test_an_interruption_stops_them_all(self, plan: MakePlan, reporter: Reporter) -> None:
        done = []

        def run(member: Member) -> None:
            done.append(member)
            raise Interrupted(2)

        with pytest.raises(Interrupted):
            run_in_turn(plan(), run, reporter)
        assert len(done) == 1


class TestTheEnd:
    def test_says_what_to_do_next(self, plan: MakePlan, reporter: Reporter, printed: StringIO) -> None:
        made = plan()
        tell_end(made, [], reporter)
        assert printed.getvalue().splitlines() == [
            f"results: {made.folder}",
            f"next: kdzoo compare {made.folder} --html {made.folder}/page.html",
        ]

    def test_tells_who_failed_and_why(self, plan: MakePlan, reporter: Reporter, printed: StringIO) -> None:
        with pytest.raises(RunError) as caught:
            tell_end(
                plan(), [Failure("alpha=0.1", "out of memory"), Failure("alpha=0.3", "no disk")], reporter
            )
        assert str(caught.value).split("\n") == [
            "2 of 4 members failed:",
            "alpha=0.1: out of memory",
            "alpha=0.3: no disk",
        ]
        assert caught.value.exit_code == 1
        assert "next:" in printed.getvalue()

    def test_offers_no_comparison_of_nothing(
        self, plan: MakePlan, reporter: Reporter, printed: StringIO
    ) -> None:
        with pytest.raises(RunError):
            tell_end(plan(), [Failure("x", "y")] * 4, reporter)
        assert "next:" not in printed.getvalue()
