"""``kdzoo new``: a package with a method, to begin one's own with."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import click

from kdzoo.errors import RunError, UserError
from kdzoo.files import temporary_name, why_not_written
from kdzoo.methods.registry import discover

# A package whose method works as it stands; its name there is replaced, in what its files hold and in what they are called.
_TEMPLATE = Path(__file__).with_name("method_template")
_NAME = "mymethod"

_RIGHT_NAME = re.compile(r"[a-z][a-z0-9_]*")


@click.command("new")
@click.argument("method")
@click.argument("folder", required=False, type=click.Path(path_type=Path))
def command(method: str, folder: Path | None) -> None:
    """Write a package with a method named METHOD into FOLDER (kdzoo-METHOD), which must not be there yet.

    The method works as it stands, and has its tests: install the package, and change what it does.
    """
    _check_name(method)
    package = _package(method)
    folder = Path(package) if folder is None else folder
    _write(method, folder)
    click.echo(f"{folder} has:")
    for _, place in _files(method):
        click.echo(f"  {place}")
    click.echo(f"\nnext:\n  cd {shlex.quote(str(folder))}\n  pip install -e .\n  kdzoo check {method}")


def _check_name(method: str) -> None:
    """Let a new method's name be one that a module, an entry point and a recipe can have, and that is free.

    Raises:
        UserError: it is not.
    """
    if not _RIGHT_NAME.fullmatch(method):
        raise UserError(
            f"{method!r} cannot name a method: write lower-case letters, digits and underscores, a letter first"
        )
    zoo = discover()
    packages = {name: plugin.package for name, plugin in zoo.plugins.items()}
    packages |= {broken.name: broken.package for broken in zoo.broken}
    if method in packages:
        raise UserError(
            f"a method {method!r} is installed already (package {packages[method]}); choose another name"
        )
    module = f"kdzoo_{method}"
    if find_spec(module) is not None:
        raise UserError(f"a module {module} is installed already; choose another name")


def _write(method: str, folder: Path) -> None:
    """Write the files under a temporary name, which becomes the folder's own when all are there.

    Raises:
        UserError: there is something of that name.
        RunError: the system refuses to write.
    """
    if folder.exists() or folder.is_symlink():
        raise UserError(f"{folder}: is there already; name a folder that is not")
    temporary = temporary_name(folder)
    try:
        for file, place in _files(method):
            written = temporary / place
            written.parent.mkdir(parents=True, exist_ok=True)
            written.write_text(_renamed(file.read_text(encoding="utf-8"), method), encoding="utf-8")
        temporary.rename(folder)
    except OSError as error:
        raise RunError(f"{folder}: cannot be written: {why_not_written(error)}") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _files(method: str) -> Iterator[tuple[Path, Path]]:
    """The template's files, each with its place in the new package."""
    for file in sorted(_TEMPLATE.rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts:
            yield file, Path(_renamed(str(file.relative_to(_TEMPLATE)), method))


def _renamed(text: str, method: str) -> str:
    return text.replace(_package(_NAME), _package(method)).replace(_NAME, method)


def _package(method: str) -> str:
    return f"kdzoo-{method.replace('_', '-')}"
