"""BIRD: its layout, evidence and comments; its mini dev set on databases built under its schemas."""

import json
import shutil
import sqlite3

import pytest
from click.testing import CliRunner
from real_data import build_mini_dev

from kdzoo.commands.score import command as score
from kdzoo.errors import UserError
from kdzoo.tasks.load import load
from kdzoo.tasks.text_to_sql.bird import BIRD, BirdData


class BirdFolder:
    """A folder in BIRD's layout: train and dev, each with databases of its own."""

    def __init__(self, path, database):
        self.path = path
        self.add_split("train", "train.json", database)
        self.add_split("dev", "dev.json", database)

    def add_split(self, split, file, database):
        place = self.path / split / f"{split}_databases" / "concerts"
        place.mkdir(parents=True)
        shutil.copy(database, place)
        self.ask(
            f"{split}/{file}",
            {
                "question_id": 7,
                "db_id": "concerts",
                "question": "Where do the French sing?",
                "evidence": "French refers to Country = 'France'",
                "SQL": "SELECT Country\n  FROM singer;",
                "difficulty": "moderate",
            },
        )

    def ask(self, file, *entries):
        (self.path / file).write_text(json.dumps(entries), encoding="utf-8")

    def describe(self, split, table, text):
        place = self.path / split / f"{split}_databases" / "concerts" / "database_description"
        place.mkdir(exist_ok=True)
        (place / f"{table}.csv").write_text(text, encoding="utf-8")


@pytest.fixture
def folder(tmp_path, concerts):
    return BirdFolder(tmp_path / "bird", concerts)


@pytest.fixture
def read(folder, tmp_path):
    def give(**settings):
        return load(BirdData(kind="bird", path=str(folder.path), **settings), cache=tmp_path / "cache")

    return give


class TestLayout:
    def test_questions_become_examples(self, folder, read):
        splits = read()
        assert (splits.sql_rule, splits.report) == ("bird", {})
        for split, examples in (("train", splits.train), ("dev", splits.evaluation)):
            (example,) = examples
            assert (example.id, example.group, example.difficulty) == ("7", "concerts", "moderate")
            assert example.target == "SELECT Country FROM singer"
            assert example.database.parts[-3] == f"{split}_databases"
        assert read(train=()).train == []

    def test_the_evidence_stands_before_the_question_or_nowhere(self, read):
        (example,) = read().evaluation
        assert example.prompt.endswith(
            "matched contents :\nsinger.country ( France )\n"
            "French refers to Country = 'France'\nWhere do the French sing?\n"
        )
        (example,) = read(evidence=False).evaluation
        assert example.prompt.endswith("matched contents : None\nWhere do the French sing?\n")

    def test_a_question_without_evidence_has_no_empty_line(self, folder, read):
        folder.ask(
            "dev/dev.json", {"db_id": "concerts", "question": "Who?", "evidence": "", "SQL": "SELECT 1"}
        )
        (example,) = read().evaluation
        assert example.prompt.endswith("matched contents : None\nWho?\n")
        assert (example.id, example.difficulty) == ("dev-0", None)

    def test_comments_come_from_descriptions_and_else_from_the_tables_file(self, folder, read):
        names = {
            "db_id": "concerts",
            "table_names_original": ["singer"],
            "column_names_original": [[-1, "*"], [0, "Name"], [0, "Country"]],
            "column_names": [[-1, "*"], [0, "from tables"], [0, "land of birth"]],
        }
        (folder.path / "dev" / "dev_tables.json").write_text(json.dumps([names]), encoding="utf-8")
        folder.describe("dev", "singer", "original_column_name,column_name\nName,full name of the singer\n")
        (example,) = read(train=()).evaluation
        assert "singer.name ( text | comment : full name of the singer |" in example.prompt
        assert "singer.country ( text | comment : land of birth |" in example.prompt

    def test_wrong_entries_are_named_or_counted(self, folder, read):
        good = {"db_id": "concerts", "question": "?", "SQL": "SELECT 1"}
        folder.ask(
            "dev/dev.json", good, {**good, "db_id": "x"}, {**good, "SQL": None}, {**good, "question": 3}
        )
        with pytest.raises(UserError, match=r"dev/dev\.json: entry 1: .*x/x\.sqlite"):
            read()
        splits = read(on_error="skip")
        assert len(splits.evaluation) == 1
        assert splits.report == {
            "entries left out: no database": 1,
            "entries left out: no gold SQL": 1,
            "entries left out: no question": 1,
        }

    def test_missing_and_truncated_files_are_named(self, folder, read):
        with pytest.raises(UserError, match=r"dev/test\.json: there is no such file"):
            read(evaluation="dev/test.json")
        (folder.path / "train" / "train.json").write_text('[{"db_id": "con', encoding="utf-8")
        with pytest.raises(UserError, match=r"train\.json:1: not valid JSON"):
            read()


class TestOnePart:
    def test_is_read_without_the_other_s_files(self, folder, tmp_path):
        config = BirdData(kind="bird", path=str(folder.path))
        for part, other in (("train", "dev"), ("evaluation", "train")):
            hidden = folder.path / other
            hidden.rename(tmp_path / "hidden")
            narrowed = BIRD.part_of(config, part)
            assert list(BIRD.missing(narrowed)) == []
            splits = load(narrowed, cache=tmp_path / "cache")
            read = {"train": splits.train, "evaluation": splits.evaluation}
            assert {name: len(examples) for name, examples in read.items()} == {
                "train": int(part == "train"),
                "evaluation": int(part == "evaluation"),
            }
            (tmp_path / "hidden").rename(hidden)

    def test_there_is_none_to_train_on_if_the_table_says_so(self, folder):
        assert BIRD.part_of(BirdData(kind="bird", path=str(folder.path), train=()), "train") is None

    def test_what_is_not_there_is_missing_by_its_key(self, folder):
        config = BirdData(kind="bird", path=str(folder.path), train=("a.json",), evaluation="dev/b.json")
        assert [key for key, _ in BIRD.missing(config)] == ["train", "evaluation"]


class TestMiniDev:
    @pytest.fixture(scope="class")
    def questions(self, bird):
        return json.loads((bird / "mini_dev_sqlite.json").read_text(encoding="utf-8"))

    @pytest.fixture(scope="class")
    def mini_dev(self, bird, tmp_path_factory):
        return build_mini_dev(bird, tmp_path_factory.mktemp("bird"))

    @pytest.fixture(scope="class")
    def examples(self, mini_dev):
        """The 500 questions with and without evidence."""

        def read(evidence):
            config = BirdData(kind="bird", path=str(mini_dev), train=(), evidence=evidence)
            return load(config, cache=mini_dev / "cache").evaluation

        return {evidence: read(evidence) for evidence in (True, False)}

    def test_prompts_with_and_without_evidence(self, examples, questions):
        assert len(examples[True]) == len(examples[False]) == 500
        for asked, example, bare in zip(questions, examples[True], examples[False], strict=True):
            question, evidence = (" ".join(asked[key].split()) for key in ("question", "evidence"))
            ending = f"\n{evidence}\n{question}\n" if evidence else f"\n{question}\n"
            assert example.prompt.endswith(ending)
            assert bare.prompt.endswith(f"\n{question}\n")
            assert not evidence or f"\n{evidence}\n" not in bare.prompt
            shared = example.prompt.partition("matched contents :")[0]
            assert bare.prompt.startswith(shared)
        assert sum(bool(asked["evidence"]) for asked in questions) > 400

    def test_questions_on_a_database_share_its_schema(self, examples):
        beginnings = {(e.group, e.prompt.partition("matched contents :")[0]) for e in examples[True]}
        assert len(beginnings) == 11

    def test_descriptions_become_comments(self, examples):
        assert sum("| comment : " in e.prompt for e in examples[True]) == 500

    def test_score_by_birds_rules(self, mini_dev, questions, tmp_path):
        """Gold against gold is right; another question's query is not, where the answers differ."""
        out = tmp_path / "scores.json"

        def scored(predictions):
            file = tmp_path / "predict_dev.json"
            file.write_text(json.dumps(predictions), encoding="utf-8")
            arguments = [
                "--data",
                mini_dev / "dev" / "dev.json",
                "--databases",
                mini_dev / "dev" / "dev_databases",
            ]
            arguments += ["--predictions", file, "--metric", "bird-ex", "--json", out]
            done = CliRunner().invoke(score, [str(argument) for argument in arguments])
            assert done.exit_code == 0, (done.output, done.exception)
            return json.loads(out.read_text(encoding="utf-8"))

        golds = [f"{q['SQL']}\t----- bird -----\t{q['db_id']}" for q in questions]
        scores = scored({str(number): gold for number, gold in enumerate(golds)})
        assert scores["verdicts"] == [True] * 500
        assert {k: v["count"] for k, v in scores["by_difficulty"].items()} == {
            "simple": 148,
            "moderate": 250,
            "challenging": 102,
        }
        expected = []
        for one, other in zip(questions, questions[1:] + questions[:1], strict=True):
            path = mini_dev / "dev" / "dev_databases" / one["db_id"] / f"{one['db_id']}.sqlite"
            connection = sqlite3.connect(path)
            try:
                rows = [set(connection.execute(q["SQL"]).fetchall()) for q in (one, other)]
                expected.append(rows[0] == rows[1])
            except sqlite3.Error:
                expected.append(False)
            connection.close()
        others = [q["SQL"] for q in questions[1:] + questions[:1]]
        scores = scored({str(number): sql for number, sql in enumerate(others)})
        assert scores["verdicts"] == expected
        assert 100 < sum(expected) < 400
