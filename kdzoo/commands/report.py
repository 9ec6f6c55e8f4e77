"""``kdzoo report``: what runs have measured, laid out."""

from __future__ import annotations

import click

from kdzoo.commands.lazy import LazyGroup

_COMMANDS = {"paper": "kdzoo.commands.report_paper"}


@click.group("report", cls=LazyGroup, modules=_COMMANDS)
def command() -> None:
    """Lay out what runs have measured."""
