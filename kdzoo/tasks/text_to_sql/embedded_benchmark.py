"""The embedded benchmark as examples: databases on disk, questions split by their SQL."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from kdzoo.errors import UserError
from kdzoo.spelling import hint
from kdzoo.tasks.dataset import DataConfig, Dataset
from kdzoo.tasks.example import Example, Splits
from kdzoo.tasks.sql.extract import statement_in
from kdzoo.tasks.sql.schema import open_read_only
from kdzoo.tasks.text_to_sql.asking import SqlAsking
from kdzoo.tasks.text_to_sql.database_files import DatabaseFiles
from kdzoo.tasks.text_to_sql.embedded.databases import write_database
from kdzoo.tasks.text_to_sql.embedded.domains import Domain, domains
from kdzoo.tasks.text_to_sql.embedded.names import DATABASES, FAMILIES
from kdzoo.tasks.text_to_sql.embedded.questions import Asked, ask
from kdzoo.tasks.text_to_sql.prompt import question_text, schema_text
from kdzoo.tasks.text_to_sql.prompt_style import PromptStyle
from kdzoo.tasks.text_to_sql.questions import Question
from kdzoo.tasks.text_to_sql.schema import read_schema
from kdzoo.tasks.text_to_sql.sql_data import SHARED_CODE

# The databases are small and always the same: their names are all that a model needs to be told.
_COMPACT = PromptStyle(details=False, values=False, keys=False, matches=False)

# The databases of a test suite, the domain's own among them.
_SUITE = 5

# Some wording is drawn again and again; this many draws for one new question mean that there are no more.
_PATIENCE = 200


class EmbeddedData(DataConfig):
    """The generated text-to-SQL benchmark that kdzoo brings: databases, questions and SQL from a seed."""

    kind: Literal["embedded"]
    seed: int = Field(0, description="what databases and questions come from")
    questions: int = Field(6000, ge=50, description="training questions")
    test_questions: int = Field(300, ge=10, description="held-out questions")
    max_train: int | None = Field(
        None, ge=1, description="the first so many of the training questions; all unless given"
    )
    databases: Annotated[int, Field(ge=1, le=len(DATABASES))] | tuple[str, ...] = Field(
        len(DATABASES), description="how many of the databases are used, or their names"
    )
    wrong_sql: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="fraction of the training questions that have the SQL of another question, of the same kind and on the "
        "same database",
    )
    families: tuple[str, ...] = Field(FAMILIES, description="the kinds of questions that are asked")

    @field_validator("families", "databases")
    @classmethod
    def _known_names(cls, value: int | tuple[str, ...], info: ValidationInfo) -> int | tuple[str, ...]:
        if isinstance(value, int):
            return value
        known, what = (
            (FAMILIES, "family of questions") if info.field_name == "families" else (DATABASES, "database")
        )
        if not value:
            raise ValueError(f"must name at least one {what}")
        for name in value:
            if name not in known:
                raise ValueError(f"no {what} is called {name!r}{hint(name, known)}")
        return value

    @property
    def database_names(self) -> tuple[str, ...]:
        """The names of the databases that are used."""
        return DATABASES[: self.databases] if isinstance(self.databases, int) else self.databases


def build(config: EmbeddedData, cache: Path) -> Splits:
    """Make the benchmark: the same databases, questions and split for the same settings, on every machine.

    No (database, SQL) pair and no (database, question) pair of the test is in training. Every gold query gives at
    least one value that is neither NULL nor 0.

    Raises:
        UserError: more questions are asked for than the families can give.
    """
    chosen, files = _databases(config, cache)
    train, test = _questions(config, chosen, files)
    train = _with_wrong_sql(train, config)[: config.max_train]
    beginnings = {name: schema_text(read_schema(file), _COMPACT) for name, file in files.items()}
    return Splits(
        train=list(_examples("train", train, beginnings, files)),
        evaluation=list(_examples("test", test, beginnings, files)),
        sql_rule="spider",
    )


def asking_embedded(config: EmbeddedData, cache: Path) -> SqlAsking:
    """Questions of a user's own, on the databases that are used."""
    _, files = _databases(config, cache)

    def make(question: Question, _: bool) -> Example:
        beginning = schema_text(read_schema(question.database), _COMPACT)
        return Example(
            id=question.id,
            prompt=beginning + question_text(question.text, _COMPACT),
            target="",
            question=question.text,
            group=question.db_id,
            database=question.database,
        )

    folders = {file.parents[1] for file in files.values()}
    return SqlAsking(DatabaseFiles(list(folders), only=list(files)), make)


def _databases(config: EmbeddedData, cache: Path) -> tuple[tuple[Domain, ...], dict[str, Path]]:
    """The domains that are used, and the files of their databases, which are written unless they are there."""
    chosen = tuple(domain for domain in domains() if domain.name in config.database_names)
    folder = cache / f"embedded-{config.seed}-{_version()}"
    files = {domain.name: folder / domain.name / f"{domain.name}.sqlite" for domain in chosen}
    for domain in chosen:
        _write_databases(domain, config.seed, files[domain.name])
    return chosen, files


def _write_databases(domain: Domain, seed: int, file: Path) -> None:
    """Write a domain's database, and beside it those of its test suite: the same tables with other rows."""
    for number in range(_SUITE):
        path = file if number == 0 else file.with_stem(f"{file.stem}_{number}")
        if not path.is_file():
            write_database(domain, seed if number == 0 else f"{seed}:{number}", path)


def _questions(
    config: EmbeddedData, chosen: tuple[Domain, ...], files: Mapping[str, Path]
) -> tuple[list[tuple[str, Asked]], list[tuple[str, Asked]]]:
    source = random.Random(f"questions:{config.seed}")
    answers = _Answers(files)
    seen: set[tuple[str, str]] = set()
    train: list[tuple[str, Asked]] = []
    test: list[tuple[str, Asked]] = []
    wanted = config.questions + config.test_questions
    held_out = config.test_questions / wanted
    draws = 0
    with closing(answers):
        while len(train) < config.questions or len(test) < config.test_questions:
            domain = chosen[draws % len(chosen)]
            draws += 1
            if draws > _PATIENCE * wanted:
                raise UserError(
                    f"data: the embedded benchmark cannot give {config.questions} + {config.test_questions} "
                    f"different questions of these {len(config.families)} families on {len(chosen)} databases; "
                    "ask for fewer questions, or more databases or families"
                )
            asked = ask(domain, source, config.families)
            # the side depends on the SQL alone, so that all its paraphrases stay together
            is_test = _share(f"{config.seed}:{domain.name}:{asked.sql}") < held_out
            side, most = (test, config.test_questions) if is_test else (train, config.questions)
            key = (domain.name, asked.question)
            if len(side) < most and key not in seen and answers.any(domain.name, asked.sql):
                seen.add(key)
                side.append((domain.name, asked))
    return train, test


def _with_wrong_sql(train: list[tuple[str, Asked]], config: EmbeddedData) -> list[tuple[str, Asked]]:
    """Exchange the SQL of some questions for that of others; which ones, and for which, follows from the seed."""
    source = random.Random(f"wrong sql:{config.seed}")
    alike: dict[tuple[str, str], list[str]] = {}
    for name, asked in train:
        alike.setdefault((name, asked.family), []).append(asked.sql)
    made = []
    for name, asked in train:
        # drawn for every question, so that a greater fraction has all the wrong ones of a smaller
        is_wrong, other = source.random() < config.wrong_sql, source.choice(alike[name, asked.family])
        made.append((name, replace(asked, sql=other) if is_wrong else asked))
    return made


class _Answers:
    """Runs gold queries on the databases."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self._connections = {name: open_read_only(file) for name, file in files.items()}
        self._known: dict[tuple[str, str], bool] = {}

    def any(self, name: str, sql: str) -> bool:
        """Whether a query gives anything but nothing, NULL and 0, which too many wrong queries give as well."""
        if (name, sql) not in self._known:
            rows: Iterable[tuple[object, ...]] = self._connections[name].execute(sql)
            self._known[name, sql] = any(value not in (None, 0) for row in rows for value in row)
        return self._known[name, sql]

    def close(self) -> None:
        for connection in self._connections.values():
            connection.close()


def _examples(
    split: str, asked: list[tuple[str, Asked]], beginnings: Mapping[str, str], files: Mapping[str, Path]
) -> Iterable[Example]:
    for number, (name, one) in enumerate(asked):
        yield Example(
            id=f"{split}-{number}",
            prompt=beginnings[name] + question_text(one.question, _COMPACT),
            target=one.sql,
            question=one.question,
            group=name,
            database=files[name],
            difficulty=one.family,
        )


def _share(text: str) -> float:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64


def _version() -> str:
    """Changes with what makes the databases, so that an old cache is not taken for a new one."""
    here = Path(__file__).parent / "embedded"
    names = ("databases.py", "domains.py", "domains.toml")
    return hashlib.sha256(b"".join((here / name).read_bytes() for name in names)).hexdigest()[:8]


# How many test questions there are decides which are left to train on: training depends on all that evaluation does.
EMBEDDED = Dataset(
    name="embedded",
    summary="a text-to-SQL benchmark that is generated from a seed",
    config=EmbeddedData,
    load=build,
    metrics=("ex", "ts", "ex_vote", "exaccerr"),
    code=SHARED_CODE,
    extract=statement_in,
    asking=asking_embedded,
    little={"questions": 64, "test_questions": 10, "databases": 2},
)
