"""From a recipe's [data] to examples."""

from __future__ import annotations

from pathlib import Path

from kdzoo.tasks import registry
from kdzoo.tasks.dataset import DataConfig
from kdzoo.tasks.example import Splits

CACHE = ".cache"


def load(config: DataConfig, *, cache: Path) -> Splits:
    """Read or make the examples; what is made is kept below ``cache``.

    Raises:
        UserError: a file is missing or not as it should be; the message names file and entry.
    """
    return registry.datasets.find(config.kind).load(config, cache)


class DataReader:
    """Reads each table once, for all runs of one process that share it; what is made of the data is kept below ``cache``."""

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        self._read: dict[tuple[str, str], Splits] = {}

    @classmethod
    def below(cls, runs: Path) -> DataReader:
        """A reader whose cache is the one of a folder of runs."""
        return cls(runs / CACHE)

    def read(self, config: DataConfig) -> Splits:
        """See `load`."""
        key = (config.kind, config.model_dump_json())
        if key not in self._read:
            self._read[key] = load(config, cache=self.cache)
        return self._read[key]
