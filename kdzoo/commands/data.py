"""``kdzoo data``: looking at datasets and making test suites."""

from __future__ import annotations

import click

from kdzoo.commands.lazy import LazyGroup

_COMMANDS = {"check": "kdzoo.commands.data_check", "fuzz": "kdzoo.commands.data_fuzz"}


@click.group("data", cls=LazyGroup, modules=_COMMANDS)
def command() -> None:
    """Check datasets and make test suites."""
