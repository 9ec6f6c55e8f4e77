"""Packages of others, put where an installer would put them."""

from __future__ import annotations

import importlib
import shutil
import sys
import tomllib
from pathlib import Path
from typing import Any

from kdzoo.methods import registry as methods
from kdzoo.tasks import registry as data


def install(site: Path, package: str, modules: dict[str, str], groups: dict[str, dict[str, str]]) -> None:
    """Put a package into a folder that is searched for packages: its modules, and its entry points by group."""
    for name, source in modules.items():
        (site / f"{name}.py").write_text(source, encoding="utf-8")
    info = site / f"{package.replace('-', '_')}-1.2.3.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2.3\n")
    lines = [f"[{group}]\n" + "".join(f"{n} = {of}\n" for n, of in e.items()) for group, e in groups.items()]
    (info / "entry_points.txt").write_text("\n".join(lines))
    look_again()


def install_project(site: Path, folder: Path) -> dict[str, Any]:
    """Install the modules that lie in a project's folder, by what its pyproject.toml says; gives its [project] table."""
    project: dict[str, Any] = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))[
        "project"
    ]
    for file in folder.glob("*.py"):
        shutil.copy(file, site)
    install(site, project["name"], {}, project["entry-points"])
    return project


def look_again() -> None:
    """Let installed packages be looked for anew."""
    importlib.invalidate_caches()
    methods.discover.cache_clear()
    data.forget()


def forget(site: Path) -> None:
    """Let go of all that was imported from a folder."""
    for name in [name for name in sys.modules if (site / f"{name}.py").is_file()]:
        del sys.modules[name]
    look_again()
