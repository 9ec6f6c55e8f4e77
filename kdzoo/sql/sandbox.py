"""Worker processes that may crash, hang or be killed without harm to anyone else."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import time
from dataclasses import asdict
from typing import Any

from kdzoo.sql.limits import Limits

# A worker stops its statements itself; it is killed when it has not answered so long after it should have.
_GRACE_SECONDS = 3.0


class WorkerDied(Exception):
    """The worker ended before it answered."""


class WorkerHung(Exception):
    """The worker did not answer in time and was killed."""


class Worker:
    """One worker process, started when it is first needed and again whenever it has gone."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._process: subprocess.Popen[bytes] | None = None
        self._answers = b""

    @property
    def pid(self) -> int | None:
        """The process's number while it runs."""
        return None if self._process is None else self._process.pid

    def ask(self, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Send a request and wait for the answer.

        Raises:
            WorkerDied: the process ended.
            WorkerHung: no answer came within ``seconds`` and some grace; the process has been killed.
        """
        process = self._running()
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
        except OSError:
            self.stop()
            raise WorkerDied from None
        return self._answer(process, time.monotonic() + seconds + _GRACE_SECONDS)

    def stop(self) -> None:
        """Kill the process, if there is one."""
        process, self._process = self._process, None
        self._answers = b""
        if process is None:
            return
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                try:
                    stream.close()
                except OSError:
                    continue  # unsent bytes of a broken pipe

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self.stop()
        # a session of its own: Ctrl-C is the parent's to handle
        self._process = subprocess.Popen(
            [sys.executable, "-m", "kdzoo.sql.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        )
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(asdict(self._limits)).encode() + b"\n")
        except OSError:
            self.stop()
            raise WorkerDied from None
        return self._process

    def _answer(self, process: subprocess.Popen[bytes], deadline: float) -> dict[str, Any]:
        assert process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._answers:
                left = deadline - time.monotonic()
                if left <= 0 or not selector.select(left):
                    self.stop()
                    raise WorkerHung
                part = os.read(process.stdout.fileno(), 1 << 16)
                if not part:
                    self.stop()
                    raise WorkerDied
                self._answers += part
        line, _, self._answers = self._answers.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer
