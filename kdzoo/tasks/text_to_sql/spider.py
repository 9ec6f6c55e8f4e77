"""Spider (Yu et al. 2018) in its official layout, and its variants as evaluation files.

A folder holds the question files, tables.json and database/NAME/NAME.sqlite; the test split's are test.json,
test_tables.json and test_database. Spider-DK, -Syn and -Realistic are files of questions on such databases; DK comes with
databases and a tables file of its own, which are merged in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from kdzoo.errors import UserError
from kdzoo.tasks.dataset import Dataset, Inputs, Part
from kdzoo.tasks.entries import WrongEntries
from kdzoo.tasks.example import Example, Splits
from kdzoo.tasks.sql.extract import statement_in
from kdzoo.tasks.sql.hardness import hardness
from kdzoo.tasks.sql.suite import suite_folder
from kdzoo.tasks.text_to_sql.asking import SqlAsking, asking_like
from kdzoo.tasks.text_to_sql.database_files import DatabaseFiles, read_column_names
from kdzoo.tasks.text_to_sql.questions import SPIDER_KEYS, Question, read_questions
from kdzoo.tasks.text_to_sql.sampling import sample
from kdzoo.tasks.text_to_sql.split import split_by_query
from kdzoo.tasks.text_to_sql.sql_case import in_case
from kdzoo.tasks.text_to_sql.sql_data import (
    LITTLE,
    SHARED_CODE,
    SqlData,
    databases_below,
    prompt_style,
    shaping_files,
    unread_keys,
)
from kdzoo.tasks.text_to_sql.sql_examples import make_examples

_OFFICIAL_TRAIN = ("train_spider.json", "train_others.json")
_DATABASES = ("database", "test_database")
_TABLES = ("tables.json", "test_tables.json")


class SpiderData(SqlData):
    """Spider in its official layout, and its variants (DK, Syn, Realistic) as evaluation files."""

    kind: Literal["spider"]
    train: tuple[str, ...] | None = Field(
        None,
        description="files in path; default: train_spider.json and train_others.json, else train.json; none: the data is "
        "for evaluation only",
    )
    evaluation: str | None = Field("dev.json", description="a file in path")
    databases: tuple[str, ...] = Field(
        (), description="further folders with NAME/NAME.sqlite; theirs come before those in path"
    )
    tables: tuple[str, ...] = Field(
        (), description="further files in the format of tables.json; their entries replace those in path"
    )
    test_suites: str | None = Field(
        None,
        description="the folder of the test suites that ts judges on: NAME/*.sqlite, as kdzoo data fuzz writes them, or "
        "database/NAME/*.sqlite, as the official ones; default: what lies beside each database",
    )
    split: Literal["official", "question"] = Field(
        "official", description="question: hold out questions of the training databases, by their gold SQL"
    )
    held_out: float = Field(0.1, gt=0, lt=1, description="fraction that the question split holds out")

    @model_validator(mode="after")
    def _reads_what_it_names(self) -> SpiderData:
        usual = type(self).model_fields["evaluation"].default
        if self.split == "question" and self.evaluation not in (None, usual):
            message = (
                'is not read with split = "question", which evaluates on training questions that it holds out; '
                'write split = "official" beside it'
            )
            raise PydanticCustomError(
                "conflict", "{message}", {"message": message, "keys": ("evaluation", "split")}
            )
        return self


def load_spider(config: SpiderData, cache: Path) -> Splits:
    """Read Spider's questions and make their prompts.

    Raises:
        UserError: a file is missing, or an entry is wrong and must not be skipped.
    """
    folder = Path(config.path).expanduser()
    problems = WrongEntries(config.on_error)
    databases = DatabaseFiles(_database_folders(config))

    def read(names: Iterable[str]) -> list[Question]:
        return [
            q for name in names for q in read_questions(folder / name, SPIDER_KEYS, databases.find, problems)
        ]

    train = read(train_files(config))
    if config.split == "question":
        train, evaluation = split_by_query(train, config.held_out, config.seed)
    else:
        evaluation = read([] if config.evaluation is None else [config.evaluation])
    train = in_case(sample(train, config.max_train, config.seed), config.sql_case)
    # only evaluation reports by difficulty, and rating a query means parsing it
    evaluation = [
        replace(question, difficulty=hardness(question.sql))
        for question in sample(evaluation, config.max_evaluation, config.seed)
    ]
    comments = read_column_names(_tables_files(config))
    style = prompt_style(config)
    return Splits(
        train=make_examples(train, style, comments, cache),
        evaluation=_on_suites(make_examples(evaluation, style, comments, cache), config),
        sql_rule="spider",
        report=problems.report,
    )


def asking_spider(config: SpiderData, cache: Path) -> SqlAsking:
    """Questions of a user's own, on the databases of the folders."""
    databases = DatabaseFiles(_database_folders(config))
    comments = read_column_names(_tables_files(config))
    return asking_like(databases, prompt_style(config), comments.get, cache, "spider")


def _on_suites(examples: list[Example], config: SpiderData) -> list[Example]:
    if config.test_suites is None:
        return examples
    suites = Path(config.test_suites).expanduser()
    return [replace(e, test_suite=suite_folder(suites, e.group)) for e in examples if e.group is not None]


def _database_folders(config: SpiderData) -> list[Path]:
    own = [Path(config.path).expanduser() / name for name in _DATABASES]
    return [*(Path(folder).expanduser() for folder in config.databases), *own]


def _tables_files(config: SpiderData) -> list[Path]:
    own = [Path(config.path).expanduser() / name for name in _TABLES]
    return [*own, *(Path(file).expanduser() for file in config.tables)]


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


def _part(config: SpiderData, part: Part) -> SpiderData | None:
    by_question = config.split == "question"
    fraction = config.held_out if by_question else SpiderData.model_fields["held_out"].default
    if part == "train":
        if config.train == ():
            return None
        # the questions held out are drawn with those that are kept: a sample of none then leaves them out
        others: dict[str, Any] = {
            "max_evaluation": 0 if by_question else None,
            "evaluation": None,
            "test_suites": None,
        }
    elif by_question:
        if config.train == ():
            return None
        others = {"max_train": 0, "evaluation": None}
    else:
        others = {"max_train": None, "train": ()}
    return config.model_copy(update={**others, "held_out": fraction})


def _files_inside(config: SpiderData) -> Iterator[tuple[str, Path]]:
    folder = Path(config.path).expanduser()
    try:
        names = train_files(config)
    except UserError:
        names = _OFFICIAL_TRAIN[:1]
    yield from (("train", folder / name) for name in names)
    if config.evaluation is not None and config.split == "official":
        yield "evaluation", folder / config.evaluation


def _inputs(config: SpiderData) -> Inputs:
    folder = Path(config.path).expanduser()
    try:
        files = [folder / name for name in train_files(config)]
    except UserError:
        files = []  # who reads the data reports it
    if config.evaluation is not None:
        files.append(folder / config.evaluation)
    files += _tables_files(config)
    is_evaluated = config.evaluation is not None or (
        config.split == "question" and config.max_evaluation != 0
    )
    for databases in _database_folders(config):
        # what a test suite puts beside a database is for evaluation
        files += shaping_files(databases) if is_evaluated else databases_below(databases)
    if config.test_suites is not None:
        files += shaping_files(Path(config.test_suites).expanduser())
    return Inputs(files, unread_keys(config))


SPIDER = Dataset(
    name="spider",
    summary="Spider (Yu et al. 2018) and its variants, from files in the official layout",
    config=SpiderData,
    load=load_spider,
    part=_part,
    files_inside=_files_inside,
    metrics=("ex", "ts", "ex_vote", "exaccerr"),
    folder_keys=("path", "databases", "test_suites"),
    file_keys=("tables",),
    inputs=_inputs,
    code=SHARED_CODE,
    extract=statement_in,
    asking=asking_spider,
    little=LITTLE,
)
