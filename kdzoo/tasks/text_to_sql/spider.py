"""Spider (Yu et al. 2018) in its official layout, and its variants as evaluation files.

A folder holds the question files, tables.json and database/NAME/NAME.sqlite; the test split's are test.json,
test_tables.json and test_database. Spider-DK, -Syn and -Realistic are files of questions on such databases.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import Field

from kdzoo.errors import UserError
from kdzoo.tasks.dataset import Dataset, Inputs
from kdzoo.tasks.entries import WrongEntries
from kdzoo.tasks.example import Splits
from kdzoo.tasks.sql.hardness import hardness
from kdzoo.tasks.text_to_sql.database_files import DatabaseFiles, read_column_names
from kdzoo.tasks.text_to_sql.prompt import PromptStyle
from kdzoo.tasks.text_to_sql.questions import SPIDER_KEYS, Question, read_questions
from kdzoo.tasks.text_to_sql.sampling import sample
from kdzoo.tasks.text_to_sql.split import split_by_query
from kdzoo.tasks.text_to_sql.sql_data import LITTLE, SHARED_CODE, SqlData, databases_below, shaping_files
from kdzoo.tasks.text_to_sql.sql_examples import make_examples

_OFFICIAL_TRAIN = ("train_spider.json", "train_others.json")
_DATABASES = ("database", "test_database")
_TABLES = ("tables.json", "test_tables.json")


class SpiderData(SqlData):
    """Spider in its official layout, and its variants (DK, Syn, Realistic) as evaluation files."""

    kind: Literal["spider"]
    train: tuple[str, ...] | None = Field(
        None, description="default: train_spider.json and train_others.json, else train.json"
    )
    evaluation: str = "dev.json"
    split: Literal["official", "question"] = Field(
        "official", description="question: hold out questions of the training databases, by their gold SQL"
    )
    held_out: float = Field(0.1, gt=0, lt=1, description="fraction that the question split holds out")


def load_spider(config: SpiderData, cache: Path) -> Splits:
    """Read Spider's questions and make their prompts.

    Raises:
        UserError: a file is missing, or an entry is wrong and must not be skipped.
    """
    folder = Path(config.path).expanduser()
    problems = WrongEntries(config.on_error)
    databases = DatabaseFiles([folder / name for name in _DATABASES])

    def read(names: tuple[str, ...]) -> list[Question]:
        return [
            q for name in names for q in read_questions(folder / name, SPIDER_KEYS, databases.find, problems)
        ]

    train = read(train_files(config))
    if config.split == "question":
        train, evaluation = split_by_query(train, config.held_out, config.seed)
    else:
        evaluation = read((config.evaluation,))
    train = sample(train, config.max_train, config.seed)
    # only evaluation reports by difficulty, and rating a query means parsing it
    evaluation = [
        replace(question, difficulty=hardness(question.sql))
        for question in sample(evaluation, config.max_evaluation, config.seed)
    ]
    comments = read_column_names(folder / name for name in _TABLES)
    style = PromptStyle(details=config.details, values=config.values, matches=config.matching)
    return Splits(
        train=make_examples(train, style, comments, cache),
        evaluation=make_examples(evaluation, style, comments, cache),
        sql_rule="spider",
        report=problems.report,
    )


def train_files(config: SpiderData) -> tuple[str, ...]:
    """The training files: those configured, else train_spider.json and train_others.json, else train.json.

    Raises:
        UserError: none is configured and none is there.
    """
    if config.train is not None:
        return config.train
    folder = Path(config.path).expanduser()
    official = tuple(name for name in _OFFICIAL_TRAIN if (folder / name).is_file())
    if official:
        return official
    if (folder / "train.json").is_file():
        return ("train.json",)
    raise UserError(
        f"{folder}: no training questions: neither {_OFFICIAL_TRAIN[0]} nor train.json is there; "
        "name the files in data.train"
    )


def _inputs(config: SpiderData) -> Inputs:
    return Inputs(shaping_files(config))


def _training_inputs(config: SpiderData) -> Inputs:
    folder = Path(config.path).expanduser()
    try:
        questions = [folder / name for name in train_files(config)]
    except UserError:
        questions = []  # who reads the data reports it
    unread = {"evaluation", "max_evaluation", *(["held_out"] if config.split == "official" else [])}
    files = [*questions, *folder.glob("*tables.json"), *databases_below(folder)]
    return Inputs(files, unread=frozenset(unread))


SPIDER = Dataset(
    name="spider",
    summary="Spider (Yu et al. 2018) and its variants, from files in the official layout",
    config=SpiderData,
    load=load_spider,
    metrics=("ex", "ts", "exaccerr"),
    folder_keys=("path",),
    inputs=_inputs,
    training_inputs=_training_inputs,
    code=SHARED_CODE,
    little=LITTLE,
)
