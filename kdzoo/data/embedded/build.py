"""The embedded benchmark as examples: databases on disk, questions split by their SQL."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable
from pathlib import Path

from kdzoo.data.config import EmbeddedData
from kdzoo.data.embedded.databases import write_database
from kdzoo.data.embedded.domains import DOMAINS, Domain
from kdzoo.data.embedded.questions import Asked, ask
from kdzoo.data.example import Example, Splits
from kdzoo.data.prompt import PromptStyle, prompt_text
from kdzoo.data.schema import Schema, read_schema
from kdzoo.errors import UserError

# The databases are small and always the same: their names are all that a model needs to be told.
_COMPACT = PromptStyle(details=False, values=False, keys=False, matches=False)

# Some wording is drawn again and again; this many draws for one new question means that there are no more.
_PATIENCE = 200


def build(config: EmbeddedData, cache: Path) -> Splits:
    """Make the benchmark: the same databases, questions and split for the same settings, on every machine.

    No (database, SQL) pair and no question text of the test is in the training examples.

    Raises:
        UserError: more questions are asked for than the templates can give.
    """
    domains = DOMAINS[: config.databases]
    folder = cache / f"embedded-{config.seed}-{_version()}"
    files = {domain.name: folder / domain.name / f"{domain.name}.sqlite" for domain in domains}
    for domain in domains:
        if not files[domain.name].is_file():
            write_database(domain, config.seed, files[domain.name])
    schemas = {domain.name: read_schema(files[domain.name]) for domain in domains}
    train, test = _questions(config, domains)
    return Splits(
        train=list(_examples("train", train, schemas, files)),
        evaluation=list(_examples("test", test, schemas, files)),
        task="sql",
        metric="spider",
    )


def _questions(
    config: EmbeddedData, domains: Iterable[Domain]
) -> tuple[list[tuple[str, Asked]], list[tuple[str, Asked]]]:
    source = random.Random(f"questions:{config.seed}")
    domains = list(domains)
    seen: set[tuple[str, str]] = set()
    held_out = config.test_questions / (config.questions + config.test_questions)
    train: list[tuple[str, Asked]] = []
    test: list[tuple[str, Asked]] = []
    draws = 0
    while len(train) < config.questions or len(test) < config.test_questions:
        domain = domains[draws % len(domains)]
        draws += 1
        if draws > _PATIENCE * (config.questions + config.test_questions):
            raise UserError(
                f"data: the embedded benchmark cannot give {config.questions} + {config.test_questions} different "
                f"questions on {len(domains)} databases; ask for fewer questions or more databases"
            )
        asked = ask(domain, source, config.families)
        if (domain.name, asked.question) in seen:
            continue
        # which side an SQL belongs to depends on the SQL alone, so that its paraphrases stay on one side
        side = test if _share(f"{config.seed}:{domain.name}:{asked.sql}") < held_out else train
        if len(side) < (config.questions if side is train else config.test_questions):
            seen.add((domain.name, asked.question))
            side.append((domain.name, asked))
    return train, test


def _examples(
    split: str, asked: list[tuple[str, Asked]], schemas: dict[str, Schema], files: dict[str, Path]
) -> Iterable[Example]:
    for number, (name, one) in enumerate(asked):
        yield Example(
            id=f"{split}-{number}",
            prompt=prompt_text(schemas[name], one.question, _COMPACT),
            target=one.sql,
            question=one.question,
            group=name,
            database=files[name],
            difficulty=one.family,
        )


def _share(text: str) -> float:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64


def _version() -> str:
    """Changes with the code that makes the databases, so that an old cache is not taken for a new one."""
    here = Path(__file__).parent
    code = b"".join((here / name).read_bytes() for name in ("databases.py", "domains.py"))
    return hashlib.sha256(code).hexdigest()[:8]
