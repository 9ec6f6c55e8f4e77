"""``kdzoo data check``: what a dataset holds, and whether it can be used."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from kdzoo.errors import RunError, UserError
from kdzoo.tasks.dataset import OnError
from kdzoo.tasks.entries import WrongEntries
from kdzoo.tasks.example import Example, Splits
from kdzoo.tasks.load import load
from kdzoo.tasks.sql import ExecutionMetric, Item, Judge
from kdzoo.tasks.text.jsonl import read_jsonl

_PERCENTILES = (50, 90, 99, 100)
_ERRORS_SHOWN = 10

_SPIDER_TRAIN = ("train_spider.json", "train_others.json", "train.json")
_BIRD_TRAIN = "train/train.json"


@click.command("check")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--evaluation", help="The evaluation file (default: dev.json, or BIRD's dev/dev.json).")
@click.option(
    "--limit", type=click.IntRange(min=1), default=1024, show_default=True, help="The input limit in tokens."
)
@click.option(
    "--tokenizer", help="Count tokens with this tokenizer (a folder or hub name); default: count words."
)
@click.option("--trust-remote-code", is_flag=True, help="Run the code that the tokenizer brings along.")
@click.option("--skip", is_flag=True, help="Leave wrong entries out and count them.")
def command(
    path: Path, evaluation: str | None, limit: int, tokenizer: str | None, trust_remote_code: bool, skip: bool
) -> None:
    """Report on the dataset at PATH: a folder of Spider or BIRD, or a JSONL file.

    Counts questions, runs every gold query in the sandbox, and gives the lengths of the prompts. Training
    files may be absent. Exit code 1 if a gold query does not run, or nothing is left to use.
    """
    measure, unit = _measure(tokenizer, trust_remote_code)
    splits = _read(path, evaluation, "skip" if skip else "raise")
    for what, count in splits.report.items():
        click.echo(f"{what}: {count}")
    failed = 0
    for name, examples in (("training", splits.train), ("evaluation", splits.evaluation)):
        if not examples:
            click.echo(f"{name}: no examples")
            continue
        groups = {example.group for example in examples if example.group is not None}
        click.echo(f"{name}: {len(examples)} examples" + (f" on {len(groups)} databases" if groups else ""))
        click.echo(f"  {_lengths_text(examples, measure, unit, limit)}")
        if splits.sql_rule is not None:
            failed += _check_gold(splits, examples)
    if not splits.train and not splits.evaluation:
        raise RunError(f"{path}: holds no examples that can be used")
    if failed:
        raise RunError(f"{path}: gold queries that do not run: {failed}")


def _read(path: Path, evaluation: str | None, on_error: OnError) -> Splits:
    """Read a dataset, told by what lies at its path.

    Raises:
        UserError: there is none, or it is not as it should be.
    """
    if path.is_file():
        return _read_text(path, evaluation, on_error)
    if not path.is_dir():
        raise UserError(f"{path}: there is no such file or folder")
    from kdzoo.tasks.text_to_sql.bird import BirdData
    from kdzoo.tasks.text_to_sql.spider import SpiderData

    config: SpiderData | BirdData
    if (path / "database").is_dir() or (path / "test_database").is_dir():
        train = None if any((path / name).is_file() for name in _SPIDER_TRAIN) else ()
        file = evaluation or "dev.json"
        config = SpiderData(kind="spider", path=str(path), on_error=on_error, train=train, evaluation=file)
    elif any(path.glob("*/*databases*")) or any(path.glob("*databases*")):
        of_bird = (_BIRD_TRAIN,) if (path / _BIRD_TRAIN).is_file() else ()
        file = evaluation or "dev/dev.json"
        config = BirdData(kind="bird", path=str(path), on_error=on_error, train=of_bird, evaluation=file)
    else:
        raise UserError(
            f"{path}: neither Spider's layout (a folder database) nor BIRD's (folders such as dev/dev_databases)"
        )
    if not (path / file).is_file():
        raise UserError(f"{path / file}: there is no such file; name the evaluation file by --evaluation")
    with tempfile.TemporaryDirectory() as cache:
        return load(config, cache=Path(cache))


def _read_text(path: Path, evaluation: str | None, on_error: OnError) -> Splits:
    if path.suffix == ".json":
        raise UserError(
            f"{path}: give the folder that it lies in, and this file by --evaluation {path.name}; "
            "of single files only JSONL is read"
        )
    problems = WrongEntries(on_error)
    train = read_jsonl(path, problems)
    held_out = [] if evaluation is None else read_jsonl(Path(evaluation), problems)
    return Splits(train, held_out, report=problems.report)


def _measure(tokenizer: str | None, trust_remote_code: bool) -> tuple[Callable[[str], int], str]:
    if tokenizer is None:
        return lambda text: len(text.split()), "words"
    from kdzoo.engine.models.tokenizers import load_tokenizer
    from kdzoo.engine.prompts.encoding import count_prompt_tokens

    loaded = load_tokenizer(tokenizer, trust_remote_code=trust_remote_code)
    return lambda text: count_prompt_tokens(loaded, text), "tokens"


def _lengths_text(examples: Sequence[Example], measure: Callable[[str], int], unit: str, limit: int) -> str:
    lengths = sorted(measure(example.prompt) for example in examples)
    # the nearest rank: the least length that this share of the prompts does not exceed
    shown = ", ".join(f"{p}%: {lengths[-(-len(lengths) * p // 100) - 1]}" for p in _PERCENTILES)
    longer = sum(length > limit for length in lengths)
    return f"prompt {unit}: {shown}; longer than {limit}: {longer}"


def _check_gold(splits: Splits, examples: Sequence[Example]) -> int:
    """Run every gold query against itself and report those that fail."""
    metric: ExecutionMetric = "bird-ex" if splits.sql_rule == "bird" else "ex"
    items = [Item(e.target, e.target, e.database) for e in examples if e.database is not None]
    with Judge() as judge:
        verdicts = judge.judge(items, metric)
    failures = [
        (example, verdict.gold_error or "differs from run to run")
        for example, verdict in zip(examples, verdicts, strict=True)
        if not verdict.right
    ]
    click.echo(f"  gold queries that run: {len(verdicts) - len(failures)} of {len(verdicts)}")
    for example, reason in failures[:_ERRORS_SHOWN]:
        click.echo(f"  {example.id} ({example.group}): {reason}: {example.target[:100]}")
    if len(failures) > _ERRORS_SHOWN:
        click.echo(f"  and {len(failures) - _ERRORS_SHOWN} more")
    return len(failures)
