"""``kdzoo data check`` tells what a dataset holds, and what is wrong with it."""

import json
import sqlite3
import subprocess
import sys

import pytest
from click.testing import CliRunner
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from kdzoo.commands.data_check import command
from kdzoo.errors import RunError, UserError

GOLD = "SELECT name FROM item"


def write_database(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    with sqlite3.connect(path) as connection:
        connection.executescript("CREATE TABLE item (name TEXT); INSERT INTO item VALUES ('a'), ('b');")
    connection.close()


def questions(*queries, key="query"):
    return [{"db_id": "shop", "question": f"What is {n}?", key: sql} for n, sql in enumerate(queries)]


class Folder:
    """A folder in Spider's layout."""

    def __init__(self, path):
        self.path = path
        write_database(path / "database" / "shop" / "shop.sqlite")
        self.write("train_spider.json", questions(GOLD, GOLD, "SELECT count(*) FROM item"))
        self.write("dev.json", questions(GOLD))

    def write(self, name, content):
        text = content if isinstance(content, str) else json.dumps(content)
        (self.path / name).write_text(text, encoding="utf-8")


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


def check(*arguments):
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def lines(done):
    return done.output.splitlines()


class TestSpider:
    def test_counts_executability_and_lengths_are_reported(self, folder):
        done = check(folder.path, "--limit", 24)
        assert done.exit_code == 0, done.exception
        # database schema : / table item , columns = [ item.name ( text | values : a , b ) ] /
        # foreign keys : None / matched contents : None / What is 0?
        length = 3 + 17 + 4 + 4 + 3
        assert lines(done) == [
            "training: 3 examples on 1 databases",
            f"  prompt words: 50%: {length}, 90%: {length}, 99%: {length}, 100%: {length}; longer than 24: 3",
            "  gold queries that run: 3 of 3",
            "evaluation: 1 examples on 1 databases",
            f"  prompt words: 50%: {length}, 90%: {length}, 99%: {length}, 100%: {length}; longer than 24: 1",
            "  gold queries that run: 1 of 1",
        ]

    @pytest.mark.parametrize("beginning", [0, 1])
    def test_tokens_are_counted_by_a_tokenizer_as_a_run_has_them(self, folder, tmp_path, beginning):
        # one token a character, and one for the beginning if the tokenizer's own rule says so
        tokenizer = Tokenizer(models.WordLevel({"<unk>": 0, "</s>": 1}, unk_token="<unk>"))
        tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
        if beginning:
            tokenizer.post_processor = processors.TemplateProcessing(
                single="</s> $A", special_tokens=[("</s>", 1)]
            )
        saved = tmp_path / "tokenizer"
        PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>").save_pretrained(saved)
        text = (
            "database schema :\ntable item , columns = [ item.name ( text | values : a , b ) ]\n"
            "foreign keys : None\nmatched contents : None\nWhat is 0?\n"
        )
        tokens = len(text) + beginning
        for limit, longer in ((tokens, 0), (tokens - 1, 1)):
            done = check(folder.path, "--tokenizer", saved, "--limit", limit)
            assert lines(done)[4].startswith(f"  prompt tokens: 50%: {tokens}, ")
            assert lines(done)[4].endswith(f"longer than {limit}: {longer}")

    def test_percentiles_are_the_nearest_ranks(self, folder):
        asked = [{**q, "question": "a " * n} for n, q in enumerate(questions(*[GOLD] * 100), start=1)]
        folder.write("dev.json", asked)
        done = check(folder.path, "--limit", 1000)
        without = 3 + 17 + 4 + 4
        shown = ", ".join(f"{p}%: {p + without}" for p in (50, 90, 99, 100))
        assert lines(done)[4] == f"  prompt words: {shown}; longer than 1000: 0"

    def test_gold_queries_that_fail_are_shown_and_make_it_fail(self, folder):
        folder.write("train_spider.json", questions(*[f"SELECT x{n} FROM item" for n in range(12)], GOLD))
        folder.write("dev.json", questions("DROP TABLE item", "SELECT name FRM item", GOLD))
        done = check(folder.path)
        assert isinstance(done.exception, RunError)
        assert str(done.exception) == f"{folder.path}: gold queries that do not run: 14"
        assert "  gold queries that run: 1 of 13" in lines(done)
        assert "  train_spider-0 (shop): shop.sqlite: no such column: x0: SELECT x0 FROM item" in lines(done)
        assert "  and 2 more" in lines(done)
        assert "  gold queries that run: 1 of 3" in lines(done)
        assert "  dev-0 (shop): shop.sqlite: not allowed: not authorized: DROP TABLE item" in lines(done)

    def test_another_evaluation_file(self, folder):
        folder.write("realistic.json", questions(GOLD, GOLD))
        assert "evaluation: 2 examples on 1 databases" in lines(
            check(folder.path, "--evaluation", "realistic.json")
        )

    def test_training_files_may_be_absent(self, folder):
        (folder.path / "train_spider.json").unlink()
        done = check(folder.path)
        assert done.exit_code == 0
        assert lines(done)[:2] == ["training: no examples", "evaluation: 1 examples on 1 databases"]

    def test_nothing_is_written(self, folder):
        before = {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}
        check(folder.path)
        assert {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()} == before

    def test_wrong_entries_are_errors_or_are_counted(self, folder):
        wrong = [{**questions(GOLD)[0], "db_id": "bank"}, {"db_id": "shop", "question": "?"}, 7]
        folder.write("dev.json", [*wrong, *questions(GOLD)])
        done = check(folder.path)
        assert isinstance(done.exception, UserError)
        assert "dev.json: entry 0: its database 'bank'" in str(done.exception)
        done = check(folder.path, "--skip")
        assert done.exit_code == 0
        assert lines(done)[:3] == [
            "entries left out: no database: 1",
            "entries left out: no gold SQL: 1",
            "entries left out: not an object: 1",
        ]
        assert "evaluation: 1 examples on 1 databases" in lines(done)

    def test_nothing_left_to_use_is_a_failure(self, folder):
        (folder.path / "train_spider.json").unlink()
        folder.write("dev.json", [{}])
        done = check(folder.path, "--skip")
        assert isinstance(done.exception, RunError)
        assert "holds no examples that can be used" in str(done.exception)


class TestBird:
    @pytest.fixture
    def bird(self, tmp_path):
        write_database(tmp_path / "dev" / "dev_databases" / "shop" / "shop.sqlite")
        file = tmp_path / "dev" / "dev.json"
        file.write_text(json.dumps(questions(GOLD, key="SQL")), encoding="utf-8")
        return tmp_path

    def test_a_folder_of_bird_is_told_by_its_databases(self, bird):
        done = check(bird)
        assert done.exit_code == 0, done.exception
        assert lines(done)[:2] == ["training: no examples", "evaluation: 1 examples on 1 databases"]
        assert lines(done)[-1] == "  gold queries that run: 1 of 1"

    def test_the_folder_of_one_split_needs_the_files_name(self, bird):
        assert "dev/dev/dev.json: there is no such file; name the" in str(check(bird / "dev").exception)
        assert check(bird / "dev", "--evaluation", "dev.json").exit_code == 0

    def test_birds_rules_hold(self, bird):
        file = bird / "dev" / "dev.json"
        file.write_text(
            json.dumps(questions("SELECT name FROM item WHERE 1 > = 0", key="SQL")), encoding="utf-8"
        )
        done = check(bird)
        assert '  dev-0 (shop): shop.sqlite: near "=": syntax error' in done.output


class TestJsonl:
    @pytest.fixture
    def file(self, tmp_path):
        path = tmp_path / "task.jsonl"
        path.write_text('{"prompt": "two words", "target": "x"}\n{"prompt": "one"}\n', encoding="utf-8")
        return path

    def test_one_file_or_two(self, file):
        assert "task.jsonl:2: has no target" in str(check(file).exception)
        done = check(file, "--skip")
        assert done.exit_code == 0
        assert lines(done) == [
            "entries left out: no target: 1",
            "training: 1 examples",
            "  prompt words: 50%: 2, 90%: 2, 99%: 2, 100%: 2; longer than 1024: 0",
            "evaluation: no examples",
        ]
        done = check(file, "--skip", "--evaluation", file)
        assert lines(done)[0] == "entries left out: no target: 2"
        assert lines(done)[-2] == "evaluation: 1 examples"


class TestMistakes:
    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("dev.json", "[", "dev.json:1: not valid JSON"),
            ("dev.json", '[{"db_id": "shop",\n', "dev.json:2: not valid JSON"),
            ("dev.json", "{}", "dev.json: must hold a JSON list, not an object"),
            ("dev.json", "[" * 100_000, "nested too deeply"),
            ("dev.json", "", "dev.json:1: not valid JSON"),
            ("train_spider.json", "no JSON", "train_spider.json:1: not valid JSON"),
            ("tables.json", "[3]", "tables.json: entry 0: not in the official format"),
            ("database/shop/shop.sqlite", "no database", "shop.sqlite: cannot be read as a SQLite database"),
        ],
    )
    def test_a_file_that_is_not_as_it_should_be(self, folder, name, content, message):
        folder.write(name, content)
        done = check(folder.path)
        assert isinstance(done.exception, UserError)
        assert message in str(done.exception)

    def test_paths_that_lead_to_nothing_known(self, folder, tmp_path):
        for path, message in (
            (tmp_path / "nowhere", "nowhere: there is no such file or folder"),
            (folder.path / "database", "neither Spider's layout (a folder database) nor BIRD's"),
            (
                folder.path / "dev.json",
                "give the folder that it lies in, and this file by --evaluation dev.json",
            ),
            (folder.path / "database" / "shop" / "shop.sqlite", "shop.sqlite:1: not UTF-8 text"),
        ):
            done = check(path)
            assert isinstance(done.exception, UserError), path
            assert message in str(done.exception)

    def test_a_missing_evaluation_file(self, folder):
        done = check(folder.path, "--evaluation", "none.json")
        assert "none.json: there is no such file; name the evaluation file by --evaluation" in str(
            done.exception
        )

    def test_a_tokenizer_that_is_none(self, folder):
        done = check(folder.path, "--tokenizer", folder.path)
        assert isinstance(done.exception, UserError)
        assert "the tokenizer of" in str(done.exception)

    def test_the_program_exits_without_a_traceback(self, folder):
        script = "from kdzoo.cli import main; main()"
        for path, code in ((folder.path / "nowhere", 2), (folder.path, 1)):
            folder.write("dev.json", questions("SELECT x FROM item"))
            done = subprocess.run(
                [sys.executable, "-c", script, "data", "check", path],
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == code
            assert done.stderr.startswith("kdzoo: ")
            assert "Traceback" not in done.stderr


def test_checking_imports_no_torch():
    script = "import sys, kdzoo.commands.data_check; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
