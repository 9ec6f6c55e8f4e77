"""The most memory that a stage has taken at a time."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import torch

from kdzoo.files import write_text

_RESET_PEAK = "5"


class PeakMemory:
    """Measures from its making on: a GPU's memory as torch has allocated it, else this process's resident memory.

    What an earlier start of the stage has measured is kept in a file, and the greater of both counts.
    """

    def __init__(self, path: Path, device: torch.device) -> None:
        self._path = path
        self._device = device
        try:
            self._earlier = int(path.read_text())
        except (OSError, ValueError):
            self._earlier = 0
        self._is_reset = False
        self._process_before = _peak_of_process()
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        else:
            self._is_reset = _reset_peak()

    def keep(self) -> int | None:
        """Write and give the bytes; None where the system does not tell a stage's peak from that of what was before it."""
        peak = max(self._earlier, self._measured())
        if peak:
            write_text(self._path, f"{peak}\n")
        return peak or None

    def _measured(self) -> int:
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device)
        peak = _peak_of_process()
        # a peak that cannot be reset is the stage's only where the stage has raised it
        return peak if self._is_reset or peak > self._process_before else 0


def _reset_peak() -> bool:
    """Let Linux count the process's peak from now on; False where that is not allowed."""
    try:
        Path("/proc/self/clear_refs").write_text(_RESET_PEAK)
    except OSError:
        return False
    return True


def _peak_of_process() -> int:
    """The greatest resident memory of this process, in bytes: since the last reset, where there was one."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
