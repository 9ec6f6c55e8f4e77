"""One process at a time has a lock; another one waits, and goes on when the first has ended."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kdzoo.runs.interruption import Interrupted, Interruption
from kdzoo.runs.process_lock import holder_of, process_lock

HOLDER = """
import sys
from pathlib import Path
from kdzoo.runs.process_lock import process_lock
with process_lock(Path(sys.argv[1]), print):
    print("has it", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the lock "print-1"."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "locks/print-1")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "has it\n"
    yield process
    process.kill()
    process.communicate()


def ends_it_later(process: subprocess.Popen[str], number: int | None) -> Callable[[str], None]:
    """What to do when this process says that it waits: let the other one end a little later."""

    def end() -> None:
        time.sleep(0.2)
        if number is None:
            process.communicate("\n")
        else:
            process.send_signal(number)

    return lambda _: threading.Thread(target=end).start()


def test_nobody_waits_for_what_no_other_has(tmp_path: Path) -> None:
    for _ in range(2):
        with process_lock(tmp_path / "new/locks/print-1", pytest.fail):
            pass


@pytest.mark.parametrize("number", [None, signal.SIGKILL], ids=["it ends", "it is killed"])
def test_a_second_process_says_for_whom_it_waits_and_begins_after_it(
    tmp_path: Path, holder: subprocess.Popen[str], number: int | None
) -> None:
    waited_for: list[str] = []
    ends = ends_it_later(holder, number)
    with process_lock(tmp_path / "locks/print-1", lambda pid: (waited_for.append(pid), ends(pid))[0]):
        assert holder.wait(1) == (0 if number is None else -number)
        assert (tmp_path / "locks/print-1").read_text() == str(os.getpid())
    assert waited_for == [str(holder.pid)]


def test_other_locks_are_free(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    with process_lock(tmp_path / "locks/print-2", pytest.fail):
        assert holder.poll() is None


def test_who_waits_can_be_interrupted(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    def interrupt(_: str) -> None:
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()

    with (
        pytest.raises(Interrupted),
        Interruption().handled(),
        process_lock(tmp_path / "locks/print-1", interrupt),
    ):
        pytest.fail("the other process has it")
    assert holder.poll() is None


def test_on_a_file_system_without_locks_nobody_waits(
    tmp_path: Path, holder: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", none)
    with process_lock(tmp_path / "locks/print-1", pytest.fail):
        assert holder.poll() is None


def test_who_has_it_can_be_asked_and_that_takes_it_from_nobody(
    tmp_path: Path, holder: subprocess.Popen[str]
) -> None:
    lock = tmp_path / "locks/print-1"
    assert holder_of(lock) == holder_of(lock) == str(holder.pid)
    holder.communicate("\n")
    assert holder_of(lock) is None
    assert holder_of(tmp_path / "locks/print-2") is None
    assert not (tmp_path / "locks/print-2").exists()


def test_asking_makes_nobody_wait(tmp_path: Path) -> None:
    """Who asks has a share of the lock for a moment; here for as long as it takes to be noticed."""
    lock = tmp_path / "lock"
    lock.touch()
    code = (
        "import fcntl, sys, time\nheld = open(sys.argv[1])\nfcntl.lockf(held.fileno(), fcntl.LOCK_SH)\n"
        "print(flush=True)\nsys.stdin.readline()\n"
    )
    command = [sys.executable, "-c", code, str(lock)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as asking:
        assert asking.stdout is not None
        assert asking.stdin is not None
        asking.stdout.readline()
        pause = time.sleep

        def ends(seconds: float) -> None:
            asking.communicate("\n")
            pause(seconds)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("kdzoo.runs.process_lock.time.sleep", ends)
            with process_lock(lock, pytest.fail):
                assert lock.read_text() == str(os.getpid())
