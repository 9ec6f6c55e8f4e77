"""The processes that do one run together, as `torchrun` and `accelerate launch` start them: who writes, who waits, who has what.

Every process runs the same program. The main one decides, writes and prints; the others hear what it has decided.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from kdzoo.engine.prompts.shares import share_of
from kdzoo.errors import RunError

if TYPE_CHECKING:
    import torch

_T = TypeVar("_T")
_Item = TypeVar("_Item")

# While the main process judges SQL the others wait. One that is gone is known at once by its closed connection.
_PATIENCE = timedelta(hours=12)

_LINGERS_SECONDS = 3.0


def has_lost_another(error: BaseException) -> bool:
    """Whether an error says that another process could not be reached any more."""
    import torch

    # gloo has no error class of its own
    return isinstance(error, torch.distributed.DistError) or (
        isinstance(error, RuntimeError) and "/gloo/" in str(error)
    )


class ToldElsewhereError(RunError):
    """The run ends, and the main process says why."""


def launched() -> int:
    """The number of processes that a launcher has started together with this one, itself among them."""
    return int(os.environ.get("WORLD_SIZE") or 1)


@dataclass
class Processes:
    """This process, ``number``, among ``count``. Alone it is the main one, and nothing here waits or costs anything."""

    number: int = 0
    count: int = 1
    _scratch: list[Path] = field(default_factory=list)

    @classmethod
    @contextmanager
    def joined(cls) -> Iterator[Processes]:
        """Meet the processes that were launched with this one, and part from them at the block's end."""
        if launched() == 1:
            yield cls()
            return
        import torch
        from accelerate import PartialState

        with_gpu = torch.cuda.is_available()
        state = PartialState(cpu=not with_gpu, timeout=_PATIENCE)
        processes = cls(state.process_index, state.num_processes)
        try:
            yield processes
            processes.wait()
            # not after an error: the others may wait for what never comes
            torch.distributed.destroy_process_group()
        finally:
            for folder in processes._scratch:
                shutil.rmtree(folder, ignore_errors=True)

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes and prints."""
        return self.number == 0

    @property
    def device(self) -> torch.device | None:
        """The device of this process; None if it is alone, and may take any."""
        if self.count == 1:
            return None
        from accelerate import PartialState

        return cast("torch.device", PartialState().device)

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.count > 1:
            from accelerate import PartialState

            PartialState().wait_for_everyone()

    def of_main(self, decide: Callable[[], _T]) -> _T:
        """What the main process makes of a function that only it calls. Others get a copy of the result.

        Raises:
            ToldElsewhereError: in the other processes, if the main one raised an error, whatever its kind.
        """
        if self.count == 1:
            return decide()
        if not self.is_main:
            return cast("_T", self._hear())
        with self._told_if_it_fails():
            result = decide()
        self._tell(True, result)
        return result

    @contextmanager
    def main_first(self) -> Iterator[None]:
        """A block that the main process does first, so that the others find what it has written.

        Raises:
            ToldElsewhereError: in the other processes, if the main one raised an error.
        """
        if self.count == 1:
            yield
        elif self.is_main:
            with self._told_if_it_fails():
                yield
            self._tell(True, None)
        else:
            self._hear()
            yield

    def any(self, flag: bool) -> bool:
        """Whether it is true in any process."""
        return flag if self.count == 1 else any(self.of_all([flag]))

    def of_all(self, items: Sequence[_Item]) -> list[_Item]:
        """The items of all processes, in the processes' order."""
        if self.count == 1:
            return list(items)
        from kdzoo.engine.training.processes import of_all_processes

        return of_all_processes(items)

    def share(self, items: Sequence[_Item]) -> list[_Item]:
        """The neighbours among some items that are this process's to do."""
        return share_of(items, self.number, self.count)

    def own_folder(self, folder: Path) -> Path:
        """The folder itself in the main process; in the others one of their own, which nobody keeps."""
        if self.is_main:
            return folder
        self._scratch.append(Path(tempfile.mkdtemp(prefix="kdzoo-")))
        return self._scratch[-1]

    @contextmanager
    def _told_if_it_fails(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            with suppress(RuntimeError):  # they may be gone
                self._tell(False, None)
            raise

    def _tell(self, is_well: bool, result: object) -> None:
        from accelerate.utils import broadcast_object_list

        broadcast_object_list([is_well, result])

    def _hear(self) -> object:
        from accelerate.utils import broadcast_object_list

        heard: list[object] = [None, None]
        broadcast_object_list(heard)
        if not heard[0]:
            # a launcher stops all when the first has ended: the main one is to have said why
            time.sleep(_LINGERS_SECONDS)
            raise ToldElsewhereError("the main process has ended; its own message says why")
        return heard[1]
