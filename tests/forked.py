"""Programs in processes of their own that start at once: forks of a server that has imported the libraries.

Each Python that imports torch and transformers anew takes seconds of a processor.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(
    [
        "torch.distributed.fsdp",
        "transformers.trainer",
        "transformers.models.llama.modeling_llama",
        "accelerate",
        "peft",
        "kdzoo.commands.run",
        "kdzoo.report.progress",
        "kdzoo.runs.pipeline",
        "kdzoo.runs.evaluation.evaluate",
        "kdzoo.runs.training.train",
        "kdzoo.tasks.text.jsonl",
        "kdzoo.tasks.text_to_sql.embedded_benchmark",
    ]
)


class Forked:
    """``kdzoo`` with these arguments in a session of its own; what it prints goes to files, not to pipes.

    ``before`` is a module that is imported first, for what it changes.
    """

    def __init__(
        self,
        arguments: Sequence[str | Path],
        *,
        environment: Mapping[str, str] | None = None,
        before: str | None = None,
        one_output: bool = False,
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="forked-")
        folder = Path(self._folder.name)
        self._out = folder / "out"
        self._err = self._out if one_output else folder / "err"
        self._process = _SERVER.Process(
            target=_run,
            args=(
                [str(argument) for argument in arguments],
                dict(environment or {}),
                before,
                os.getcwd(),
                str(self._out),
                str(self._err),
            ),
            daemon=True,  # nothing outlives the tests
        )
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """The exit code, -N for one that was killed by signal N, or None while it runs."""
        self._process.join(0)
        return self._process.exitcode

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> None:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout or 0.0)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for its end, and give what it has printed: both together as the first, where they have one output."""
        self.wait(timeout)
        printed = self._out.read_text()
        return printed, "" if self._err == self._out else self._err.read_text()


def _run(
    arguments: list[str], environment: dict[str, str], before: str | None, folder: str, out: str, err: str
) -> None:
    code = 70
    gc.freeze()  # what the server has imported is not to be looked through, or copied by that
    try:
        os.setsid()
        os.chdir(folder)
        for descriptor, file in ((1, out), (2, err)):
            handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(handle, descriptor)
        os.environ.update(environment)
        signal.signal(signal.SIGINT, signal.default_int_handler)  # the server ignores it
        _as_started_anew()
        if before is not None:
            __import__(before)
        sys.argv = ["kdzoo", *arguments]
        from kdzoo.cli import main

        main()
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _as_started_anew() -> None:
    """A process that Python has started has text streams of its own, and random numbers that nothing depends on."""
    import random

    import numpy as np
    import torch

    sys.stdout = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115 - for the rest of the process
    sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
    seed = time.monotonic_ns() % 2**32
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
