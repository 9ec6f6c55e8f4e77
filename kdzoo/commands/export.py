"""``kdzoo export``: take a trained model away."""

from __future__ import annotations

from pathlib import Path

import click

_DTYPES = ("float32", "float16", "bfloat16")


@click.command("export")
@click.argument("run", metavar="RUN[/STAGE]", type=click.Path(path_type=Path))
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--merge", is_flag=True, help="Merge an adapter into its base: a whole model.")
@click.option(
    "--dtype", type=click.Choice(_DTYPES), help="The type of the weights.  [default: as they were trained]"
)
@click.option("--gguf", is_flag=True, help="Also write the model as a GGUF file, for llama.cpp and Ollama.")
@click.option(
    "--push", "repo", metavar="REPO", help="Push the folder to the model hub, as NAME or OWNER/NAME."
)
def command(run: Path, folder: Path, merge: bool, dtype: str | None, gguf: bool, repo: str | None) -> None:
    """Write a model that RUN has trained to the new folder DIR, with tokenizer, configuration and model card.

    Without /STAGE it is the model of the last stage that trains. transformers, vLLM and llama.cpp's converter load the
    folder. An adapter stays one, on its base by name, unless --merge is given.
    """
    from kdzoo.runs.trained_stage import find_trained_stage

    chosen = find_trained_stage(run)
    if not chosen.is_named:
        click.echo(f"the last stage that trains: {chosen.stage.name}")
    if repo is not None:
        from kdzoo.runs.export.push import full_name

        repo = full_name(repo)
    from kdzoo.commands.imported_for_good import imported_for_good
    from kdzoo.commands.quiet_libraries import quiet_libraries

    quiet_libraries()
    with imported_for_good():
        from kdzoo.runs.export.export import Wanted, export

    export(chosen, folder, Wanted(merge, dtype, gguf, repo), click.echo)
    click.echo(f"exported: {folder}")
    if repo is not None:
        from kdzoo.runs.export.push import push

        click.echo(f"pushed: {push(folder, repo, f'{chosen.title}, exported by kdzoo')}")
