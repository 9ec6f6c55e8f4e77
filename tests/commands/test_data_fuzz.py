"""``kdzoo data fuzz`` writes test suites beside nothing of its source unless told to."""

import json
import sqlite3

import pytest
from click.testing import CliRunner

from kdzoo.commands.data_fuzz import command
from kdzoo.commands.score import command as score
from kdzoo.errors import RunError, UserError

GOLD = "SELECT name FROM item WHERE price > 1"


class Source:
    """A folder of databases with questions."""

    def __init__(self, folder):
        self.databases = folder / "database"
        self.out = folder / "suite"
        self.questions = folder / "dev.json"
        for name in ("shop", "bank"):
            (self.databases / name).mkdir(parents=True)
            with sqlite3.connect(self.databases / name / f"{name}.sqlite") as connection:
                connection.executescript(
                    "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, price INT);"
                    "INSERT INTO item VALUES (1, 'a', 2), (2, 'b', 5);"
                )
            connection.close()
        questions = [{"db_id": name, "question": "?", "query": GOLD} for name in ("shop", "bank")]
        self.questions.write_text(json.dumps(questions), encoding="utf-8")

    def fuzz(self, *options, out=None):
        arguments = [
            self.databases,
            "--questions",
            self.questions,
            "--out",
            out or self.out,
            "--candidates",
            5,
        ]
        return CliRunner().invoke(command, [str(a) for a in [*arguments, *options]])

    def files(self):
        return {
            str(p.relative_to(self.databases)): p.read_bytes()
            for p in self.databases.rglob("*")
            if p.is_file()
        }


@pytest.fixture
def source(tmp_path):
    return Source(tmp_path)


def test_a_suite_for_each_database_and_a_report(source):
    before = source.files()
    done = source.fuzz()
    assert done.exit_code == 0, (done.output, done.exception)
    assert source.files() == before
    report = json.loads((source.out / "fuzz.json").read_text(encoding="utf-8"))
    assert list(report) == ["shop", "bank"]
    for name, suite in report.items():
        written = sorted(path.name for path in (source.out / name).iterdir())
        assert written == sorted([f"{name}.sqlite", *suite["files"]])
        assert suite["queries"] == 1
        assert suite["caught_by_one_database"] < suite["caught_by_suite"] <= suite["mutants"]
        assert (source.out / name / f"{name}.sqlite").read_bytes() == before[f"{name}/{name}.sqlite"]
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[-1][:3] == ["all", "2", str(sum(suite["mutants"] for suite in report.values()))]
    # nothing of the work is left
    assert sorted(path.name for path in source.out.iterdir()) == ["bank", "fuzz.json", "shop"]


def test_ts_on_the_suite_finds_what_ex_on_the_database_does_not(source):
    source.fuzz()
    predictions = source.questions.with_name("predictions.sql")
    predictions.write_text(f"SELECT name FROM item\n{GOLD}\n", encoding="utf-8")
    scores = source.questions.with_name("scores.json")

    def verdicts(databases, metric):
        arguments = ["--data", source.questions, "--databases", databases, "--predictions", predictions]
        CliRunner().invoke(score, [str(a) for a in [*arguments, "--metric", metric, "--json", scores]])
        return json.loads(scores.read_text(encoding="utf-8"))["verdicts"]

    assert verdicts(source.databases, "ex") == [True, True]
    assert verdicts(source.out, "ts") == [False, True]


def test_a_second_run_replaces_the_first(source):
    source.fuzz("--seed", 1)
    first = {path.name for path in (source.out / "shop").iterdir()}
    source.fuzz("--seed", 2, "--keep", 1)
    second = {path.name for path in (source.out / "shop").iterdir()}
    assert second == {"shop.sqlite", "shop_fuzz1.sqlite"}
    assert second <= first


def test_beside_the_databases_if_out_says_so(source):
    before = source.files()
    source.fuzz("--keep", 2, out=source.databases)
    source.fuzz("--keep", 1, out=source.databases)
    after = source.files()
    assert {name: after[name] for name in before} == before
    added = set(after) - set(before)
    assert added == {"shop/shop_fuzz1.sqlite", "bank/bank_fuzz1.sqlite", "fuzz.json"}


def test_a_folder_that_holds_something_else_is_not_replaced(source):
    (source.out / "shop").mkdir(parents=True)
    (source.out / "shop" / "thesis.txt").write_text("work of years", encoding="utf-8")
    done = source.fuzz()
    assert isinstance(done.exception, UserError)
    assert "thesis.txt" in str(done.exception)
    assert (source.out / "shop" / "thesis.txt").read_text(encoding="utf-8") == "work of years"


def test_a_place_that_cannot_be_written_is_told(source):
    done = source.fuzz(out=source.questions)
    assert isinstance(done.exception, RunError)
    assert "dev.json: cannot be written: File exists" in str(done.exception)


def test_mistakes_are_told(source):
    done = CliRunner().invoke(command, [str(source.out), "--questions", str(source.questions)])
    assert "there is no such folder of databases" in str(done.exception)
    source.questions.write_text("[{}]", encoding="utf-8")
    assert "dev.json: entry 0" in str(source.fuzz().exception)
    assert not source.out.exists()
