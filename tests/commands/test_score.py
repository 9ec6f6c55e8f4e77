"""``kdzoo score`` judges predictions and reports; mistakes are told by file and line."""

import json
import sqlite3
import subprocess
import sys

import pytest
from click.testing import CliRunner

from kdzoo.commands.score import command
from kdzoo.errors import RunError, UserError
from kdzoo.tasks.sql.request import Answer

QUESTIONS = [
    {"db_id": "shop", "question": "How many?", "query": "SELECT count(*) FROM item"},
    {"db_id": "shop", "question": "Which?", "query": "SELECT name, price FROM item WHERE price > 1"},
    {"db_id": "shop", "question": "Dearest?", "query": "SELECT name FROM item ORDER BY price DESC LIMIT 1"},
]


class Shop:
    """A folder with questions, a database and a file of predictions."""

    def __init__(self, folder):
        self.folder = folder
        self.data = folder / "dev.json"
        self.databases = folder / "database"
        self.predictions = folder / "predictions.sql"
        self.out = folder / "scores.json"
        self.ask(QUESTIONS)
        self.add_database("shop")

    def ask(self, questions):
        self.data.write_text(json.dumps(questions), encoding="utf-8")

    def add_database(self, name, rows="(1, 'a', 1), (2, 'b', 2), (3, 'c', 3)"):
        folder = self.databases / "shop"
        folder.mkdir(parents=True, exist_ok=True)
        with sqlite3.connect(folder / f"{name}.sqlite") as connection:
            connection.executescript(f"CREATE TABLE item (id, name, price); INSERT INTO item VALUES {rows};")
        connection.close()

    def predict(self, *lines):
        self.predictions.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    def score(self, *options):
        arguments = ["--data", self.data, "--databases", self.databases, "--predictions", self.predictions]
        return CliRunner().invoke(command, [str(a) for a in [*arguments, "--json", self.out, *options]])

    def scored(self, *options):
        done = self.score(*options)
        assert done.exit_code == 0, (done.output, done.exception)
        return json.loads(self.out.read_text(encoding="utf-8"))


@pytest.fixture
def shop(tmp_path):
    return Shop(tmp_path)


def test_statements_are_taken_out_of_a_chat_where_that_is_asked(shop):
    said = [
        "<think>a count?</think>It is\n```sql\nSELECT count(*) FROM item;\n```",
        "SELECT name, price FROM item WHERE price > 1",
        "I cannot tell.",
    ]
    shop.predictions = shop.folder / "said.jsonl"
    shop.predict(*(json.dumps({"prediction": text}) for text in said))
    assert shop.scored("--extract", "auto")["verdicts"] == [True, True, False]
    assert shop.scored()["verdicts"] == [False, True, False]


def test_score_verdicts_errors_and_intervals_are_written(shop):
    shop.predict("SELECT 3", "SELECT price, name FROM item WHERE price >= 2", "SELECT nme FROM item")
    scores = shop.scored()
    assert scores["metric"] == "ex"
    assert scores["score"] == pytest.approx(2 / 3)
    assert scores["verdicts"] == [True, True, False]
    assert scores["errors"] == {"no such column": 1}
    assert scores["reasons"] == [None, None, "no such column: nme"]
    assert scores["timeouts"] == scores["gold_errors"] == 0
    assert scores["interval"][0] < 2 / 3 < scores["interval"][1]
    assert {name: (part["right"], part["count"]) for name, part in scores["by_difficulty"].items()} == {
        "easy": (1, 1),
        "medium": (1, 2),
    }


def test_the_table_shows_them_too(shop):
    shop.predict("SELECT 3", "", "SELECT nme FROM item")
    lines = [line.split() for line in shop.score().stdout.splitlines() if line]
    assert lines == [
        ["questions", "EX", "95%", "interval", "right", "of"],
        ["easy", "100.0%", "20.7", "to", "100.0%", "1", "1"],
        ["medium", "0.0%", "0.0", "to", "65.8%", "0", "2"],
        ["all", "33.3%", "6.1", "to", "79.2%", "1", "3"],
        ["predictions", "without", "a", "result", "count"],
        ["no", "statement", "1"],
        ["no", "such", "column", "1"],
    ]


def test_ts_looks_at_every_database_of_the_suite(shop):
    shop.add_database("shop_2", "(1, 'a', 9), (2, 'b', 8)")
    shop.predict("SELECT 3", QUESTIONS[1]["query"], QUESTIONS[2]["query"])
    assert shop.scored("--metric", "ex")["verdicts"] == [True, True, True]
    assert shop.scored("--metric", "ts")["verdicts"] == [False, True, True]


def test_bird_uses_its_own_keys_difficulties_and_rules(shop):
    questions = [
        {"question_id": 7, "db_id": "shop", "question": "?", "SQL": q["query"], "difficulty": level}
        for q, level in zip(QUESTIONS, ["challenging", "simple", "simple"], strict=True)
    ]
    shop.ask(questions)
    shop.predict("SELECT 3\t----- bird -----\tshop", "SELECT price, name FROM item", QUESTIONS[2]["query"])
    scores = shop.scored("--metric", "bird-ex")
    assert scores["verdicts"] == [True, False, True]
    assert list(scores["by_difficulty"]) == ["simple", "challenging"]


def test_official_quirks_are_applied_on_demand(shop):
    shop.predict("SELECT 3\tshop", QUESTIONS[1]["query"], QUESTIONS[2]["query"] + " -- value\tanything")
    assert shop.scored()["verdicts"] == [True, True, True]
    shop.predict("SELECT 3 AS value", QUESTIONS[1]["query"] + "\tFROM", QUESTIONS[2]["query"])
    assert shop.scored()["verdicts"] == [True, False, True]
    assert shop.scored("--official-quirks")["verdicts"] == [False, True, True]


def test_jsonl_may_hold_queries_of_several_lines(shop):
    shop.predict(*(json.dumps({"prediction": q["query"].replace(" FROM", "\nFROM")}) for q in QUESTIONS))
    assert shop.scored()["score"] == 1.0


def test_a_gold_query_that_fails_is_reported_and_both_scores_are_given(shop):
    shop.ask([*QUESTIONS, {"db_id": "shop", "question": "?", "query": "SELECT x FROM nowhere"}])
    shop.predict(*(q["query"] for q in QUESTIONS), "SELECT 1")
    done = shop.score()
    assert done.exit_code == 0
    assert "gold queries that do not run: 1" in done.stderr
    assert "dev-3" in done.stderr
    assert "no such table: nowhere" in done.stderr
    scores = json.loads(shop.out.read_text(encoding="utf-8"))
    assert (scores["score"], scores["count"], scores["gold_errors"]) == (0.75, 4, 1)
    assert (scores["gold_runs"]["score"], scores["gold_runs"]["count"]) == (1.0, 3)
    assert "without them the score is 100.0%" in done.stderr
    assert [line.split()[-2:] for line in done.stdout.splitlines() if line.startswith("all")] == [
        ["3", "4"],
        ["3", "3"],
    ]
    assert scores["verdicts"] == [True, True, True, False]


def test_if_no_gold_query_runs_that_is_a_failure(shop):
    (shop.databases / "shop" / "shop.sqlite").write_bytes(b"")
    shop.predict(*(q["query"] for q in QUESTIONS))
    done = shop.score()
    assert isinstance(done.exception, RunError)
    assert "no gold query runs" in str(done.exception)
    assert not shop.out.exists()


def test_blanks_around_a_line_are_dropped_as_by_the_official_program(shop):
    shop.predict("\u00a0SELECT 3", "\t" + QUESTIONS[1]["query"], f" {QUESTIONS[2]['query']}\u3000")
    assert shop.scored()["verdicts"] == [True, True, True]
    assert shop.scored("--official-quirks")["verdicts"] == [True, True, True]


def test_predictions_with_ids_are_aligned_by_them(shop):
    shop.ask([{"question_id": 70 + n, **q} for n, q in enumerate(QUESTIONS)])
    order = (2, 0, 1)
    shop.predict(*(json.dumps({"question_id": 70 + n, "sql": QUESTIONS[n]["query"]}) for n in order))
    assert shop.scored()["score"] == 1.0


def test_a_time_limit_is_the_limit_of_each_query(shop):
    endless = "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x FROM r) SELECT count(*) FROM r"
    shop.predict("SELECT 3", endless, QUESTIONS[2]["query"])
    scores = shop.scored("--time-limit", "0.2")
    assert scores["verdicts"] == [True, False, True]
    assert scores["timeouts"] == 1


@pytest.mark.parametrize(("metric", "seconds"), [("ex", 10), ("ts", 10), ("bird-ex", 30)])
def test_how_long_many_endless_queries_take_is_told(shop, monkeypatch, metric, seconds):
    # each needs more than a first try and then answers
    monkeypatch.setattr(
        "kdzoo.tasks.sql.judge._ask",
        lambda worker, request: Answer(False, "timeout", slow=request.seconds == 0.1),
    )
    shop.ask(QUESTIONS * 5)
    shop.predict(*["SELECT 3"] * 15)
    told = " ".join(shop.score("--metric", metric).stderr.split())
    assert (
        f"15 of 15 predictions did not end in a first try of at most 0.1 s of CPU time. Each may take {seconds} s"
        in told
    )
    assert f"{2 if seconds == 10 else 7} min 30 s of CPU time at most" in told
    assert "--time-limit lowers it" in told


class TestMistakes:
    def test_the_gold_files_own_key_is_no_prediction(self, shop):
        shop.ask([{**q, "SQL": q["query"]} for q in QUESTIONS])
        for key in ("SQL", "sql"):
            shop.predict(*(json.dumps({key: q["query"]}) for q in QUESTIONS))
            assert f'predictions.sql:1: "{key}" is a key of the gold file' in self.mistake(shop)

    def test_a_database_that_is_not_the_questions(self, shop):
        (shop.databases / "bank").mkdir()
        shop.predict("SELECT 3\tshop", "SELECT 3\tbank", "SELECT 3\tshop")
        message = self.mistake(shop)
        assert "predictions.sql: prediction 2 (question dev-1): is for the database 'bank'" in message
        assert "'shop'" in message

    def mistake(self, shop, *options):
        done = shop.score(*options)
        assert isinstance(done.exception, UserError), done.output
        assert not shop.out.exists()
        return str(done.exception)

    def test_too_few_predictions(self, shop):
        shop.predict("SELECT 1")
        assert "predictions.sql: has 1 prediction for 3 questions" in self.mistake(shop)

    def test_no_predictions_file(self, shop):
        assert "predictions.sql: there is no such file" in self.mistake(shop)

    def test_undecodable_predictions(self, shop):
        shop.predictions.write_bytes(b"SELECT 1\n\xfe\nSELECT 3\n")
        assert "predictions.sql:2: not UTF-8" in self.mistake(shop)

    def test_no_questions(self, shop):
        shop.predict()
        shop.ask([])
        assert "dev.json: holds no questions" in self.mistake(shop)

    def test_a_question_without_a_database(self, shop):
        shop.predict("SELECT 1")
        shop.ask([{"db_id": "bank", "question": "?", "query": "SELECT 1"}])
        message = self.mistake(shop)
        assert "dev.json: entry 0" in message
        assert "bank/bank.sqlite" in message

    def test_malformed_questions(self, shop):
        shop.data.write_text('[{"db_id":\n', encoding="utf-8")
        assert "dev.json:2: not valid JSON" in self.mistake(shop)

    def test_no_folder_of_databases(self, shop):
        shop.databases = shop.folder / "nowhere"
        assert "nowhere: there is no such folder" in self.mistake(shop)

    def test_no_folder_to_write_to(self, shop):
        shop.predict(*(q["query"] for q in QUESTIONS))
        assert "there is no folder" in self.mistake(shop, "--json", str(shop.folder / "no" / "x.json"))


def test_the_program_exits_2_without_a_traceback_for_a_mistake(shop):
    script = "from kdzoo.cli import main; main()"
    arguments = ["--data", shop.data, "--databases", shop.databases, "--predictions", shop.predictions]
    done = subprocess.run(
        [sys.executable, "-c", script, "score", *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("kdzoo: ")
    assert "Traceback" not in done.stderr


def test_scoring_imports_no_torch():
    script = "import sys, kdzoo.commands.score; print('torch' in sys.modules, 'pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
