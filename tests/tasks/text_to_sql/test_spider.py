"""Spider in its official layouts, and its variants as evaluation files."""

import json
import shutil
from pathlib import Path

import pytest
from pydantic import ValidationError

from kdzoo.errors import UserError
from kdzoo.tasks.fingerprint import fingerprint_of_data
from kdzoo.tasks.load import load
from kdzoo.tasks.text_to_sql.spider import SPIDER, SpiderData


@pytest.fixture
def read(folder, tmp_path):
    """Load the folder with some settings."""

    def give(**settings):
        return load(SpiderData(kind="spider", path=str(folder.path), **settings), cache=tmp_path / "cache")

    return give


def targets(examples):
    return [example.target.removeprefix("SELECT count(*) FROM ") for example in examples]


class TestLayout:
    def test_questions_become_examples(self, read, concerts):
        splits = read()
        assert (splits.sql_rule, splits.report) == ("spider", {})
        assert targets(splits.train) == ["singer", "concert"]
        (example,) = splits.evaluation
        assert (example.id, example.group, example.difficulty) == ("dev-0", "concerts", "easy")
        assert example.question == "How many venue?"
        assert example.prompt.startswith(
            "database schema :\ntable singer , columns = [ singer.singer_id ( int |"
        )
        assert example.prompt.endswith("matched contents : None\nHow many venue?\n")
        assert example.database.read_bytes() == concerts.read_bytes()

    def test_official_training_files_are_read_together(self, folder, read):
        folder.ask("train_others.json", "venue")
        folder.ask("train.json", "singer", "singer")
        assert targets(read().train) == ["singer", "concert", "venue"]

    def test_else_train_json_or_what_the_settings_name(self, folder, read):
        (folder.path / "train_spider.json").rename(folder.path / "train.json")
        assert targets(read().train) == ["singer", "concert"]
        assert targets(read(train=("dev.json", "train.json")).train) == ["venue", "singer", "concert"]
        assert read(train=()).train == []

    def test_the_test_splits_databases_and_tables(self, folder, read, build_database):
        other = build_database("CREATE TABLE band (Bnm TEXT)", "bands")
        folder.add_database(other, "bands", "test_database")
        folder.ask(
            "test.json", {"db_id": "bands", "question": "Which bands?", "query": "SELECT Bnm FROM band"}
        )
        names = {
            "db_id": "bands",
            "table_names_original": ["band"],
            "column_names_original": [[-1, "*"], [0, "Bnm"]],
            "column_names": [[-1, "*"], [0, "name of the band"]],
        }
        (folder.path / "test_tables.json").write_text(json.dumps([names]), encoding="utf-8")
        (example,) = read(evaluation="test.json").evaluation
        assert "band.bnm ( text | comment : name of the band )" in example.prompt

    def test_a_folder_without_training_questions_is_named(self, folder, read):
        (folder.path / "train_spider.json").unlink()
        with pytest.raises(UserError, match=r"neither train_spider\.json nor train\.json is there"):
            read()

    @pytest.mark.parametrize("name", ["train_spider.json", "dev.json"])
    def test_a_missing_file_is_named(self, folder, read, name):
        (folder.path / name).unlink()
        with pytest.raises(UserError, match=name.replace(".", r"\.") + ": there is no such file"):
            read(train=("train_spider.json",))


class TestVariants:
    def test_spider_syn_has_a_question_of_its_own(self, folder, read):
        entry = {
            "db_id": "concerts",
            "SpiderQuestion": "How many singers?",
            "SpiderSynQuestion": "How many vocalists?",
            "query": "SELECT count(*) FROM singer",
        }
        folder.ask("spider_syn.json", entry)
        (example,) = read(evaluation="spider_syn.json").evaluation
        assert example.question == "How many vocalists?"
        assert "How many singers?" not in example.prompt

    def test_spider_realistic_has_devs_format(self, folder, read):
        entry = {
            "db_id": "concerts",
            "query": "SELECT count(*) FROM singer",
            "question": "How many performers?",
            "query_toks": ["SELECT", "count", "(", "*", ")", "FROM", "singer"],
            "question_toks": ["How", "many", "performers", "?"],
            "sql": {"select": [False, [[3, [0, [0, 0, False], None]]]], "from": {}},
        }
        folder.ask("spider-realistic.json", entry)
        (example,) = read(evaluation="spider-realistic.json").evaluation
        assert (example.question, example.target) == ("How many performers?", "SELECT count(*) FROM singer")

    def test_spider_dk_has_databases_of_its_own(self, folder, read, concerts):
        folder.add_database(concerts, "new_concerts")
        folder.ask(
            "spider_dk.json", {"db_id": "new_concerts", "question": "?", "query": "SELECT 1"}, "singer"
        )
        assert [e.group for e in read(evaluation="spider_dk.json").evaluation] == ["new_concerts", "concerts"]


BAD = {"db_id": "nowhere", "question": "?", "query": "SELECT 1"}


class TestProblems:
    def test_a_missing_database_is_named_or_its_questions_are_left_out_and_counted(self, folder, read):
        folder.ask("train_spider.json", "singer", BAD, BAD)
        folder.ask("dev.json", BAD, {"db_id": "concerts", "question": "?"}, "venue")
        with pytest.raises(UserError, match=r"train_spider\.json: entry 1: .*nowhere/nowhere\.sqlite"):
            read()
        splits = read(on_error="skip")
        assert targets(splits.train) == ["singer"]
        assert targets(splits.evaluation) == ["venue"]
        assert splits.report == {"entries left out: no database": 3, "entries left out: no gold SQL": 1}

    def test_ids_count_what_was_left_out(self, folder, read):
        folder.ask("dev.json", BAD, "venue")
        assert [e.id for e in read(on_error="skip").evaluation] == ["dev-1"]

    @pytest.mark.parametrize("on_error", ["raise", "skip"])
    def test_a_truncated_file_is_named_with_its_line(self, folder, read, on_error):
        text = (folder.path / "dev.json").read_text(encoding="utf-8")
        (folder.path / "dev.json").write_text("\n\n" + text[: len(text) // 2], encoding="utf-8")
        with pytest.raises(UserError, match=r"dev\.json:3: not valid JSON"):
            read(on_error=on_error)

    def test_a_database_that_is_none_is_named(self, folder, read):
        (folder.path / "database" / "concerts" / "concerts.sqlite").write_bytes(b"not a database" * 100)
        with pytest.raises(UserError, match=r"concerts\.sqlite: cannot be read as a SQLite database"):
            read()

    def test_a_tables_file_in_another_format_is_named(self, folder, read):
        (folder.path / "tables.json").write_text("[{}]", encoding="utf-8")
        with pytest.raises(UserError, match=r"tables\.json: entry 0"):
            read()


class TestSettings:
    def test_parts_of_the_prompt_can_be_left_out(self, folder, read):
        folder.ask("dev.json", {"db_id": "concerts", "question": "Who is from France?", "query": "SELECT 1"})
        full = read().evaluation[0].prompt
        assert "singer.country ( text | values : Netherlands , France )" in full
        assert "matched contents :\nsinger.country ( France )\n" in full
        bare = read(details=False, values=False, matching=False).evaluation[0].prompt
        assert "singer.country ," in bare
        assert "matched contents" not in bare

    def test_the_schema_has_the_form_that_is_asked_for(self, read):
        usual = read().evaluation[0]
        assert read(form="codes").evaluation[0].prompt == usual.prompt
        shown = read(form="m_schema").evaluation[0]
        assert shown.prompt.startswith("【DB_ID】 concerts\n【Schema】\n# Table: singer\n")
        assert shown.shorten(lambda text: len(text) < 150, False).startswith("【DB_ID】 concerts\n")
        assert read(form="ddl").evaluation[0].prompt.startswith("Database schema:\n\nCREATE TABLE singer (")

    def test_a_form_is_another_data_unless_it_is_the_usual_one(self, folder):
        def fingerprint(**settings):
            return fingerprint_of_data(SpiderData(kind="spider", path=str(folder.path), **settings))

        assert fingerprint(form="codes") == fingerprint() != fingerprint(form="ddl")

    def test_samples(self, folder, read):
        folder.ask("train_spider.json", *["singer", "concert", "venue"] * 10)
        folder.ask("dev.json", *["singer", "concert", "venue"] * 10)
        splits = read(max_train=7, max_evaluation=4)
        assert (len(splits.train), len(splits.evaluation)) == (7, 4)
        assert [e.id for e in splits.train] == [e.id for e in read(max_train=7).train]
        assert [e.id for e in splits.train] != [e.id for e in read(max_train=7, seed=1).train]

    def test_the_question_split_holds_out_training_questions(self, folder, read):
        entries = [
            {"db_id": "concerts", "question": f"Is it {n}?", "query": f"SELECT {n // 2}"} for n in range(40)
        ]
        folder.ask("train_spider.json", *entries)
        (folder.path / "dev.json").unlink()
        splits = read(split="question", held_out=0.25)
        assert (len(splits.train), len(splits.evaluation)) == (30, 10)
        assert not {e.target for e in splits.train} & {e.target for e in splits.evaluation}
        assert {e.difficulty for e in splits.evaluation} == {"easy"}

    def test_the_question_split_reads_no_evaluation_file(self, folder):
        path = str(folder.path)
        with pytest.raises(ValidationError, match='write split = "official" beside it'):
            SpiderData(kind="spider", path=path, split="question", evaluation="spider_dk.json")
        usual = SpiderData(kind="spider", path=path, split="question")
        assert SpiderData(**usual.model_dump()) == usual


class TestRealSpider:
    @pytest.fixture(scope="class")
    def real(self, spider, tmp_path_factory):
        cache = tmp_path_factory.mktemp("cache")

        def give(**settings):
            return load(SpiderData(kind="spider", path=str(spider), **settings), cache=cache)

        return give

    @pytest.mark.parametrize(
        ("name", "count", "databases"),
        [("dev.json", 1034, 20), ("spider_syn_dev.json", 1034, 20), ("spider_dk.json", 535, 10)],
    )
    def test_dev_and_its_variants(self, real, name, count, databases):
        examples = real(train=(), evaluation=name).evaluation
        assert len(examples) == count
        assert len({e.group for e in examples}) == databases

    def test_synonyms_stand_in_the_questions_of_the_same_queries(self, real):
        dev, syn = (real(train=(), evaluation=f).evaluation for f in ("dev.json", "spider_syn_dev.json"))
        assert sum(a.target == b.target for a, b in zip(dev, syn, strict=True)) > 900
        assert sum(a.question != b.question for a, b in zip(dev, syn, strict=True)) > 800

    def test_hardness_is_distributed_as_published(self, real):
        levels = [e.difficulty for e in real(train=()).evaluation]
        counts = {level: levels.count(level) for level in ("easy", "medium", "hard", "extra")}
        assert counts == {"easy": 248, "medium": 446, "hard": 174, "extra": 166}

    def test_questions_on_a_database_share_its_schema(self, real):
        by_group = {}
        for example in real(train=()).evaluation:
            beginning, found, rest = example.prompt.partition("matched contents :")
            assert found
            assert rest.endswith(f"\n{' '.join(example.question.split())}\n")
            by_group.setdefault(example.group, set()).add(beginning)
        assert len(by_group) == 20
        assert all(len(beginnings) == 1 for beginnings in by_group.values())

    def test_most_contents_that_gold_queries_name_are_matched(self, real):
        named = matched = 0
        for example in real(train=()).evaluation:
            contents = example.prompt.partition("matched contents :")[2].removesuffix(f"{example.question}\n")
            parts = example.target.replace('"', "'").split("= '")[1:]
            for value in (part.partition("'")[0].lower() for part in parts):
                if value in example.question.lower():
                    named += 1
                    matched += value in contents.lower()
        assert named > 350
        assert matched > 0.9 * named

    def test_a_question_split_shares_no_query(self, real):
        splits = real(split="question", matching=False)
        assert len(splits.train) + len(splits.evaluation) == 6738
        trained = {(e.group, e.target.lower().replace(" ", "")) for e in splits.train}
        assert not any((e.group, e.target.lower().replace(" ", "")) in trained for e in splits.evaluation)
        asked = {(e.group, e.question.lower()) for e in splits.train}
        assert not any((e.group, e.question.lower()) in asked for e in splits.evaluation)
        assert 0.09 < len(splits.evaluation) / 6738 < 0.11


class TestOnePart:
    """Each part is read without the files of the other."""

    def part(self, folder, name, **settings):
        return SPIDER.part_of(SpiderData(kind="spider", path=str(folder.path), **settings), name)

    def test_training_needs_no_evaluation_file(self, folder, tmp_path):
        (folder.path / "dev.json").unlink()
        config = self.part(folder, "train", test_suites="nowhere")
        assert list(SPIDER.missing(config)) == []
        splits = load(config, cache=tmp_path)
        assert (targets(splits.train), splits.evaluation) == (["singer", "concert"], [])

    def test_evaluation_needs_no_training_file(self, folder, tmp_path):
        (folder.path / "train_spider.json").unlink()
        config = self.part(folder, "evaluation")
        assert list(SPIDER.missing(config)) == []
        splits = load(config, cache=tmp_path)
        assert (splits.train, targets(splits.evaluation)) == ([], ["venue"])

    def test_questions_that_are_held_out_of_the_training_files_need_them(self, folder, tmp_path):
        folder.ask("train_spider.json", *["singer", "concert", "venue"] * 2)
        by_question = {"split": "question", "held_out": 0.4}
        both = load(SpiderData(kind="spider", path=str(folder.path), **by_question), cache=tmp_path)
        assert both.train
        assert both.evaluation
        train, evaluation = (
            load(self.part(folder, name, **by_question), cache=tmp_path) for name in ("train", "evaluation")
        )
        assert (targets(train.train), train.evaluation) == (targets(both.train), [])
        assert (evaluation.train, targets(evaluation.evaluation)) == ([], targets(both.evaluation))

    def test_there_is_none_to_train_on_if_the_table_says_so(self, folder):
        assert self.part(folder, "train", train=()) is None
        assert self.part(folder, "evaluation", train=(), split="question") is None

    def test_files_that_are_not_there_are_missing_by_their_keys(self, folder):
        (folder.path / "train_spider.json").unlink()
        config = SpiderData(
            kind="spider", path=str(folder.path), evaluation="none.json", databases=("nowhere",)
        )
        assert list(SPIDER.missing(config)) == [("databases", "nowhere")]
        config = config.model_copy(update={"databases": ()})
        assert [(key, Path(path).name) for key, path in SPIDER.missing(config)] == [
            ("train", "train_spider.json"),
            ("evaluation", "none.json"),
        ]


class TestFurtherDatabasesAndTables:
    """Spider-DK is officially a folder of its own with databases and a tables file."""

    @pytest.fixture
    def dk(self, folder, tmp_path, build_database):
        new = build_database("CREATE TABLE band (Bnm TEXT)", "bands")
        own = tmp_path / "dk/database"
        for name in ("bands", "concerts"):
            (own / name).mkdir(parents=True)
            shutil.copy(new, own / name / f"{name}.sqlite")
        self.describe(tmp_path / "dk/tables.json", "bands", "name of the band")
        self.describe(folder.path / "tables.json", "bands", "what nobody reads")
        folder.ask(
            "spider_dk.json", {"db_id": "bands", "question": "?", "query": "SELECT Bnm FROM band"}, "singer"
        )
        return tmp_path / "dk"

    def describe(self, file, name, words):
        entry = {
            "db_id": name,
            "table_names_original": ["band"],
            "column_names_original": [[-1, "*"], [0, "Bnm"]],
            "column_names": [[-1, "*"], [0, words]],
        }
        file.write_text(json.dumps([entry]), encoding="utf-8")

    def test_come_before_the_dataset_s_own(self, dk, read):
        settings = {"databases": (str(dk / "database"),), "tables": (str(dk / "tables.json"),)}
        bands, concerts = read(evaluation="spider_dk.json", **settings).evaluation
        assert "band.bnm ( text | comment : name of the band )" in bands.prompt
        assert concerts.database == dk / "database/concerts/concerts.sqlite"

    def test_are_merged_with_the_dataset_s_own(self, dk, read):
        shutil.rmtree(dk / "database/concerts")
        _, concerts = read(evaluation="spider_dk.json", databases=(str(dk / "database"),)).evaluation
        assert "table singer" in concerts.prompt

    def test_shape_what_is_read(self, dk, folder):
        def of():
            config = SpiderData(
                kind="spider",
                path=str(folder.path),
                databases=(str(dk / "database"),),
                tables=(str(dk / "tables.json"),),
            )
            return [fingerprint_of_data(SPIDER.part_of(config, part)) for part in ("train", "evaluation")]

        before = of()
        for file in (dk / "tables.json", dk / "database/bands/bands.sqlite"):
            with file.open("ab") as out:
                out.write(b" ")
            after = of()
            assert all(one != other for one, other in zip(before, after, strict=True))
            before = after


class TestTestSuites:
    def test_belong_to_the_questions_that_are_evaluated(self, read, tmp_path):
        splits = read(test_suites=str(tmp_path / "suites"))
        assert [e.test_suite for e in splits.evaluation] == [tmp_path / "suites/concerts"]
        assert {e.test_suite for e in splits.train} == {None}

    def test_shape_what_is_evaluated_and_not_what_is_trained(self, folder, tmp_path):
        config = SpiderData(kind="spider", path=str(folder.path), test_suites=str(tmp_path / "suites"))

        def of(part):
            return fingerprint_of_data(SPIDER.part_of(config, part))

        before = of("train"), of("evaluation")
        (tmp_path / "suites/concerts").mkdir(parents=True)
        (tmp_path / "suites/concerts/concerts_fuzz1.sqlite").touch()
        assert of("train") == before[0]
        assert of("evaluation") != before[1]


class TestRealVariants:
    """DK's and Syn's questions on the databases that lie beside them, and on DK's own in a folder of their own."""

    def test_dk_s_own_databases_may_lie_elsewhere(self, spider, tmp_path):
        own = ("new_concert_singer", "new_orchestra", "new_pets_1")
        base, dk = tmp_path / "spider", tmp_path / "dk"
        for folder in (base, dk):
            (folder / "database").mkdir(parents=True)
        tables = json.loads((spider / "tables.json").read_text(encoding="utf-8"))
        for folder, wanted in ((base, False), (dk, True)):
            entries = [entry for entry in tables if (entry["db_id"] in own) == wanted]
            (folder / "tables.json").write_text(json.dumps(entries), encoding="utf-8")
            for database in (spider / "database").iterdir():
                if (database.name in own) == wanted:
                    (folder / "database" / database.name).symlink_to(database)
        config = SpiderData(
            kind="spider",
            path=str(base),
            train=(),
            evaluation=str(spider / "spider_dk.json"),
            matching=False,
        )
        further = {"databases": (str(dk / "database"),), "tables": (str(dk / "tables.json"),)}
        apart = load(config.model_copy(update=further), cache=tmp_path).evaluation
        whole = load(config.model_copy(update={"path": str(spider)}), cache=tmp_path).evaluation
        assert [e.prompt for e in apart] == [e.prompt for e in whole]
        assert {e.group for e in apart} >= set(own)
        assert len(apart) == 535
        with pytest.raises(UserError, match=r"entry 0: its database 'new_concert_singer' has no file"):
            load(config, cache=tmp_path)
