"""The run that is exported."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_run import make_small_run


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with adapters and a whole model; it is not to be changed."""
    return make_small_run(tmp_path_factory.mktemp("small"))
