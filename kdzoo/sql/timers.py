"""The kernel's timers as a last resort against what SQLite itself does not stop.

SQLite looks at its limits between the steps of its virtual machine; one step can be an endless call of a
function, and reading a statement takes none at all. The timers end the process then, wherever it is; the
signal that it dies of says what it was doing.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

# the signals' default action is to end the process
GOLD_SIGNALS = frozenset({signal.SIGVTALRM})
PREDICTION_SIGNALS = frozenset({signal.SIGPROF, signal.SIGALRM})


@contextmanager
def prediction_timer(cpu_seconds: float, wall_seconds: float) -> Iterator[None]:
    """End the process if the block takes longer, by SIGPROF or SIGALRM."""
    signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
    signal.setitimer(signal.ITIMER_REAL, wall_seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)


@contextmanager
def gold_timer(cpu_seconds: float) -> Iterator[None]:
    """End the process if the block takes longer, by SIGVTALRM."""
    signal.setitimer(signal.ITIMER_VIRTUAL, cpu_seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
