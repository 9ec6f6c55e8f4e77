"""Spider (Yu et al. 2018) in its official layout, and its variants: Spider-DK, Spider-Syn, Spider-Realistic."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from kdzoo.data.config import SpiderData
from kdzoo.data.entries import Entry, read_entries, read_json
from kdzoo.data.example import Splits
from kdzoo.data.prompt import PromptStyle
from kdzoo.data.sql_examples import Comments, ExampleMaker
from kdzoo.errors import UserError
from kdzoo.sql.hardness import hardness

# Spider-Syn's own file keeps the original question under "SpiderQuestion".
_QUESTION_KEYS = ("SpiderSynQuestion", "question")
_SQL_KEYS = ("query",)


def load_spider(config: SpiderData, cache: Path) -> Splits:
    """Read Spider's questions and build their prompts.

    With ``split = "question"`` the evaluation questions are held out of the training files, by their gold SQL: no
    (database, SQL) pair stands on both sides, white space and case aside.

    Raises:
        UserError: a file or database is missing or an entry is incomplete.
    """
    root = Path(config.path)
    report: Counter[str] = Counter()
    database = database_finder(root)
    maker = ExampleMaker(
        database,
        read_comments(root / "tables.json"),
        PromptStyle(values=config.values, matches=config.matching),
        cache,
        lambda entry: hardness(entry.sql),
    )

    def read(name: str) -> list[Entry]:
        return list(
            read_entries(
                root / name,
                question_keys=_QUESTION_KEYS,
                sql_keys=_SQL_KEYS,
                database=database,
                on_error=config.on_error,
                report=report,
            )
        )

    train = [entry for name in _training_files(config, root) for entry in read(name)]
    if config.split == "question":
        held_out = [entry for entry in train if _is_held_out(entry, config)]
        train = [entry for entry in train if not _is_held_out(entry, config)]
    else:
        held_out = read(config.evaluation)
    train, held_out = train[: config.max_train], held_out[: config.max_evaluation]
    return Splits(maker.make(train), maker.make(held_out), task="sql", metric="spider", report=dict(report))


def database_finder(root: Path) -> Callable[[str], Path]:
    """Where a database lies: ``database/NAME/NAME.sqlite``, or ``test_database/NAME/NAME.sqlite`` (test layout)."""

    def find(name: str) -> Path:
        path = root / "database" / name / f"{name}.sqlite"
        test = root / "test_database" / name / f"{name}.sqlite"
        return test if test.is_file() and not path.is_file() else path

    return find


def read_comments(path: Path) -> Callable[[str], Comments]:
    """Read the columns' names in plain words from tables.json, in the official format; none where it is absent.

    Raises:
        UserError: the file is not in the official format.
    """
    comments: dict[str, Comments] = {}
    if path.is_file():
        for number, entry in enumerate(read_json(path)):
            try:
                tables = entry["table_names_original"]
                pairs = zip(entry["column_names_original"], entry["column_names"], strict=True)
                comments[entry["db_id"]] = {
                    (tables[table].lower(), original.lower()): plain
                    for (table, original), (_, plain) in pairs
                    if table >= 0
                }
            except (KeyError, TypeError, ValueError, IndexError):
                raise UserError(f"{path}: entry {number}: not in the format of Spider's tables.json") from None
    return lambda name: comments.get(name, {})


def _training_files(config: SpiderData, root: Path) -> tuple[str, ...]:
    if config.train is not None:
        return config.train
    official = ("train_spider.json", "train_others.json")
    if (root / official[0]).is_file():
        return tuple(name for name in official if (root / name).is_file())
    return ("train.json",)


def _is_held_out(entry: Entry, config: SpiderData) -> bool:
    """Decide by the SQL alone, so that a question's paraphrases stay on its side."""
    text = f"{config.seed}:{entry.db_id}:{' '.join(entry.sql.lower().split()).rstrip('; ')}"
    share = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64
    return share < config.held_out
