"""The kernel's timers as a last resort against what SQLite itself does not stop.

SQLite looks at its limits between the steps of its virtual machine; one step can be an endless call of a
function, and reading a statement takes none at all. The timers end the process then, wherever it is; the
signal that it dies of says what it was doing. They count CPU time: what other processes take is not held
against a statement.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# the signals' default action is to end the process
GOLD_SIGNALS = frozenset({signal.SIGVTALRM})
PREDICTION_SIGNALS = frozenset({signal.SIGPROF})

# Sets a timer anew, to so many seconds from now.
SetTimer = Callable[[float], None]

# A timer that is set to nothing never ends.
_LEAST_SECONDS = 0.001


@contextmanager
def prediction_timer(seconds: float) -> Iterator[SetTimer]:
    """End the process, by SIGPROF, if the block takes more CPU time; it may set the timer anew."""
    with _timer(signal.ITIMER_PROF, seconds) as set_timer:
        yield set_timer


@contextmanager
def gold_timer(seconds: float) -> Iterator[SetTimer]:
    """End the process, by SIGVTALRM, if the block takes more CPU time; it may set the timer anew."""
    with _timer(signal.ITIMER_VIRTUAL, seconds) as set_timer:
        yield set_timer


@contextmanager
def _timer(which: int, seconds: float) -> Iterator[SetTimer]:
    def set_timer(seconds: float) -> None:
        signal.setitimer(which, max(_LEAST_SECONDS, seconds))

    set_timer(seconds)
    try:
        yield set_timer
    finally:
        signal.setitimer(which, 0)
