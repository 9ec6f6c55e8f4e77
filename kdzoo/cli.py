"""The command ``kdzoo``. Each command lives in a module of its own and is imported when it is asked for."""

from __future__ import annotations

import errno
import os
import sys

import click

from kdzoo.commands.lazy import LazyGroup
from kdzoo.errors import UserError
from kdzoo.files import is_out_of_memory

_COMMANDS = {
    "run": "kdzoo.commands.run",
    "runs": "kdzoo.commands.runs",
    "chat": "kdzoo.commands.chat",
    "compare": "kdzoo.commands.compare",
    "export": "kdzoo.commands.export",
    "list": "kdzoo.commands.list_methods",
    "show": "kdzoo.commands.show_method",
    "new": "kdzoo.commands.new_method",
    "check": "kdzoo.commands.check",
    "report": "kdzoo.commands.report",
    "keys": "kdzoo.commands.keys",
    "score": "kdzoo.commands.score",
    "data": "kdzoo.commands.data",
}

_SHOWN = 100


@click.group(cls=LazyGroup, modules=_COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="kdzoo")
def _kdzoo() -> None:
    """Distil autoregressive language models with many methods under equal conditions."""


def _among_others() -> str:
    """Which process speaks, where several do a run together and it is not the main one."""
    number = os.environ.get("RANK", "0")
    return "" if number == "0" else f" (process {number})"


def main() -> None:
    """Run the command line: exit code 2 for a usage error, 1 for a failure, 130 for Ctrl-C."""
    try:
        _kdzoo.main(prog_name="kdzoo", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except UserError as error:
        click.echo(f"kdzoo{_among_others()}: {error}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        click.echo(f"kdzoo: {str(error.filename)[:_SHOWN]}...: no file has so long a name", err=True)
        sys.exit(UserError.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("kdzoo: interrupted", err=True)
        sys.exit(130)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        click.echo(
            f"kdzoo: out of memory: {str(error).partition(chr(10))[0] or type(error).__name__}", err=True
        )
        sys.exit(1)
