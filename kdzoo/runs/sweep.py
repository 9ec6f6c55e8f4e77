"""Runs the members of a sweep one after the other, and keeps a note of them beside their runs."""

from __future__ import annotations

import hashlib
import json
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import click

from kdzoo.errors import RunError, UserError
from kdzoo.files import why_not_written, write_json
from kdzoo.recipe import Member, Sweep
from kdzoo.report.progress import Reporter
from kdzoo.runs import fingerprints
from kdzoo.runs.links import check_links
from kdzoo.runs.next_step import how_to_compare
from kdzoo.runs.run_directory import RunDirectory


@dataclass(frozen=True)
class PlannedMember:
    """A member of a sweep, its stages' fingerprints, and the directory that it will fill."""

    member: Member
    prints: dict[str, str]
    run: Path


@dataclass(frozen=True)
class Plan:
    """What a sweep will do below a folder of runs: ``out``."""

    keys: tuple[str, ...]
    members: tuple[PlannedMember, ...]
    out: Path

    @classmethod
    def of(cls, sweep: Sweep, out: Path) -> Plan:
        """Plan a sweep; nothing is written."""
        planned = []
        for member in sweep.members:
            prints = fingerprints.of_stages(member.recipe)
            planned.append(PlannedMember(member, prints, out / fingerprints.run_name(member.recipe, prints)))
        return cls(sweep.keys, tuple(planned), out)

    @property
    def runs(self) -> list[PlannedMember]:
        """The members that are run: of those that differ in nothing that counts (``threads``) the first."""
        runs: dict[Path, PlannedMember] = {}
        for planned in self.members:
            runs.setdefault(planned.run, planned)
        return list(runs.values())

    @cached_property
    def folder(self) -> Path:
        """The folder of the sweep itself, beside its members' runs."""
        described = json.dumps([self.keys, [[p.member.values, p.run.name] for p in self.members]])
        name = self.members[0].member.recipe.name
        return self.out / f"{name}-sweep-{hashlib.sha256(described.encode()).hexdigest()[:8]}"

    def write(self) -> None:
        """Write ``sweep.json``: the swept keys, and each member's values and run.

        Raises:
            RunError: it cannot be written, or a link there leads elsewhere.
        """
        check_links(self.folder, self.out)
        content = {
            "recipe": self.members[0].member.recipe.name,
            "keys": list(self.keys),
            "members": [{"values": p.member.values, "run": f"../{p.run.name}"} for p in self.members],
        }
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_json(self.folder / "sweep.json", content)
        except OSError as error:
            raise RunError(
                f"cannot write below {self.folder}: {why_not_written(error, self.folder)}"
            ) from error

    def ask_anew(self, mark: str) -> None:
        """Let all stages of all members be done anew, those that they have in common once.

        Raises:
            RunError: another process is at work in a member's run.
        """
        for planned in self.runs:
            directory = RunDirectory(planned.run)
            with directory.locked():
                directory.ask_anew(planned.prints, mark)


@dataclass(frozen=True)
class Failure:
    """A member that failed, and why."""

    label: str
    reason: str


def run_in_turn(
    plan: Plan, run: Callable[[Member], object], reporter: Reporter, *, goes_on: bool = True
) -> list[Failure]:
    """Run one member after the other; one that fails is told at once and does not stop the others, if it ``goes_on``.

    Where several processes run them together it cannot: what a failure has left between them nobody knows.
    """
    failures = []
    runs = plan.runs
    for number, planned in enumerate(runs, start=1):
        label = planned.member.label
        # also where all else is quiet: it says whose table follows
        reporter.console.print(
            f"{label} ({number} of {len(runs)})", highlight=False, markup=False, soft_wrap=True
        )
        try:
            run(planned.member)
        except UserError as error:
            if not goes_on:
                raise
            click.echo(f"kdzoo: {label}: {error}", err=True)
            failures.append(Failure(label, str(error)))
        except Exception as error:
            if not goes_on:
                raise
            traceback.print_exc()
            failures.append(Failure(label, repr(error)))
    return failures


def tell_end(plan: Plan, failures: list[Failure], reporter: Reporter) -> None:
    """Say where the results are, and what to do next.

    Raises:
        RunError: members failed.
    """
    reporter.say(f"results: {plan.folder}")
    if len(failures) < len(plan.runs):
        reporter.say(f"next: {how_to_compare(plan.folder)}")
    if failures:
        lines = [f"{failure.label}: {failure.reason}" for failure in failures]
        raise RunError("\n".join([f"{len(failures)} of {len(plan.runs)} members failed:", *lines]))
