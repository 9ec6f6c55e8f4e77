"""BIRD (Li et al. 2023) in its official layout.

The question files stand beside their databases: dev.json, dev_tables.json and dev_databases/NAME/NAME.sqlite,
with database_description/TABLE.csv in each database's folder.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import Field

from kdzoo.tasks.dataset import Dataset, Inputs, Part
from kdzoo.tasks.entries import WrongEntries
from kdzoo.tasks.example import Example, Splits
from kdzoo.tasks.sql.extract import statement_in
from kdzoo.tasks.text_to_sql.asking import SqlAsking, asking_like
from kdzoo.tasks.text_to_sql.bird_descriptions import read_descriptions
from kdzoo.tasks.text_to_sql.database_files import DatabaseFiles, read_column_names
from kdzoo.tasks.text_to_sql.questions import BIRD_KEYS, Question, read_questions
from kdzoo.tasks.text_to_sql.sampling import sample
from kdzoo.tasks.text_to_sql.schema import Comments
from kdzoo.tasks.text_to_sql.sql_case import SqlCase, in_case
from kdzoo.tasks.text_to_sql.sql_data import (
    LITTLE,
    SHARED_CODE,
    SqlData,
    databases_below,
    prompt_style,
    unread_keys,
)
from kdzoo.tasks.text_to_sql.sql_examples import make_examples


class BirdData(SqlData):
    """BIRD in its official layout."""

    kind: Literal["bird"]
    train: tuple[str, ...] = Field(
        ("train/train.json",), description="files in path; none: the data is for evaluation only"
    )
    evaluation: str | None = Field("dev/dev.json", description="a file in path")
    evidence: bool = Field(True, description="with external knowledge (w/ EK) or without (w/o EK)")


def load_bird(config: BirdData, cache: Path) -> Splits:
    """Read BIRD's questions and make their prompts, with or without the external knowledge.

    Raises:
        UserError: a file is missing, or an entry is wrong and must not be skipped.
    """
    folder = Path(config.path).expanduser()
    problems = WrongEntries(config.on_error)
    style = prompt_style(config)

    def examples(names: Sequence[str], most: int | None, case: SqlCase) -> list[Example]:
        files = [folder / name for name in names]
        questions = [question for file in files for question in read_bird_questions(file, problems)]
        questions = in_case(sample(questions, most, config.seed), case)
        if not config.evidence:
            questions = [replace(question, evidence="") for question in questions]
        return make_examples(questions, style, read_comments(files, questions), cache)

    held_out = [] if config.evaluation is None else [config.evaluation]
    return Splits(
        train=examples(config.train, config.max_train, config.sql_case),
        evaluation=examples(held_out, config.max_evaluation, "as_written"),
        sql_rule="bird",
        report=problems.report,
    )


def read_bird_questions(file: Path, problems: WrongEntries) -> list[Question]:
    """Read one of BIRD's question files; its databases are in the folders named "...databases" beside it.

    Raises:
        UserError: the file cannot be read, or an entry is wrong and must not be skipped.
    """
    return read_questions(file, BIRD_KEYS, DatabaseFiles(_database_folders(file)).find, problems)


def _database_folders(file: Path) -> list[Path]:
    return [folder for folder in sorted(file.parent.glob("*databases*")) if folder.is_dir()]


def asking_bird(config: BirdData, cache: Path) -> SqlAsking:
    """Questions of a user's own, without external knowledge, on the databases beside the question files."""
    files = [file for _, file in _files_inside(config)]
    databases = DatabaseFiles([folder for file in files for folder in _database_folders(file)])

    def comments(name: str) -> Comments | None:
        file = databases.find(name)
        return None if file is None else read_comments(files, [Question("", name, "", "", file)])[name]

    return asking_like(databases, prompt_style(config), comments, cache, "bird")


def read_comments(
    files: Sequence[Path], questions: Sequence[Question]
) -> dict[str, dict[tuple[str, str], str]]:
    """What the columns of the questions' databases mean, by database.

    The databases' own description files come first, then the tables files beside the question files.
    """
    folders = dict.fromkeys(file.parent for file in files)
    comments = read_column_names(file for folder in folders for file in sorted(folder.glob("*tables*.json")))
    for db_id, database in {q.db_id: q.database for q in questions}.items():
        described = read_descriptions(database.parent / "database_description")
        comments[db_id] = {**comments.get(db_id, {}), **described}
    return comments


def _part(config: BirdData, part: Part) -> BirdData | None:
    if part == "evaluation":
        return config.model_copy(update={"train": (), "max_train": None})
    return config.model_copy(update={"evaluation": None, "max_evaluation": None}) if config.train else None


def _files_inside(config: BirdData) -> Iterator[tuple[str, Path]]:
    folder = Path(config.path).expanduser()
    yield from (("train", folder / name) for name in config.train)
    if config.evaluation is not None:
        yield "evaluation", folder / config.evaluation


def _inputs(config: BirdData) -> Inputs:
    files = [file for _, file in _files_inside(config)]
    for beside in sorted({file.parent for file in files}):
        files += [*beside.glob("*tables*.json"), *databases_below(beside), *beside.rglob("*.csv")]
    return Inputs(files, unread_keys(config))


BIRD = Dataset(
    name="bird",
    summary="BIRD (Li et al. 2023), from files in the official layout",
    config=BirdData,
    load=load_bird,
    part=_part,
    files_inside=_files_inside,
    metrics=("ex", "ex_vote", "exaccerr"),
    folder_keys=("path",),
    inputs=_inputs,
    code=SHARED_CODE,
    extract=statement_in,
    asking=asking_bird,
    little=LITTLE,
)
