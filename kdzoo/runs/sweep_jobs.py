"""Runs several members of a sweep at a time, each in a process of its own."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import click

from kdzoo.recipe import Member
from kdzoo.report.progress import Reporter
from kdzoo.runs.interruption import Interruption
from kdzoo.runs.sweep import Failure, Plan

_PAUSE_SECONDS = 0.1
# what a member has printed is read by then, unless a process that it left behind still holds its output open
_READING_SECONDS = 10.0


@dataclass(frozen=True)
class MemberCommand:
    """How the command line of a sweep becomes that of one member: ``arguments`` are those that both have."""

    recipe: Path
    arguments: tuple[str, ...]

    def of(self, member: Member) -> list[str]:
        """The command line that runs a member, with all swept keys fixed."""
        # what the command line sets itself stands last, and counts
        fixed = [part for setting in member.settings for part in ("--set", setting)]
        # -P: no file in the working directory may stand for a module
        return [sys.executable, "-P", "-m", "kdzoo", "run", str(self.recipe), *fixed, *self.arguments]

    def quoted(self, member: Member) -> str:
        """The same for a shell."""
        return shlex.join(self.of(member))


@dataclass
class _Job:
    label: str
    process: subprocess.Popen[str]
    readers: list[threading.Thread] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def failure(self) -> Failure | None:
        """Why it failed, when it has ended."""
        for reader in self.readers:
            reader.join(_READING_SECONDS)
        code = self.process.returncode
        if code == 0:
            return None
        reasons = [line.removeprefix("kdzoo: ") for line in self.told if line.startswith("kdzoo: ")]
        return Failure(self.label, reasons[-1] if reasons else f"ended with exit code {code}")


def run_side_by_side(
    plan: Plan, command: MemberCommand, jobs: int, reporter: Reporter, interruption: Interruption
) -> list[Failure]:
    """Run so many members at a time; what they print comes with their values before it.

    A signal is passed on to all of them: they end with a checkpoint, and a second one ends them at once.

    Raises:
        Interrupted: a signal has come.
    """
    _tell_of_threads(plan, jobs, reporter)
    waiting = [planned.member for planned in plan.runs]
    running: list[_Job] = []
    failures: list[Failure] = []
    try:
        with interruption.deferred() as stops:
            is_told = False
            while running or (waiting and not is_told):
                if stops() and not is_told:
                    is_told = True
                    _send(running)
                    continue
                while waiting and len(running) < jobs:
                    member = waiting.pop(0)
                    running.append(_start(member.label, command.of(member)))
                for job in [job for job in running if job.process.poll() is not None]:
                    running.remove(job)
                    failure = job.failure()
                    failures += [] if failure is None else [failure]
                time.sleep(_PAUSE_SECONDS)
    finally:
        _send(running)  # nothing is left running by any way out of here
        for job in running:
            job.process.wait()
            job.failure()
    return failures


def _start(label: str, command: Sequence[str]) -> _Job:
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        # a terminal sends Ctrl-C to all processes of its group: each would get it from there and from us
        start_new_session=True,
    )
    job = _Job(label, process)
    for stream, is_error in ((process.stdout, False), (process.stderr, True)):
        assert stream is not None
        reader = threading.Thread(target=_pass_on, args=(job, stream, is_error), daemon=True)
        reader.start()
        job.readers.append(reader)
    return job


def _pass_on(job: _Job, stream: IO[str], is_error: bool) -> None:
    for line in stream:
        text = line.rstrip("\n")
        if is_error and text:
            job.told.append(text)
        if text:
            # who read our output may have gone; what the member prints must still be taken from it
            with suppress(OSError, ValueError):
                click.echo(f"[{job.label}] {text}", err=is_error)


def _send(running: Sequence[_Job]) -> None:
    for job in running:
        if job.process.poll() is None:
            job.process.send_signal(signal.SIGTERM)


def _tell_of_threads(plan: Plan, jobs: int, reporter: Reporter) -> None:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    at_a_time = min(jobs, len(plan.runs))
    threads = max(planned.member.recipe.threads or cores for planned in plan.runs)
    if at_a_time > 1 and at_a_time * threads > cores and threads > 1:
        reporter.say(
            f"{at_a_time} members at a time compute with up to {threads} threads each on {cores} cores: --set threads=1 is "
            "faster for small models"
        )
