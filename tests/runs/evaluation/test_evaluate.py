"""Models that are trained once and scored on several evaluation sets, each with its own files and settings."""

import json
import sqlite3
from io import StringIO
from pathlib import Path

import pytest
from click.testing import CliRunner
from real_data import bird_folder, build_mini_dev, spider_folder
from rich.console import Console

from kdzoo.commands.data_fuzz import command as fuzz
from kdzoo.recipe import load_recipe
from kdzoo.report.progress import Reporter
from kdzoo.runs import pipeline
from kdzoo.runs.context import RunContext
from kdzoo.runs.evaluation import evaluate
from kdzoo.tasks.load import DataReader
from kdzoo.tasks.sql import Item, Judge

MODELS = """\
[tokenizer]
train = { vocab_size = 800 }
[student]
from_scratch = { architecture = "llama", hidden_size = 16, intermediate_size = 32, num_hidden_layers = 1, num_attention_heads = 2, max_position_embeddings = 4096 }
[training]
max_steps = 1
batch_size = 2
input_limit = 1500
output_limit = 24
"""

REAL = """\
[data]
kind = "spider"
path = "SPIDER"
max_train = 20
details = false
values = false
matching = false
test_suites = "suites"

[datasets.bird]
kind = "bird"
path = "BIRD"
train = ["dev/dev.json"]
max_train = 20
details = false
values = false
matching = false

[evaluation_sets.dev]
[evaluation_sets.dk]
evaluation = "spider_dk.json"
test_suites = "suites-dk"
[evaluation_sets.syn]
evaluation = "spider_syn_dev.json"
[evaluation_sets.bird]
data = "bird"
max_examples = 4
[evaluation_sets.bird_without]
data = "bird"
evidence = false
max_examples = 4

[evaluation]
metrics = ["ex", "ts"]
max_examples = 3

[[stage]]
kind = "distill"
method = "sft"
[[stage]]
kind = "distill"
method = "sft"
name = "again"
training = { max_steps = 2 }
[[stage]]
kind = "distill"
method = "sft"
name = "bird_sft"
data = "bird"
[[stage]]
kind = "distill"
method = "sft"
name = "bird_again"
data = "bird"
training = { max_steps = 2 }
[[stage]]
kind = "evaluate"
models = ["sft", "again"]
sets = ["dev", "dk", "syn"]
[[stage]]
kind = "evaluate"
name = "on_bird"
models = ["bird_sft", "bird_again"]
sets = ["bird", "bird_without"]
"""


def run(path, out, *overrides):
    """Run a recipe and give its directory and what was printed."""
    printed = StringIO()
    reporter = Reporter(Console(file=printed, width=200))
    return pipeline.run(load_recipe(path, overrides), out, reporter).path, printed.getvalue()


def lines_of(path, stage="evaluate"):
    return [json.loads(line) for line in (path / stage / "predictions.jsonl").read_text().splitlines()]


def scores_of(path, stage="evaluate"):
    return json.loads((path / stage / "scores.json").read_text())


class TestSpiderAndBird:
    """The real questions: two students on Spider, scored on dev, DK and Syn; two on BIRD, with and without evidence."""

    @pytest.fixture(scope="class")
    def finished(self, tmp_path_factory):
        spider, bird = spider_folder(), bird_folder()
        folder = tmp_path_factory.mktemp("sets")
        build_mini_dev(bird, folder)
        for file, suites in (("dev.json", "suites"), ("spider_dk.json", "suites-dk")):
            questions = json.loads((spider / file).read_text(encoding="utf-8"))[:30]
            (folder / file).write_text(json.dumps(questions), encoding="utf-8")
            arguments = [spider / "database", "--questions", folder / file, "--out", folder / suites]
            done = CliRunner().invoke(fuzz, [*map(str, arguments), "--candidates", "3", "--mutants", "4"])
            assert done.exit_code == 0, done.output
        (folder / "r.toml").write_text(
            REAL.replace("SPIDER", str(spider)).replace("BIRD", str(folder)) + MODELS
        )
        return folder, *run(folder / "r.toml", folder / "runs")

    def test_each_model_is_trained_once_on_its_own_data(self, finished):
        _, path, _ = finished
        trained = {
            record.parent.name: json.loads(record.read_text())["results"]
            for record in path.glob("*/stage.json")
        }
        steps = {name: results["steps"] for name, results in trained.items() if "steps" in results}
        assert steps == {"sft": 1, "again": 2, "bird_sft": 1, "bird_again": 2}

    def test_each_is_scored_on_each_set_by_the_metrics_that_fit(self, finished):
        _, path, _ = finished
        found = {
            model: {
                name: (result["examples"], list(result["scores"])) for name, result in scores["sets"].items()
            }
            for stage in ("evaluate", "on_bird")
            for model, scores in scores_of(path, stage).items()
        }
        on_spider = {name: (3, ["ex", "ts"]) for name in ("dev", "dk", "syn")}
        on_bird = {name: (4, ["ex"]) for name in ("bird", "bird_without")}
        assert found == {"sft": on_spider, "again": on_spider, "bird_sft": on_bird, "bird_again": on_bird}
        record = json.loads((path / "evaluate/stage.json").read_text())
        assert record["results"]["models"] == scores_of(path)

    def test_the_questions_are_the_sets_own(self, finished):
        _, path, _ = finished
        asked = {}
        for line in lines_of(path):
            asked.setdefault((line["model"], line["set"]), []).append((line["database"], line["question"]))
        for model in ("sft", "again"):
            assert asked[model, "dev"][0] == ("concert_singer", "How many singers do we have?")
            assert asked[model, "syn"][0] == ("concert_singer", "How many vocalists do we have?")
            assert asked[model, "dk"][0][0] == "new_concert_singer"
            assert all(len(asked[model, name]) == 3 for name in ("dev", "dk", "syn"))

    def test_evidence_is_shown_where_the_set_says_so(self, finished):
        _, path, _ = finished
        lines = [line for line in lines_of(path, "on_bird") if line["model"] == "bird_sft"]
        questions = json.loads((bird_folder() / "mini_dev_sqlite.json").read_text(encoding="utf-8"))[:4]
        for number, asked in enumerate(questions):
            with_evidence, without = lines[number], lines[4 + number]
            assert (with_evidence["set"], without["set"]) == ("bird", "bird_without")
            assert with_evidence["id"] == without["id"] == str(asked["question_id"])
            evidence = " ".join(asked["evidence"].split())
            assert evidence in with_evidence["prompt"]
            assert evidence not in without["prompt"]

    def test_ts_is_judged_on_the_suite_that_the_set_names(self, finished):
        """The whole gold query, and a constant that is its answer on the database itself."""
        folder, _, _ = finished
        recipe = load_recipe(folder / "r.toml")
        context = RunContext(recipe, None, DataReader(folder / "runs/.cache"), Reporter(quiet=True))
        for scored, suites in zip(recipe.sets_of()[:2], ("suites", "suites-dk"), strict=True):
            example = context.splits(scored.data).evaluation[0]
            assert example.test_suite == folder / suites / example.group
            assert len(list(example.test_suite.glob("*.sqlite"))) > 1
            connection = sqlite3.connect(example.database)
            ((answer,),) = connection.execute(example.target).fetchall()
            connection.close()
            database = example.test_suite / example.database.name
            items = [Item(example.target, sql, database) for sql in (example.target, f"SELECT {answer}")]
            with Judge() as judge:
                verdicts = {m: [v.right for v in judge.judge(items, m)] for m in ("ex", "ts")}
            assert verdicts == {"ex": [True, True], "ts": [True, False]}

    def test_the_table_has_a_column_for_each_set_and_metric(self, finished):
        _, _, printed = finished
        (heading,) = (line for line in printed.splitlines() if line.startswith("model "))
        for column in (
            "dev EX",
            "dev TS",
            "dk EX",
            "dk TS",
            "syn EX",
            "syn TS",
            "bird EX",
            "bird_without EX",
        ):
            assert column in heading

    def test_another_run_that_scores_other_sets_trains_nothing_again(self, finished):
        folder, path, _ = finished
        again, printed = run(folder / "r.toml", folder / "runs", 'evaluate.sets=["syn"]')
        assert again != path
        assert "evaluate: finished before" not in printed
        assert printed.count("finished before") == 5
        (scores,) = {json.dumps(list(result["sets"])) for result in scores_of(again).values()}
        assert scores == '["syn"]'


SMALL = (
    """\
[data]
kind = "embedded"
questions = 60
test_questions = 10
databases = 2
[evaluation_sets.first]
metrics = ["ex", "ts"]
[evaluation_sets.others]
seed = 5
max_examples = 6
"""
    + MODELS
    + """\
[[stage]]
kind = "distill"
method = "sft"
[[stage]]
kind = "distill"
method = "sft"
name = "again"
training = { max_steps = 2 }
[[stage]]
kind = "evaluate"
"""
)


class TestOnTheEmbeddedBenchmark:
    @pytest.fixture
    def recipe(self, tmp_path):
        (tmp_path / "r.toml").write_text(SMALL)
        return tmp_path / "r.toml"

    def test_a_model_is_loaded_once_and_answers_each_set_once(self, recipe, tmp_path, monkeypatch):
        loaded, answered = [], []
        use, generate = RunContext.model_to_use, evaluate.generate_all

        def model_to_use(context, ref):
            loaded.append(ref.folder.name)
            return use(context, ref)

        def generate_all(model, prompts, *arguments, **settings):
            answered.append(len(prompts))
            return generate(model, prompts, *arguments, **settings)

        monkeypatch.setattr(RunContext, "model_to_use", model_to_use)
        monkeypatch.setattr(evaluate, "generate_all", generate_all)
        path, _ = run(recipe, tmp_path / "runs")
        assert loaded == ["sft", "again"]
        # the first set has two metrics
        assert answered == [10, 6, 10, 6]
        assert [(line["model"], line["set"]) for line in lines_of(path)] == [
            (model, name)
            for model in ("sft", "again")
            for name, count in (("first", 10), ("others", 6))
            for _ in range(count)
        ]
        for model, scores in scores_of(path).items():
            own = [line for line in lines_of(path) if line["model"] == model and line["set"] == "first"]
            for metric in ("ex", "ts"):
                assert scores["sets"]["first"]["scores"][metric] == sum(line[metric] for line in own) / 10

    def test_a_statement_is_judged_without_the_words_around_it_and_these_are_kept(
        self, recipe, tmp_path, monkeypatch
    ):
        answers = iter([f"Sure:\n```sql\nSELECT {number}\n```" for number in range(16)])
        monkeypatch.setattr(evaluate, "decode", lambda tokenizer, ids: next(answers))
        one = ("evaluation.extract=auto", "evaluate.models=['sft']", "again.max_steps=1")
        path, _ = run(recipe, tmp_path / "runs", *one)
        for number, line in enumerate(sorted(lines_of(path), key=lambda line: line["raw"])[:2]):
            assert line["raw"] == f"Sure:\n```sql\nSELECT {number}\n```"
            assert line["prediction"] == f"SELECT {number}"
            assert line["error"] is None

    def test_samples_vote_beside_the_greedy_answer(self, recipe, tmp_path, monkeypatch):
        said = []
        decode = evaluate.decode

        def decoded(tokenizer, ids):
            said.append(decode(tokenizer, ids))
            # every third call of a model's samples asks something that runs
            return "SELECT 1" if len(said) % 3 else said[-1]

        monkeypatch.setattr(evaluate, "decode", decoded)
        more = (
            "evaluation_sets.first.metrics=['ex', 'ex_vote']",
            "evaluation.samples=3",
            "evaluate.sets=['first']",
        )
        path, _ = run(recipe, tmp_path / "runs", *more, "evaluate.models=['sft']")
        assert len(said) == 10 * (1 + 3)
        assert len(set(said)) > 10  # they are sampled
        scores = scores_of(path)["sft"]["sets"]["first"]
        lines = lines_of(path)
        for line in lines:
            assert len(line["samples"]) == 3
            assert (line["voted"], line["votes"]) == ("SELECT 1", 2)
        assert scores["scores"]["ex_vote"] == sum(line["ex_vote"] for line in lines) / 10
        assert scores["details"]["ex_vote"]["samples"] == 3

    def test_an_interrupted_stage_continues_with_the_next_set(self, recipe, tmp_path, monkeypatch):
        reference, _ = run(recipe, tmp_path / "reference")
        start = Reporter.start

        def stop(self, name, total, done=0):
            if name == "evaluate: again on others":
                raise KeyboardInterrupt
            start(self, name, total, done)

        monkeypatch.setattr(Reporter, "start", stop)
        with pytest.raises(KeyboardInterrupt):
            run(recipe, tmp_path / "runs")
        monkeypatch.undo()
        path, printed = run(recipe, tmp_path / "runs")
        assert "evaluate: continues with again on others" in printed.splitlines()
        started = [line for line in printed.splitlines() if line.startswith("evaluate: ") and "0/" in line]
        assert started == ["evaluate: again on others: 0/6"]
        assert (path / "evaluate/predictions.jsonl").read_text() == (
            reference / "evaluate/predictions.jsonl"
        ).read_text()
        assert {file.name for file in Path(path / "evaluate").iterdir()} == {
            file.name for file in Path(reference / "evaluate").iterdir()
        }

    def test_a_stage_that_is_stopped_while_it_tidies_up_asks_no_model_again(
        self, recipe, tmp_path, monkeypatch
    ):
        """It has 8 parts, of 2 models on 2 sets, to put together and remove: a stop before any of them."""
        unlink = Path.unlink
        out = tmp_path / "runs"
        for number in range(1, 9):
            left = number

            def stop(file, missing_ok=False):
                nonlocal left
                left -= file.name.startswith(("predictions-", "scores-"))
                if left == 0:
                    raise KeyboardInterrupt
                unlink(file, missing_ok)

            monkeypatch.setattr(Path, "unlink", stop)
            with pytest.raises(KeyboardInterrupt):
                run(recipe, out)
        monkeypatch.undo()
        before = scores_of(next(out.glob("*-*")))
        path, printed = run(recipe, out)
        assert "evaluate: continues with its table" in printed.splitlines()
        assert "evaluate: sft on" not in printed
        assert scores_of(path) == before
        assert sorted(file.name for file in (path / "evaluate").iterdir()) == [
            "fingerprint",
            "predictions.jsonl",
            "scores.json",
            "stage.json",
        ]
