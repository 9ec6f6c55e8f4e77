"""The command ``kdzoo``. Each command lives in a module of its own and is imported when it is asked for."""

from __future__ import annotations

import sys
from importlib import import_module

import click

from kdzoo.errors import UserError

_COMMANDS = {
    "run": "kdzoo.commands.run",
    "list": "kdzoo.commands.list_methods",
    "show": "kdzoo.commands.show_method",
    "score": "kdzoo.commands.score",
    "data": "kdzoo.commands.data",
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command = import_module(_COMMANDS[cmd_name]).command
        assert isinstance(command, click.Command)
        return command


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="kdzoo")
def _kdzoo() -> None:
    """Distil autoregressive language models with many methods under equal conditions."""


def main() -> None:
    """Run the command line: exit code 2 for a usage error, 1 for a failure, 130 for Ctrl-C."""
    try:
        _kdzoo.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except UserError as error:
        click.echo(f"kdzoo: {error}", err=True)
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("kdzoo: interrupted", err=True)
        sys.exit(130)
