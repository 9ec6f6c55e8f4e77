"""``kdzoo data check``: what a dataset holds, and whether it can be used."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from kdzoo.data.config import BirdData, DataConfig, JsonlData, SpiderData
from kdzoo.data.example import Example, Splits
from kdzoo.data.load import load
from kdzoo.errors import RunError, UserError
from kdzoo.sql import Item, Judge, Limits

_PERCENTILES = (50, 90, 99, 100)
_ERRORS_SHOWN = 10


@click.command("check")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--evaluation", help="The evaluation file (default: dev.json, or BIRD's dev set).")
@click.option(
    "--limit", type=click.IntRange(min=1), default=1024, show_default=True, help="The input limit in tokens."
)
@click.option(
    "--tokenizer", help="Count tokens with this tokenizer (a folder or hub name); default: count words."
)
@click.option("--skip", is_flag=True, help="Leave wrong entries out and count them.")
def command(path: Path, evaluation: str | None, limit: int, tokenizer: str | None, skip: bool) -> None:
    """Report on the dataset at PATH: a folder of Spider or BIRD, or a JSONL file.

    Counts questions, runs every gold query in the sandbox, and gives the lengths of the prompts. Exit code 1 if a
    gold query does not run.
    """
    config = _config(path, evaluation, skip)
    with tempfile.TemporaryDirectory() as cache:
        splits = load(config, cache=Path(cache))
    for what, count in splits.report.items():
        click.echo(f"{what}: {count}")
    measure, unit = _measure(tokenizer)
    failed = 0
    for name, examples in (("training", splits.train), ("evaluation", splits.evaluation)):
        if not examples:
            click.echo(f"{name}: no examples")
            continue
        groups = {example.group for example in examples if example.group is not None}
        click.echo(f"{name}: {len(examples)} examples" + (f" on {len(groups)} databases" if groups else ""))
        click.echo(f"  {_lengths_text(examples, measure, unit, limit)}")
        if splits.task == "sql":
            failed += _check_gold(splits, examples)
    if failed:
        raise RunError(f"{failed} gold queries do not run")


def _config(path: Path, evaluation: str | None, skip: bool) -> DataConfig:
    """Tell a dataset by what lies at its path."""
    on_error = "skip" if skip else "raise"
    chosen = {} if evaluation is None else {"evaluation": evaluation}
    if path.is_file():
        return JsonlData(kind="jsonl", train=str(path), evaluation=evaluation or str(path))
    if not path.is_dir():
        raise UserError(f"{path}: there is no such file or folder")
    common = {"path": str(path), "on_error": on_error, **chosen}
    if (path / "database").is_dir() or (path / "test_database").is_dir():
        return SpiderData(kind="spider", **common)
    if list(path.glob("*/*databases*")) or list(path.glob("*databases*")):
        return BirdData(kind="bird", **common)
    raise UserError(
        f"{path}: neither Spider's layout (a folder database) nor BIRD's (folders such as dev/dev_databases)"
    )


def _measure(tokenizer: str | None) -> tuple[Callable[[str], int], str]:
    if tokenizer is None:
        return lambda text: len(text.split()), "words"
    from kdzoo.engine.tokenizers import load_tokenizer

    loaded = load_tokenizer(tokenizer)
    return lambda text: len(loaded.encode(text, add_special_tokens=False)) + 1, "tokens"


def _lengths_text(examples: Sequence[Example], measure: Callable[[str], int], unit: str, limit: int) -> str:
    lengths = sorted(measure(example.prompt) for example in examples)
    shown = ", ".join(
        f"{p}%: {lengths[min(len(lengths) - 1, len(lengths) * p // 100)]}" for p in _PERCENTILES
    )
    longer = sum(length > limit for length in lengths)
    return f"prompt {unit}: {shown}; longer than {limit}: {longer}"


def _check_gold(splits: Splits, examples: Sequence[Example]) -> int:
    """Run every gold query against itself and report those that fail."""
    metric, limits = ("bird-ex", Limits.of_bird()) if splits.metric == "bird" else ("ex", Limits())
    items = [Item(e.target, e.target, e.database) for e in examples if e.database is not None]
    with Judge(limits) as judge:
        verdicts = judge.judge(items, metric)  # type: ignore[arg-type]
    failures = [
        (example, verdict.gold_error or verdict.reason)
        for example, verdict in zip(examples, verdicts, strict=True)
        if not verdict.right
    ]
    click.echo(f"  gold queries that run: {len(verdicts) - len(failures)} of {len(verdicts)}")
    for example, reason in failures[:_ERRORS_SHOWN]:
        click.echo(f"  {example.id} ({example.group}): {reason}: {example.target[:100]}")
    if len(failures) > _ERRORS_SHOWN:
        click.echo(f"  and {len(failures) - _ERRORS_SHOWN} more")
    return len(failures)
