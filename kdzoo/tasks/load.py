"""From a recipe's [data] to examples."""

from __future__ import annotations

from pathlib import Path

from kdzoo.tasks import registry
from kdzoo.tasks.dataset import DataConfig
from kdzoo.tasks.example import Splits


def load(config: DataConfig, *, cache: Path) -> Splits:
    """Read or make the examples; what is made is kept below ``cache``.

    Raises:
        UserError: a file is missing or not as it should be; the message names file and entry.
    """
    return registry.datasets.find(config.kind).load(config, cache)
