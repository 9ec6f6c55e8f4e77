"""Worker processes that may crash, hang or be killed without harm to anyone else."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from kdzoo.errors import RunError
from kdzoo.tasks.sql.execute import TIMEOUT
from kdzoo.tasks.sql.request import Answer, Request
from kdzoo.tasks.sql.timers import GOLD_SIGNALS, PREDICTION_SIGNALS

# A worker stops its statements itself, by its CPU time. It is killed when it has not answered after so many
# times as long as that takes: not even a machine that is used by a hundred others makes it so slow.
_MOST_SLOWDOWN = 100.0
_GRACE_SECONDS = 5.0
_SECONDS_TO_START = 60.0
_MOST_STARTS = 50
_MOST_FAILURES = 3


class WorkerDiedError(Exception):
    """The worker ended, for no fault of its own, before it answered."""


class Worker:
    """One worker process, started when it is first needed and again whenever it has gone."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False
        self._number = 0
        self._received = b""

    @property
    def pid(self) -> int | None:
        """The process's number while it runs. The child of it that runs the statements has one of its own."""
        return None if self._process is None else self._process.pid

    def ask(self, request: Request) -> Answer:
        """Send a request and wait for the answer.

        Raises:
            WorkerDiedError: the process ended, or did not answer and was killed.
            RunError: no worker can be started.
        """
        process = self._running()
        self._number += 1
        # reading the two texts; then, for each database, the two runs and what is made of their rows
        limits = request.limits
        most = 2 * limits.seconds + 2 * (2 * limits.seconds + limits.reading_seconds) * len(request.databases)
        deadline = time.monotonic() + _MOST_SLOWDOWN * most + _GRACE_SECONDS
        try:
            _send(process, {"number": self._number, **request.as_json()})
            while True:
                message = self._receive(process, deadline)
                if "died" in message:
                    return _answer_of_death(message["died"])
                if message.pop("number", None) == self._number:
                    return Answer.from_json(message)
        except (OSError, TimeoutError, EOFError, ValueError):  # half an answer is none
            self.stop()
            raise WorkerDiedError from None

    def stop(self) -> None:
        """Kill the process and its child, if there are any."""
        process, self._process = self._process, None
        self._received = b""
        if process is None:
            return
        # of a process that has been waited for, the number may be another's by now
        if process.poll() is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                try:
                    stream.close()
                except OSError:
                    continue  # unsent bytes of a broken pipe

    def close(self) -> None:
        """Kill the process and start none again."""
        self._closed = True
        self.stop()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._closed:
            raise WorkerDiedError
        if self._process is not None and self._process.poll() is None:
            return self._process
        self.stop()
        process = self._start_until_ready()
        if self._closed:  # meanwhile
            self.stop()
            raise WorkerDiedError
        return process

    def _start_until_ready(self) -> subprocess.Popen[bytes]:
        failures = 0
        for _ in range(_MOST_STARTS):
            with tempfile.TemporaryFile() as complaints:
                process = self._process = _start(complaints)
                try:
                    self._receive(process, time.monotonic() + _SECONDS_TO_START)
                    return process
                except TimeoutError:
                    failures += 1
                except (EOFError, OSError):
                    # that someone kills it says nothing of the next start
                    failures += process.wait() != -signal.SIGKILL
                self.stop()
                complaints.seek(0)
                complaint = complaints.read().decode(errors="replace").strip().rpartition("\n")[2]
            if failures == _MOST_FAILURES:
                break
        raise RunError(f"the sandbox cannot start a worker process: {complaint or 'it gives no reason'}")

    def _receive(self, process: subprocess.Popen[bytes], deadline: float) -> dict[str, Any]:
        """Read one message.

        Raises:
            EOFError: the process has ended.
            TimeoutError: nothing came before the deadline.
        """
        assert process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._received:
                left = deadline - time.monotonic()
                if left <= 0 or not selector.select(left):
                    raise TimeoutError
                part = os.read(process.stdout.fileno(), 1 << 16)
                if not part:
                    raise EOFError
                self._received += part
        line, _, self._received = self._received.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        return message


def _start(complaints: IO[bytes]) -> subprocess.Popen[bytes]:
    package = str(Path(__file__).resolve().parents[3])
    paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.Popen(
        # -P: what lies in the current folder must not stand in for a library
        [sys.executable, "-P", "-m", "kdzoo.tasks.sql.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=complaints,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        start_new_session=True,  # Ctrl-C is the parent's to handle
    )


def _send(process: subprocess.Popen[bytes], message: dict[str, Any]) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(message).encode() + b"\n")
    process.stdin.flush()


def _answer_of_death(number: int) -> Answer:
    """What it means that a worker's child died of a signal.

    Raises:
        WorkerDiedError: it means nothing about the statement.
    """
    if number in PREDICTION_SIGNALS:
        return Answer(False, reason=TIMEOUT, slow=True)
    if number in GOLD_SIGNALS:
        return Answer(False, gold_error=TIMEOUT)
    raise WorkerDiedError
