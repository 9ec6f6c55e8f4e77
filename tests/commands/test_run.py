"""``kdzoo run``: what it prints, writes and leaves alone, and the exit codes it ends with."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from kdzoo.report.progress import Reporter

Command = Callable[..., Any]
Write = Callable[..., Path]

# Those of the paper's tables and figures: tests/commands/test_paper_recipes.py.
RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.toml"))


def written(folder: Path = Path()) -> list[str]:
    """Everything in a folder but the recipe."""
    return sorted(path.name for path in folder.iterdir() if path.name != "r.toml")


def run_of(out: Path = Path("runs")) -> Path:
    """The one run below ``out``."""
    (run,) = (path for path in out.iterdir() if path.name != ".cache")
    return run


def rows_of(text: str) -> dict[str, list[str]]:
    """The lines of the final table by the models' names."""
    lines = text.splitlines()
    (heading,) = (number for number, line in enumerate(lines) if line.startswith("model "))
    rows = [line.split() for line in lines[heading + 1 :] if not line.startswith(("results:", "next:"))]
    return {row[0]: row for row in rows}


@pytest.fixture(scope="module")
def finished(kdzoo: Command, tiny: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A recipe that has been run, with what that printed; its runs are beside it."""
    recipe = tmp_path_factory.mktemp("finished") / "r.toml"
    recipe.write_text(tiny)
    return recipe, kdzoo("run", recipe, "--out", recipe.parent / "runs")


class TestARun:
    def test_ends_with_a_table_and_says_where_the_results_are(self, finished: tuple[Path, Any]) -> None:
        recipe, done = finished
        assert (done.code, done.err) == (0, "")
        heading = next(line for line in done.out.splitlines() if line.startswith("model"))
        headings = re.split(r"  +", heading.strip())
        assert headings[:4] == ["model", "parameters", "EX", "training"]
        assert "relative to SFT" in headings
        rows = rows_of(done.out)
        assert list(rows) == ["teacher", "kid"]
        assert re.fullmatch(r"\d+\.\d% \[\d+\.\d,\s\d+\.\d\]", " ".join(rows["kid"][2:5]))
        run = run_of(recipe.parent / "runs")
        assert done.out.splitlines()[-2:] == [
            f"results: {run}",
            f"next: kdzoo compare {run} --html {run}/page.html",
        ]

    def test_says_what_to_do_next_and_that_works(self, finished: tuple[Path, Any], kdzoo: Command) -> None:
        _, done = finished
        said = done.out.splitlines()[-1].removeprefix("next: kdzoo ").split()
        assert kdzoo(*said).code == 0
        assert Path(said[-1]).read_text().startswith("<!DOCTYPE html>")

    def test_prints_plain_lines_where_there_is_no_terminal(self, finished: tuple[Path, Any]) -> None:
        _, done = finished
        assert "\x1b" not in done.out
        assert "\r" not in done.out
        told = [line for line in done.out.splitlines() if line.startswith(("finetune", "kid:", "evaluate"))]
        assert told[0] == "finetune: 0/3"
        assert re.fullmatch(r"finetune: finished in \d+ s", told[1])
        assert told[2] == "kid: 0/3"

    def test_a_second_start_repeats_nothing_and_shows_the_same_table(
        self, kdzoo: Command, finished: tuple[Path, Any]
    ) -> None:
        recipe, first = finished
        second = kdzoo("run", recipe, "--out", recipe.parent / "runs")
        assert second.code == 0
        assert second.out.count("finished before, reused from") == 3
        assert rows_of(second.out) == rows_of(first.out)

    def test_is_kept_below_runs_and_quiet_prints_the_table_alone(self, kdzoo: Command, write: Write) -> None:
        done = kdzoo("run", write(), "--quiet", "--set", "kid.max_steps=1", "--set", "kid.options.alpha=0.25")
        assert done.code == 0
        assert [line.split()[0] for line in done.out.splitlines()] == ["model", "teacher", "kid"]
        assert written() == ["runs"]
        # what --set changed is what was run, and stands in the resolved recipe
        stage = tomllib.loads((run_of() / "recipe.toml").read_text())["stage"][1]
        assert (stage["training"]["max_steps"], stage["options"]["alpha"]) == (1, 0.25)
        steps = [len((run_of() / s / "metrics.jsonl").read_text().splitlines()) for s in ("finetune", "kid")]
        assert steps == [3, 1]

    def test_reads_the_data_and_trains_the_tokenizer_once(
        self, kdzoo: Command, write: Write, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from kdzoo.runs import context
        from kdzoo.tasks import load

        calls: list[str] = []

        def counted(module: Any, name: str) -> Callable[..., Any]:
            wrapped = getattr(module, name)

            def call(*given: Any, **named: Any) -> Any:
                calls.append(name)
                return wrapped(*given, **named)

            return call

        for module, name in ((load, "load"), (context, "train_tokenizer")):
            monkeypatch.setattr(module, name, counted(module, name))
        assert kdzoo("run", write(), "--set", "training.max_steps=1").code == 0
        assert sorted(calls) == ["load", "train_tokenizer"]


def test_a_dry_run_estimates_the_memory_of_each_training(kdzoo: Command, write: Write) -> None:
    text = kdzoo("run", write(), "--dry-run").out
    stages = re.split(r"^\d+\. ", text, flags=re.M)[1:]
    assert ["memory about" in stage for stage in stages] == ["(evaluate)" not in stage for stage in stages]
    assert "memory about" in text


@pytest.fixture
def without_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stage's memory is not estimated, which tries its steps for seconds and has tests of its own."""
    monkeypatch.setattr("kdzoo.runs.memory.stages.in_words", lambda memory: iter(()))


@pytest.mark.usefixtures("without_trials")
class TestDryRun:
    @pytest.mark.parametrize("path", RECIPES, ids=[path.stem for path in RECIPES])
    def test_resolves_every_recipe_without_data_or_weights_and_writes_nothing(
        self, path: Path, kdzoo: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("KDZOO_DATA", str(tmp_path / "absent"))
        done = kdzoo("run", path, "--dry-run")
        if "${KDZOO_DATA" in path.read_text():
            assert done.code == 2  # as the run would end
            assert f"data.path: there is no {tmp_path / 'absent/spider'}; --rehearse runs" in done.err
        else:
            assert (done.code, done.err) == (0, "")
        for stage in tomllib.loads(path.read_text())["stage"]:
            name = stage.get("name", stage.get("method", stage["kind"]))
            assert re.search(rf"^\d+\. {name} \({stage['kind']}\)$", done.out, re.MULTILINE)
        assert list(tmp_path.iterdir()) == []

    def test_names_models_steps_options_and_what_is_evaluated(self, kdzoo: Command, write: Write) -> None:
        recipe = write(write().read_text(), ("max_steps = 3\n", ""))
        text = kdzoo("run", recipe, "--dry-run", "--set", "kid.epochs=1.7", "--set", "kid.seed=3").out
        assert "data     embedded: 60 training questions" in text
        assert "set      embedded: 10 evaluation questions" in text
        assert re.search(r"^teacher  llama from scratch, [\d,]+ parameters, all weights trained", text, re.M)
        assert "24 steps (3 epochs), batch 8, learning rate 0.005" in text
        # 60 questions in batches of 8 are 8 steps; 1.7 times as many begin a 14th
        assert "14 steps (1.7 epochs), batch 8" in text
        assert re.search(r"^ +14 steps .*, seed 3$", text, re.M)
        assert 'method kid (kd_weight = 1.0, mle_weight = 1.0, alpha = 0.5, strategy = "random"' in text
        assert "student from [student], teacher from finetune" in text
        assert "models teacher, kid; greedy decoding" in text
        assert "set embedded: 10 questions; metrics ex" in text
        assert "scored every" not in text

    def test_names_further_teachers_and_what_a_student_learns_from_itself(
        self, kdzoo: Command, write: Write
    ) -> None:
        table = '[teachers.wide]\nfrom_scratch = { architecture = "llama", hidden_size = 64 }\n[student]'
        multi = 'method = "multi"\noptions = { weights = { teacher = 1, wide = 2 } }'
        kid = 'method = "kid"\noptions = { alpha = 0.5 }'
        recipe = write(write().read_text(), ("[student]", table), (kid, multi))
        text = kdzoo("run", recipe, "--dry-run").out
        assert re.search(r"^wide     llama from scratch, [\d,]+ parameters, all weights trained", text, re.M)
        assert "student from [student], teacher from finetune, wide from [teachers.wide]\n" in text
        opsd = 'method = "opsd"\noptions = { teacher = "average", decay = 0.9 }'
        text = kdzoo("run", write(write().read_text(), (kid, opsd)), "--dry-run").out
        assert "   student from [student]\n" in text
        told = (
            "learns from the average of its own weights of decay 0.9; privileged prompts show the target too"
        )
        assert f"   {told}\n" in text

    def test_says_when_a_model_is_scored_while_it_is_trained(self, kdzoo: Command, write: Write) -> None:
        text = kdzoo("run", write(), "--dry-run", "--set", "kid.evaluate_every='0.5 epochs'").out
        finetune, kid = text.split("2. kid")[:2]
        assert "scored every 0.5 epochs by ex on 10 questions of embedded\n" in kid
        assert "scored every" not in finetune

    def test_tells_the_steps_that_the_run_then_takes(self, kdzoo: Command, write: Write) -> None:
        text = write().read_text().split('[[stage]]\nkind = "distill"')[0]
        recipe = write(text, ("max_steps = 3\n", "epochs = 0.3\nlogging_steps = 1\n"))
        promised = re.findall(r"(\d+) steps", kdzoo("run", recipe, "--dry-run").out)
        assert kdzoo("run", recipe).code == 0
        taken = (run_of() / "finetune/metrics.jsonl").read_text().splitlines()
        assert promised == [str(len(taken))] == ["3"]

    def test_counts_the_parameters_that_the_run_then_has(self, kdzoo: Command, write: Write) -> None:
        """The data hold fewer tokens than the tokenizer may have."""
        recipe = write(write().read_text(), ("vocab_size = 600", "vocab_size = 5000"))
        promised = re.findall(
            r"^(?:teacher|student) .*?([\d,]+) parameters", kdzoo("run", recipe, "--dry-run").out, re.M
        )
        done = kdzoo("run", recipe)
        assert promised == [row[1] for row in rows_of(done.out).values()]

    def test_counts_at_most_so_many_where_there_are_no_data_to_make_tokens_from(
        self, kdzoo: Command, write: Write, tiny: str
    ) -> None:
        embedded = 'kind = "embedded"\nquestions = 60\ntest_questions = 10\ndatabases = 2'
        text = kdzoo("run", write(tiny, (embedded, 'kind = "spider"\npath = "absent"')), "--dry-run").out
        # 600 tokens of width 32 in and out, and 20,640 weights besides
        assert (
            re.search(r"^student  llama from scratch, at most ([\d,]+) parameters", text, re.M).group(1)
            == "59,040"
        )

    def test_counts_the_data_that_are_there_where_others_are_not_nor_any_model(
        self, kdzoo: Command, write: Write, tiny: str
    ) -> None:
        start, end = tiny.index("[tokenizer]"), tiny.index("[training]")
        models = '[teacher]\npath = "some/teacher"\n[student]\npath = "some/student"\n'
        more = '[datasets.more]\nkind = "jsonl"\ntrain = "absent.jsonl"\n'
        text = tiny[:start] + more + models + tiny[end:]
        done = kdzoo("run", write(text, ('method = "kid"', 'method = "kid"\ndata = "more"')), "--dry-run")
        assert done.code == 2
        assert "data     embedded: 60 training questions" in done.out
        assert f"data     more, jsonl: {Path('absent.jsonl').absolute()} is not there" in done.out
        assert "set      embedded: 10 evaluation questions" in done.out

    def test_says_what_limits_leave_out_as_the_run_does(self, kdzoo: Command, write: Write) -> None:
        recipe = write(write().read_text(), ("output_limit = 64", "output_limit = 30"))
        promised = [line for line in kdzoo("run", recipe, "--dry-run").out.splitlines() if "r.toml:" in line]
        told = [line for line in kdzoo("run", recipe).out.splitlines() if "r.toml:" in line]
        assert promised == told
        (count,) = (
            re.search(r"(\d+) of 60 training targets", line) for line in told if "training targets" in line
        )
        record = json.loads((run_of() / "finetune/stage.json").read_text())
        assert record["results"]["examples"] == 60 - int(count.group(1))

    @pytest.mark.parametrize("command", [[], ["--dry-run"]], ids=["run", "dry run"])
    def test_ends_as_the_run_where_nothing_can_be_written(
        self, kdzoo: Command, write: Write, command: list[str]
    ) -> None:
        Path("taken").touch()
        done = kdzoo("run", write(), "--out", "taken/runs", *command)
        assert (done.code, done.out) == (1, "")
        assert re.fullmatch(
            r"kdzoo: cannot write below taken/runs/tiny-\w{8}: taken: Not a directory\n", done.err
        )

    def test_says_what_would_be_reused(self, kdzoo: Command, finished: tuple[Path, Any]) -> None:
        recipe, _ = finished
        runs = recipe.parent / "runs"
        before = {path: path.stat().st_mtime_ns for path in recipe.parent.rglob("*")}
        text = kdzoo("run", recipe, "--out", runs, "--dry-run", "--set", "kid.options.alpha=0.75").out
        assert f"reused: {run_of(runs) / 'finetune'}" in text
        assert text.count("to do") == 2
        assert {path: path.stat().st_mtime_ns for path in recipe.parent.rglob("*")} == before


class TestMistakes:
    """One clear message, exit code 2, and nothing is written."""

    @pytest.fixture
    def refused(self, kdzoo: Command) -> Callable[..., str]:
        def refused(*arguments: object) -> str:
            before = written()
            done = kdzoo("run", *arguments)
            assert (done.code, done.out) == (2, "")
            assert written() == before
            message = done.err.removesuffix("\n")
            assert "\n" not in message
            assert message.startswith("kdzoo: ")
            return message.removeprefix("kdzoo: ")

        return refused

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            (
                "batch_size",
                "batchsize",
                'r.toml:LINE: training.batchsize: unknown key; did you mean "batch_size"?',
            ),
            ("= 0.5", "= 1.5", 'stage "kid": options.alpha: must be greater than 0 and at most 1, not 1.5'),
            ("alpha", "alfa", 'unknown option of method kid; did you mean "alpha"?'),
            ('"kid"', '"kidd"', "no method 'kidd' is installed; did you mean \"kid\"?"),
            ("max_steps = 3", "max_steps = 0", "r.toml:LINE: training.max_steps: must be at least 1, not 0"),
            ("max_steps = 3", 'max_steps = "3"', "must be a whole number, not"),
            ("[tokenizer]", "[tokeniser]", 'r.toml:LINE: tokeniser: unknown key; did you mean "tokenizer"?'),
            ("[[stage]]", "[stage]]", "r.toml:LINE: not valid TOML"),
            (
                'kind = "embedded"\nquestions = 60\ntest_questions = 10\ndatabases = 2',
                'kind = "spider"\npath = "absent"',
                "r.toml:LINE: data.path: there is no HERE/absent",
            ),
            (
                'architecture = "llama", hidden_size = 32',
                'architecture = "lama", hidden_size = 32',
                "r.toml:LINE: student.from_scratch.architecture: no architecture 'lama'; did you mean \"llama\"?",
            ),
            (
                "= 64, num_hidden_layers = 2, num_attention_heads = 4",
                "= 64, num_attention_heads = 5",
                "r.toml:LINE: student.from_scratch: llama does not accept these settings: ",
            ),
            (
                "intermediate_size = 64",
                "max_position_embeddings = 500",
                "training.input_limit: the student has 500 positions, fewer than the 576 of input_limit + output_limit",
            ),
            ("[training]", 'lora = { rank = 2, target_modules = ["q_prj"] }\n[training]', "q_prj"),
            ("[training]", 'attention = "flash_attention_2"\n[training]', "the student cannot be built"),
            (
                "[training]",
                '[training]\nloggers = ["tensorbord"]',
                'r.toml:LINE: training.loggers: no logger is called "tensorbord"; did you mean "tensorboard"?',
            ),
        ],
    )
    def test_in_the_recipe(
        self, refused: Callable[..., str], write: Write, tiny: str, old: str, new: str, message: str
    ) -> None:
        recipe = write(tiny, (old, new))
        line = 1 + recipe.read_text().split(new.split("\n")[-1])[0].count("\n")
        assert message.replace("LINE", str(line)).replace("HERE", str(Path.cwd())) in refused(recipe)

    def test_a_recipe_that_is_not_there(self, refused: Callable[..., str], write: Write) -> None:
        write()
        assert refused("absent.toml") == "absent.toml: there is no such recipe"

    @pytest.mark.parametrize("command", [[], ["--dry-run"]], ids=["run", "dry run"])
    def test_a_model_that_is_not_there(
        self, refused: Callable[..., str], write: Write, tiny: str, command: list[str]
    ) -> None:
        text = tiny.replace("train = { vocab_size = 600 }", 'path = "./absent"')
        message = refused(write(text), *command)
        where = f"r.toml:8: tokenizer.path: there is no folder {Path.cwd() / 'absent'}"
        assert message == f"{where}, and it cannot be a hub name"

    @pytest.mark.parametrize(
        ("override", "message"),
        [
            ("kid.epoch=2", 'did you mean "training.epochs"?'),
            ("kidd.epochs=2", 'no stage or table "kidd"; did you mean "kid"?'),
            ("epochs", "write it as stage.key=value"),
        ],
    )
    def test_in_an_override(
        self, refused: Callable[..., str], write: Write, override: str, message: str
    ) -> None:
        assert refused(write(), "--set", override).startswith(f"--set {override}: ")
        assert message in refused(write(), "--set", override)

    def test_student_and_teacher_of_different_tokenizers(
        self, kdzoo: Command, refused: Callable[..., str], write: Write, tiny: str
    ) -> None:
        text = tiny.split('[[stage]]\nkind = "distill"')[0].replace("max_steps = 3", "max_steps = 1")
        models = []
        for size in (600, 601):
            out = Path(f"made-{size}")
            assert (
                kdzoo("run", write(text), "--out", out, "--set", f"tokenizer.train.vocab_size={size}").code
                == 0
            )
            models.append((run_of(out) / "finetune/model").absolute())
        text = tiny.split("[tokenizer]")[0] + (
            f'[teacher]\npath = "{models[0]}"\n[student]\npath = "{models[1]}"\n'
            '[[stage]]\nkind = "distill"\nmethod = "rkd"\n'
        )
        for command in ([], ["--dry-run"]):
            assert "student and teacher have different tokenizers" in refused(write(text), *command)

    @pytest.mark.parametrize(
        ("train", "evaluation", "message"),
        [
            ('{"prompt": "a"}\n', None, "train.jsonl:1: has no target"),
            (None, '{"prompt": "a", "target"\n', "evaluation.jsonl:1: not valid JSON"),
            ("", None, "stage 'finetune': the data hold no example to train on"),
            (None, "", "stage 'evaluate': the data hold no example to evaluate"),
        ],
    )
    def test_in_the_data(
        self,
        refused: Callable[..., str],
        write: Write,
        tiny: str,
        train: str | None,
        evaluation: str | None,
        message: str,
    ) -> None:
        right = '{"prompt": "one", "target": "two"}\n'
        Path("train.jsonl").write_text(right if train is None else train)
        Path("evaluation.jsonl").write_text(right if evaluation is None else evaluation)
        jsonl = 'kind = "jsonl"\ntrain = "train.jsonl"\nevaluation = "evaluation.jsonl"\n'
        text = tiny.replace('kind = "embedded"\nquestions = 60\ntest_questions = 10\ndatabases = 2\n', jsonl)
        assert message in refused(write(text))

    @pytest.mark.parametrize("command", [[], ["--dry-run"]], ids=["run", "dry run"])
    def test_limits_that_no_target_keeps(self, kdzoo: Command, write: Write, command: list[str]) -> None:
        done = kdzoo("run", write(write().read_text(), ("output_limit = 64", "output_limit = 2")), *command)
        assert (done.code, done.out) == (2, "")
        assert done.err.startswith(
            "kdzoo: r.toml:18: training.output_limit: all 60 training targets are longer"
        )
        # what the data are made into is kept for the next run, and nothing else
        assert [path for path in Path().glob("runs/*") if path.name != ".cache"] == []

    @pytest.mark.parametrize("command", [[], ["--dry-run"]], ids=["run", "dry run"])
    @pytest.mark.parametrize("kind", ["file", "folder", "nothing"])
    def test_a_dataset_that_is_none(
        self, kdzoo: Command, write: Write, tiny: str, command: list[str], kind: str
    ) -> None:
        path = Path("spider")
        if kind == "file":
            path.touch()
        elif kind == "folder":
            path.mkdir()
        embedded = 'kind = "embedded"\nquestions = 60\ntest_questions = 10\ndatabases = 2'
        recipe = write(tiny, (embedded, 'kind = "spider"\npath = "spider"'))
        done = kdzoo("run", recipe, *command)
        assert done.code == 2
        message = {
            "file": f"kdzoo: r.toml:4: data.path: {path.absolute()} is not the folder of a dataset",
            "folder": f"kdzoo: r.toml:2: data.train: there is no {path.absolute()}/train_spider.json; ",
            "nothing": f"kdzoo: r.toml:4: data.path: there is no {path.absolute()}; ",
        }[kind]
        assert done.err.startswith(message)
        assert not Path("runs").exists()

    @pytest.mark.parametrize("command", [[], ["--dry-run"]], ids=["run", "dry run"])
    def test_a_student_without_weights(
        self, kdzoo: Command, write: Write, tiny: str, command: list[str]
    ) -> None:
        text = tiny.split('[[stage]]\nkind = "distill"')[0].replace("max_steps = 3", "max_steps = 1")
        assert kdzoo("run", write(text), "--out", "made").code == 0
        model = (run_of(Path("made")) / "finetune/model").absolute()
        (model / "model.safetensors").unlink()
        teacher = "[tokenizer]\n" + text.split("[tokenizer]\n")[1].split("[student]")[0]
        text = text.split("[tokenizer]")[0] + teacher.replace(
            "train = { vocab_size = 600 }", f'path = "{model}"'
        )
        text += f'[student]\npath = "{model}"\n[[stage]]\nkind = "distill"\nmethod = "rkd"\n'
        done = kdzoo("run", write(text), *command)
        assert (done.code, done.out) == (2, "")
        assert done.err.startswith(
            f"kdzoo: r.toml:12: student.path: the weights of '{model}' cannot be loaded"
        )
        assert not Path("runs").exists()

    def test_several_mistakes_are_told_at_once_one_a_line(self, kdzoo: Command, write: Write) -> None:
        done = kdzoo("run", write(write().read_text(), ("batch_size", "batchsize"), ("= 0.5", "= 1.5")))
        assert done.code == 2
        assert len(done.err.splitlines()) == 2
        assert written() == []


class TestRehearsal:
    def test_runs_every_stage_where_neither_data_nor_weights_are(
        self, kdzoo: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("KDZOO_DATA", str(tmp_path / "absent"))
        (path,) = (recipe for recipe in RECIPES if recipe.stem == "kid_tinyllama")
        done = kdzoo("run", path, "--rehearse")
        assert done.code == 0
        assert done.err == (
            f"rehearsal: {tmp_path / 'absent/spider'} is not there, the embedded benchmark stands in\n"
        )
        assert list(rows_of(done.out)) == ["teacher", "kid"]
        lines = [line.rstrip() for line in done.out.splitlines()]
        (heading,) = (number for number, line in enumerate(lines) if line.startswith("model "))
        assert lines[heading - 1] == "rehearsal: scores of tiny random models"
        run = run_of()
        assert run.name.startswith("kid_tinyllama-rehearsal-")
        stands_for = tomllib.loads((run / "rehearses.toml").read_text())
        assert stands_for["teacher"]["path"] == "meta-llama/Llama-2-7b-hf"
        for stage in ("finetune", "kid"):
            adapter = json.loads((run / stage / "model/adapter_config.json").read_text())
            assert (adapter["r"], adapter["lora_alpha"]) == (4, 32)
            assert json.loads((run / stage / "base/config.json").read_text())["model_type"] == "llama"


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let the system refuse to write more than so many bytes to a file, as it does when a disk is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(disk)]
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("file systems cannot be mounted here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


class TestTheSystemRefuses:
    """Exit code 1 and one message; nothing that was finished is lost."""

    @pytest.mark.parametrize(
        ("size", "what"),
        [(1 << 10, "a database of the benchmark"), (50_000, "weights"), (400_000, "the optimizer's state")],
        ids=["data", "weights", "optimizer"],
    )
    def test_to_write(self, size: int, what: str, kdzoo: Command, write: Write, tiny: str) -> None:
        recipe = write(tiny.split('[[stage]]\nkind = "distill"')[0])
        with files_of_at_most(size):
            done = kdzoo("run", recipe)
        assert done.code == 1, what
        (line,) = done.err.splitlines()
        assert line.startswith("kdzoo: cannot write below runs/tiny-")
        assert kdzoo("run", recipe).code == 0

    def test_what_was_finished_is_kept(self, kdzoo: Command, write: Write) -> None:
        assert kdzoo("run", write(), "--set", "kid.options.alpha=0.125").code == 0
        with files_of_at_most(50_000):
            done = kdzoo("run", write())
        assert done.code == 1
        assert "finetune: finished before" in done.out
        status = [json.loads(path.read_text())["status"] for path in Path("runs").glob("*/run.json")]
        assert sorted(status) == ["failed", "finished"]

    def test_to_write_anything_more_is_told_in_run_json_too(
        self, kdzoo: Command, write: Write, small_disk: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        advance = Reporter.advance

        def fill(self: Reporter, done: int, numbers: str = "") -> None:
            advance(self, done, numbers)
            with suppress(OSError), (small_disk / "filler").open("ab", buffering=0) as filler:
                while filler.write(bytes(4096)):
                    pass

        recipe = write()
        with monkeypatch.context() as patch:
            patch.setattr(Reporter, "advance", fill)
            done = kdzoo("run", recipe, "--out", small_disk / "runs")
        assert done.code == 1
        assert "No space left on device" in done.err
        status = json.loads((run_of(small_disk / "runs") / "run.json").read_text())["status"]
        assert status == "failed"

    def test_a_folder_where_a_file_is(self, kdzoo: Command, write: Write) -> None:
        Path("taken").touch()
        done = kdzoo("run", write(), "--out", "taken/runs")
        assert done.code == 1
        (line,) = done.err.splitlines()
        assert line.startswith("kdzoo: cannot write below taken/runs/tiny-")
        assert line.endswith("Not a directory")
