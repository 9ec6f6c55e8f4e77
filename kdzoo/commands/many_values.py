"""An option that takes all values up to the next option: ``--results A B C``."""

from __future__ import annotations

from typing import Any

import click


class WithManyValues(click.Command):
    """A command whose options named in ``many_values`` take several values each; they are ``multiple`` to click."""

    def __init__(self, *args: Any, many_values: tuple[str, ...], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._many_values = many_values

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse a command line in which such an option stands once before its values."""
        return super().parse_args(ctx, self._spread(args))

    def _spread(self, args: list[str]) -> list[str]:
        """The same command line with the option before each of its values.

        Raises:
            click.BadOptionUsage: an option has no value.
        """
        spread: list[str] = []
        option: str | None = None
        for place, arg in enumerate(args):
            if arg == "--":
                return [*spread, *args[place:]]
            if arg.startswith("-") and len(arg) > 1:
                option = arg if arg in self._many_values else None
                if option is None:
                    spread.append(arg)
                elif place + 1 == len(args) or args[place + 1].startswith("-"):
                    raise click.BadOptionUsage(option, f"Option '{option}' requires an argument.")
            else:
                spread += [arg] if option is None else [option, arg]
        return spread
