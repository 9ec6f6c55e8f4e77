"""Ctrl-C and the signals that end a process, turned into an orderly end that the next start continues from."""

from __future__ import annotations

import os
import signal
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

# Ctrl-C; what schedulers and `kill` send; what SLURM is asked to send before the time is up; what is sent when a terminal
# is closed or a connection lost
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)
_STANDARD_OUTPUT, _STANDARD_ERROR = 1, 2
_WAITING = b"\nkdzoo: ends after this step, with a checkpoint; once more to end at once\n"


class Interrupted(KeyboardInterrupt):
    """A signal asks the process to end. ``exit_code`` is what shells make of it: 128 + its number."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


class Interruption:
    """Whether the process was asked to end, and when it does: at once, or where that is deferred, a little later."""

    def __init__(self) -> None:
        self._received: int | None = None
        self._is_deferred = False

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Take over the signals for a block: they raise `Interrupted`, or wait for the end of a `deferred` one.

        A signal that is ignored stays so (``nohup``); threads other than the main one cannot take any over.
        """
        before = {}
        if threading.current_thread() is threading.main_thread():
            wanted = (number for number in _SIGNALS if signal.getsignal(number) != signal.SIG_IGN)
            before = {number: signal.signal(number, self._handle) for number in wanted}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def deferred(self) -> Iterator[Callable[[], bool]]:
        """Give a function that says whether the block is to end soon; a second signal ends it at once.

        Raises:
            Interrupted: when the block has ended, if a signal has come.
        """
        self._raise_if_received()
        self._is_deferred = True
        try:
            yield lambda: self._received is not None
        finally:
            self._is_deferred = False
        self._raise_if_received()

    def _raise_if_received(self) -> None:
        if self._received is not None:
            raise Interrupted(self._received)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        is_first = self._received is None
        self._received = number
        if number == signal.SIGHUP:
            _let_go_of_the_terminal()
        if not (self._is_deferred and is_first):
            raise Interrupted(number)
        os.write(_STANDARD_ERROR, _WAITING)


def _let_go_of_the_terminal() -> None:
    """Write to nowhere what would be written to a terminal that is gone, and fail."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for output in (_STANDARD_OUTPUT, _STANDARD_ERROR):
        if stat.S_ISCHR(os.fstat(output).st_mode):
            os.dup2(nowhere, output)
    os.close(nowhere)
