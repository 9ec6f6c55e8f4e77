"""A folder that is searched for packages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from outside_package import forget


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that is searched for packages like site-packages, for as long as the test runs."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    yield site
    forget(site)
