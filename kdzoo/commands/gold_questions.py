"""Questions with gold SQL, in Spider's or BIRD's format, for the commands that run it."""

from __future__ import annotations

from pathlib import Path

from kdzoo.errors import UserError
from kdzoo.tasks.entries import WrongEntries
from kdzoo.tasks.sql.gold_file import GoldFile
from kdzoo.tasks.text_to_sql.database_files import DatabaseFiles
from kdzoo.tasks.text_to_sql.questions import Keys, Question, read_json_list, read_questions

_KEYS = Keys(question=("SpiderSynQuestion", "question"), sql=("query", "SQL"))


class _Strict(WrongEntries):
    def note(self, where: str, what: str, kind: str) -> None:
        raise UserError(f"{where}: {what}")


def read_gold_questions(file: Path, databases: Path) -> list[Question]:
    """Read a file of questions on DATABASES/NAME/NAME.sqlite.

    Raises:
        UserError: a file or folder is missing, an entry is wrong, or there is none.
    """
    if not databases.is_dir():
        raise UserError(f"{databases}: there is no such folder of databases")
    questions = read_questions(file, _KEYS, DatabaseFiles([databases]).find, _Strict("raise"))
    if not questions:
        raise UserError(f"{file}: holds no questions")
    return questions


def describe_gold(file: Path, questions: list[Question]) -> GoldFile:
    """What predictions for a file's questions, all of them, are held against."""
    return GoldFile.of(read_json_list(file), [question.id for question in questions])
