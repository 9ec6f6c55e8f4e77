"""What datasets of SQL questions have in common: their [data] table, their metrics, and the code that they share."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from kdzoo.tasks.dataset import DataConfig, OnError
from kdzoo.tasks.text_to_sql.prompt_style import Form, PromptStyle
from kdzoo.tasks.text_to_sql.sql_case import SqlCase

# The largest samples of a rehearsal.
LITTLE = {"max_train": 64, "max_evaluation": 8}

# Beside the package that the datasets stand in: what entries are left out, how a database is read, how hard a query is,
# where a test suite lies.
SHARED_CODE = (
    "kdzoo.tasks.entries",
    "kdzoo.tasks.sql.schema",
    "kdzoo.tasks.sql.journals",
    "kdzoo.tasks.sql.hardness",
    "kdzoo.tasks.sql.suite",
)


class SqlData(DataConfig):
    """Where a dataset of SQL questions lies, and which parts its prompts have."""

    path: str = Field(description="the folder that holds questions and databases")
    form: Form = Field(
        "codes",
        description="how prompts show the schema: in CodeS's form, as the statements that create it (ddl, which OmniSQL reads), or "
        "as M-Schema (XiYan-SQL)",
    )
    details: bool = Field(
        True, description="show types, primary keys and comments of the columns in the prompt"
    )
    values: bool = Field(True, description="show the first values of each column in the prompt")
    matching: bool = Field(True, description="show the contents that the question mentions in the prompt")
    sql_case: SqlCase = Field(
        "as_written",
        description="lower: the SQL of training questions is put in lower case outside quotes, as prompts in CodeS's form write names",
    )
    max_train: int | None = Field(None, ge=1, description="a seeded sample of so many training questions")
    max_evaluation: int | None = Field(
        None, ge=1, description="a seeded sample of so many evaluation questions"
    )
    on_error: OnError = Field("raise", description="skip: leave wrong entries out, and count them")
    seed: int = Field(0, description="of the samples, and of the questions that are held out")


def prompt_style(config: SqlData) -> PromptStyle:
    """Which parts the prompts have, and in which form."""
    return PromptStyle(
        details=config.details, values=config.values, matches=config.matching, form=config.form
    )


def unread_keys(config: SqlData) -> frozenset[str]:
    """Keys that shape no example, as they are given: those that ask for what was before there was a choice."""
    before = {"form": "codes", "sql_case": "as_written"}
    return frozenset(key for key, usual in before.items() if getattr(config, key) == usual)


def shaping_files(folder: Path) -> list[Path]:
    """All files in a folder of databases that say what they hold: the databases, test suites too, and descriptions."""
    return [file for pattern in ("*.sqlite*", "*.csv") for file in folder.rglob(pattern)]


def databases_below(folder: Path) -> list[Path]:
    """The databases that prompts are made from, without what a test suite puts beside them."""
    return [file for file in folder.rglob("*.sqlite") if file.stem == file.parent.name]
