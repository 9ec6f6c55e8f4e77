"""Libraries that stay until a command ends: Python need not look for garbage among what they keep."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def imported_for_good() -> Iterator[None]:
    """Import in the block what a command needs: neither then nor later is it looked through for garbage.

    Python's collector would go through all that torch and transformers keep, again and again while they are imported, and whenever
    a run has made many objects: a quarter of a start, and of a small run.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
