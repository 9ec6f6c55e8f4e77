"""The memory that there is for this process: on its GPU, or on the machine and within the limits that it is put under."""

from __future__ import annotations

import resource
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import torch

_CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Room:
    """Bytes that are free, the bytes that this process has already, and what sets the limit."""

    free: int
    taken: int
    limit: str

    @property
    def most(self) -> int:
        """The most that this process can come to."""
        return self.free + self.taken


def room_on(device: torch.device) -> Room:
    """What there is on a device. A GPU's memory is what torch may have of it, another device's is the machine's."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        reserved = torch.cuda.memory_reserved(device)
        allocated = torch.cuda.memory_allocated(device)
        return Room(free + reserved - allocated, allocated, f"the GPU {torch.cuda.get_device_name(device)}")
    taken = psutil.Process().memory_info().rss
    rooms = [Room(psutil.virtual_memory().available, taken, "the memory of this machine")]
    rooms += [Room(free, taken, "the limit of this container") for free in _free_in_cgroup(_CGROUPS)]
    rooms += [Room(free, taken, "the limit of this process (ulimit -v)") for free in _free_in_rlimit()]
    return min(rooms, key=lambda room: room.free)


def _free_in_cgroup(root: Path) -> list[int]:
    """What the control group that is seen as the root (a container's own) leaves, version 2 or 1; nothing if it sets no limit."""
    for limit, used, statistics, reclaimable in (
        (root / "memory.max", root / "memory.current", root / "memory.stat", "inactive_file"),
        (
            root / "memory/memory.limit_in_bytes",
            root / "memory/memory.usage_in_bytes",
            root / "memory/memory.stat",
            "total_inactive_file",
        ),
    ):
        try:
            most, now = int(limit.read_text()), int(used.read_text())
            lines = dict(line.split() for line in statistics.read_text().splitlines())
            # what files are cached in is given back when it is needed
            return [max(0, most - now + int(lines.get(reclaimable, 0)))]
        except (OSError, ValueError):
            continue  # there is no such file, or it says "max"
    return []


def _free_in_rlimit() -> list[int]:
    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    return [] if most == resource.RLIM_INFINITY else [max(0, most - psutil.Process().memory_info().vms)]
