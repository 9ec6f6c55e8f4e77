"""Asking a run's model on the command line: answers, rows, notes, and what cannot be asked."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from made_runs import EVALUATE, SFT, MadeRun

from kdzoo.runs.answering import Answered

Kdzoo = Callable[..., Any]

MODELS = '[tokenizer]\npath = "t"\n[student]\npath = "s"\n'
SQL = f"""\
[data]
kind = "embedded"
questions = 50
test_questions = 10
databases = ["music"]
{MODELS}"""
TEXT = f"""\
[data]
kind = "jsonl"
train = "a.jsonl"
evaluation = "a.jsonl"
{MODELS}"""


class Said:
    """Stands in for a loaded model: says what it is told to, and keeps what it was asked."""

    def __init__(self) -> None:
        self.answers: list[Answered | BaseException] = []
        self.asked: list[tuple[str, list[tuple[str, str]]]] = []
        self.settings: dict[str, Any] = {}
        self.has_turns = False

    def __call__(self, found: Any, asked: Any, reporter: Any, **settings: Any) -> Said:
        self.data, self.settings = asked, settings
        return self

    def answer(self, question: str, earlier: Any = (), tell: Any = None) -> Answered:
        self.asked.append((question, list(earlier)))
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        if tell is not None:
            for piece in answer.text.split(" "):
                tell(f"{piece} ")
        return answer


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Said:
    said = Said()
    monkeypatch.setattr("kdzoo.runs.answering.AnsweringModel", said)
    return said


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """runs/sql-1 and runs/text-1, each with a finished student."""
    monkeypatch.chdir(tmp_path)
    Path("a.jsonl").write_text('{"prompt": "a", "target": "b"}\n')
    for name, head in (("sql", SQL), ("text", TEXT.replace("a.jsonl", str(tmp_path / "a.jsonl")))):
        run = MadeRun([SFT, EVALUATE], head=head).write(Path("runs") / f"{name}-1")
        (run / "sft/model").mkdir()
    return tmp_path


@pytest.fixture
def database(runs: Path, build: Callable[[str], Path]) -> Path:
    return build("CREATE TABLE t (n int, word text); INSERT INTO t VALUES (7, 'se\x1bven'), (8, NULL);")


@pytest.fixture
def build(tmp_path: Path) -> Callable[[str], Path]:
    import sqlite3

    def build(script: str) -> Path:
        file = tmp_path / "shop.sqlite"
        connection = sqlite3.connect(file)
        connection.executescript(script)
        connection.close()
        return file

    return build


class TestSql:
    def test_rows_are_shown(self, kdzoo: Kdzoo, model: Said, database: Path) -> None:
        model.answers = [Answered("SELECT n, word FROM t", "SELECT n, word FROM t", database=database)]
        done = kdzoo("chat", "runs/sql-1", "--database", database, "--ask", "How many?")
        assert (done.code, done.err) == (0, "")
        assert model.asked == [("How many?", [])]
        statement, *table, count = done.out.splitlines()
        assert (statement, count) == ("SELECT n, word FROM t", "2 rows")
        cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in table if "│" in line]
        assert cells == [["7", "se\\x1bven"], ["8", "NULL"]]

    def test_the_statement_is_taken_out_of_the_answer(
        self, kdzoo: Kdzoo, model: Said, database: Path
    ) -> None:
        model.answers = [Answered("It is:\n```sql\nSELECT 1\n```", "SELECT 1", database=database)]
        done = kdzoo("chat", "runs/sql-1", "--database", database, "--ask", "?")
        assert "```\n\nSQL: SELECT 1\n" in done.out
        assert done.out.endswith("1 row\n")

    def test_what_is_left_out_is_told(self, kdzoo: Kdzoo, model: Said, database: Path) -> None:
        model.answers = [Answered("SELECT n FROM t", "SELECT n FROM t", True, True, database)]
        done = kdzoo("chat", "runs/sql-1", "--database", database, "--ask", "?", "--rows", 1)
        assert done.out.endswith("the first row; there are more\n")
        assert done.err == (
            "note: the prompt is longer than the recipe's input_limit; it was shortened\n"
            "note: the answer was cut off; --max-new-tokens allows more\n"
        )

    def test_errors_of_a_statement_are_told_as_such(self, kdzoo: Kdzoo, model: Said, database: Path) -> None:
        before = database.read_bytes()
        statements = ["SELECT x\x1b FROM t", "DROP TABLE t"]
        model.answers = [Answered(sql, sql, database=database) for sql in statements]
        done = kdzoo("chat", "runs/sql-1", "--database", database, "--ask", "a", "--ask", "b")
        assert done.code == 0
        first, second = done.out.split("\n\n")
        assert first.startswith('SELECT x\\x1b FROM t\nSQL error: unrecognized token: "\\x1b"')
        assert second == "DROP TABLE t\nSQL error: not allowed: not authorized\n"
        assert database.read_bytes() == before
        assert done.err == "note: each question stands alone\n"

    def test_the_only_database_is_the_one_that_is_asked_on(
        self, kdzoo: Kdzoo, model: Said, runs: Path
    ) -> None:
        model.answers = [Answered("", "")]
        assert kdzoo("chat", "runs/sql-1", "--ask", "?").code == 0
        assert model.data.database == "music"


class TestText:
    def test_questions_come_from_the_standard_input(
        self, kdzoo: Kdzoo, model: Said, runs: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "stdin", StringIO("first\n\n  second \nhalf \udcff\n"))
        model.answers = [Answered("1", "1"), Answered("2\x07", "2"), Answered("3", "3")]
        done = kdzoo("chat", "runs/text-1/sft")
        assert (done.code, done.out) == (0, "1\n\n2\\x07\n\n3\n")
        assert model.asked == [("first", []), ("second", []), ("half ?", [])]
        assert (
            done.err
            == 'note: the recipe\'s template is "plain", which has no turns: each question stands alone\n'
        )

    def test_turns_are_kept_where_there_are_any(self, kdzoo: Kdzoo, model: Said, runs: Path) -> None:
        model.has_turns = True
        model.answers = [Answered("one", "one"), Answered("two", "two", was_shortened=True)]
        done = kdzoo("chat", "runs/text-1", "--ask", "a", "--ask", "b")
        assert model.asked == [("a", []), ("b", [("user", "a"), ("assistant", "one")])]
        assert (
            done.err
            == "note: the prompt is longer than the recipe's input_limit; what was said first is left out\n"
        )

    def test_how_it_is_decoded_can_be_chosen(self, kdzoo: Kdzoo, model: Said, runs: Path) -> None:
        for options, settings in (
            ([], {"temperature": 0.0, "most": None, "seed": 0}),
            (
                ["--temperature", 0.7, "--seed", 3, "--max-new-tokens", 9],
                {"temperature": 0.7, "most": 9, "seed": 3},
            ),
        ):
            model.answers = [Answered("x", "x")]
            assert kdzoo("chat", "runs/text-1", "--ask", "a", *options).code == 0
            assert model.settings == settings

    def test_ctrl_c_ends(self, kdzoo: Kdzoo, model: Said, runs: Path) -> None:
        model.answers = [KeyboardInterrupt()]
        done = kdzoo("chat", "runs/text-1", "--ask", "a")
        assert (done.code, done.err) == (130, "\nkdzoo: interrupted\n")


class TestTerminal:
    """Questions that are typed."""

    @pytest.fixture
    def typed(self, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
        def typed(*lines: str | type[BaseException]) -> None:
            left = list(lines)

            def read(prompt: str) -> str:
                line = left.pop(0)
                if isinstance(line, str):
                    return line
                raise line

            monkeypatch.setattr("builtins.input", read)
            monkeypatch.setattr("kdzoo.commands.chat._is_terminal", lambda _: True)

        return typed

    def test_answers_come_as_they_are_made(
        self, kdzoo: Kdzoo, model: Said, runs: Path, typed: Callable[..., None]
    ) -> None:
        typed("a", " ", "b", EOFError)
        model.answers = [Answered("one\x1b two", "x"), Answered("three", "x")]
        done = kdzoo("chat", "runs/text-1")
        assert done.code == 0
        assert done.out == "one\\x1b two \n\nthree \n\n"
        assert done.err == (
            'sft of runs/text-1; the recipe\'s template is "plain", which has no turns: each question stands alone; '
            "Ctrl-D ends\n"
        )

    def test_ctrl_c_leaves(self, kdzoo: Kdzoo, model: Said, runs: Path, typed: Callable[..., None]) -> None:
        typed(KeyboardInterrupt)
        done = kdzoo("chat", "runs/sql-1")
        assert done.code == 130
        assert done.err.endswith("each question stands alone; Ctrl-D ends\n\nkdzoo: interrupted\n")
        assert "on the database music" in done.err


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["runs/sql"], 2, 'runs/sql: there is no such run; did you mean "runs/sql-1"?'),
        (["runs/sql-1/evaluate"], 2, 'stage "evaluate" trains no model; those that do are: sft'),
        (["runs/text-1", "--db", "music"], 2, 'are no text-to-SQL (kind = "jsonl"), and have no databases'),
        (["runs/sql-1", "--db", "musik"], 2, 'no database is called "musik"; did you mean "music"?'),
        (["runs/sql-1", "--database", "a.jsonl"], 1, "a.jsonl: cannot be read as a SQLite database"),
        (["runs/sql-1", "--database", "x.sqlite"], 2, "x.sqlite: there is no such file"),
        (["runs/sql-1", "--db", "a", "--database", "b"], 2, "give one of them"),
        (["runs/torn-1"], 1, 'stage "sft" has left no model: it is not finished'),
    ],
)
def test_what_cannot_be_asked_is_told(
    kdzoo: Kdzoo, runs: Path, arguments: list[str], code: int, told: str
) -> None:
    shutil.copytree("runs/sql-1", "runs/torn-1")
    Path("runs/torn-1/sft/stage.json").unlink()
    done = kdzoo("chat", *arguments, "--ask", "?")
    assert (done.code, done.out) == (code, "")
    assert told in done.err
    assert "Traceback" not in done.err
