"""``kdzoo keys``: every key of a recipe."""

from __future__ import annotations

import click


@click.command("keys")
def command() -> None:
    """Print every key of a recipe with its type, default and meaning, as Markdown.

    Those of the datasets that are installed are among them; `kdzoo show METHOD` has a method's own options.
    """
    from kdzoo.recipe.reference import reference

    click.echo(reference(), nl=False)
