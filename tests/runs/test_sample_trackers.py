"""Samples of answers go where loggers say: a bounded table, its cells text, and never at the cost of a run."""

from __future__ import annotations

import html
import json
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from transformers import TrainerCallback
from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

from kdzoo.recipe import load_recipe
from kdzoo.report.printable import printable
from kdzoo.report.progress import Reporter
from kdzoo.runs import pipeline, sample_trackers
from kdzoo.runs.sample_trackers import Sample, SampleTrackers, markdown_table, samples_of, spread, table_of
from kdzoo.tasks.example import Example

NASTY = [
    "a | b",
    "`SELECT` * FROM [x](http://y) WHERE a_b_c < 3 AND d > 4",
    "# title\n---\n1. one\r\n- two",
    "<script>alert('x')</script> &amp; $x$ \\| ~~z~~",
    "\x1b[31m",
    "",
]


class Writer:
    """What stands in for TensorBoard's: keeps what it is told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.texts: list[tuple[str, str, int | None]] = []
        self.closed = False

    def add_text(self, tag: str, text_string: str, global_step: int | None = None) -> None:
        assert not self.closed
        self.texts.append((tag, text_string, global_step))

    def close(self) -> None:
        self.closed = True


class Wandb:
    """What stands in for the package."""

    def __init__(self) -> None:
        self.run: Any = None
        self.begun: list[dict[str, Any]] = []
        self.logged: list[dict[str, Any]] = []
        self.finished = 0

    def init(self, **settings: Any) -> Any:
        self.begun.append(settings)
        return SimpleNamespace(log=self.logged.append, finish=self._finish)

    def _finish(self) -> None:
        self.finished += 1

    def Table(self, columns: list[str], data: list[list[str]]) -> Any:  # noqa: N802
        return {"columns": columns, "data": data}


@pytest.fixture
def writers(monkeypatch: pytest.MonkeyPatch) -> list[Writer]:
    made: list[Writer] = []

    def make(folder: Path) -> Writer:
        made.append(Writer(folder))
        return made[-1]

    monkeypatch.setattr(sample_trackers, "summary_writer", make)
    monkeypatch.delenv("TENSORBOARD_LOGGING_DIR", raising=False)
    return made


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> Wandb:
    fake = Wandb()
    usual = sample_trackers.import_module
    monkeypatch.setattr(
        sample_trackers, "import_module", lambda name: fake if name == "wandb" else usual(name)
    )
    return fake


def trackers(*loggers: str, folder: Path = Path("stage"), said: Any = None) -> SampleTrackers:
    return SampleTrackers(loggers, "r-1", "stage", folder, [].append if said is None else said)


def cells(table: str) -> list[list[str]]:
    """The texts of a Markdown table's cells, as HTML shows them."""
    rows = [line.strip("|").split("|") for line in table.splitlines()]
    return [[html.unescape(cell.strip().replace("<br>", "\n")) for cell in row] for row in rows]


def samples(count: int) -> list[Sample]:
    return [Sample(f"q{n}", f"g{n}", f"p{n}", {"ex": n % 2 == 0}) for n in range(count)]


class TestTable:
    def test_what_stands_in_cells_is_text(self) -> None:
        table = markdown_table([Sample(text, text, text, {"error": text}) for text in NASTY])
        header, rule, *rows = cells(table)
        assert header == ["question", "gold", "prediction", "error"]
        assert rule == ["---"] * 4
        assert rows == [[text.replace("\r", "").replace("\x1b", "\\x1b").strip()] * 4 for text in NASTY]
        bare = table.replace("<br>", "")
        assert not set("\\`*_{}[]()<>~") & set(bare)
        assert all(line.count("|") == 5 for line in bare.splitlines())

    def test_verdicts_are_words_and_numbers(self) -> None:
        found = [
            Sample("q", "g", "p", {"ex": True, "error": None}),
            Sample("q", "g", "p", {"ex": False, "error": "no such column", "rouge_l": 0.5}),
        ]
        columns, rows = table_of(found)
        assert columns[3:] == ["ex", "error", "rouge_l"]
        assert [row[3:] for row in rows] == [["right", "", ""], ["wrong", "no such column", "0.500"]]

    def test_long_texts_are_cut(self) -> None:
        _, ((question, *_),) = table_of([Sample("x" * 5000, "g", "p")])
        assert (len(question), question[-1]) == (2000, "…")

    def test_a_sample_is_of_an_example_and_its_line(self) -> None:
        examples = [Example("1", "the prompt", "gold", question="asked"), Example("2", "the prompt", "gold")]
        lines = [{"ex": True, "samples": ["a", "b"]}, {"ex": False}]
        first, second = samples_of(examples, ["one", "two"], lines)
        assert first == Sample("asked", "gold", "one", {"ex": True})
        assert second == Sample("the prompt", "gold", "two", {"ex": False})
        assert samples_of(examples, ["one", "two"], ())[0].verdicts == {}

    @pytest.mark.parametrize(
        ("count", "numbers"),
        [(0, []), (1, [0]), (2, [0, 1]), (3, [0, 1, 2]), (10, [0, 4, 9]), (101, [0, 50, 100])],
    )
    def test_a_few_are_spread_over_all(self, count: int, numbers: list[int]) -> None:
        assert spread(count, 3) == numbers


class TestTensorBoard:
    def test_a_bounded_table_is_written(self, writers: list[Writer], tmp_path: Path) -> None:
        trackers("tensorboard", folder=tmp_path).show("kid on dev", samples(1000), 20)
        (writer,) = writers
        assert (writer.folder, writer.closed) == (tmp_path / "tensorboard", True)
        ((tag, text, step),) = writer.texts
        assert (tag, step) == ("kid on dev", 20)
        rows = cells(text)[2:]
        assert len(rows) == 50
        assert (rows[0][0], rows[-1][0]) == ("q0", "q999")
        trackers("tensorboard", folder=tmp_path).show("kid on dev", samples(1000), 20)
        assert writers[1].texts == writer.texts

    def test_its_own_variable_says_where(
        self, writers: list[Writer], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "logs"))
        trackers("tensorboard").show("t", samples(1))
        assert writers[0].folder == tmp_path / "logs/r-1/stage"

    @pytest.mark.skipif(find_spec("tensorboard") is None, reason="the package tensorboard is not installed")
    def test_its_own_reader_finds_the_table(self, tmp_path: Path) -> None:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        trackers("tensorboard", folder=tmp_path).show("kid on dev", samples(3), 7)
        events = EventAccumulator(str(tmp_path / "tensorboard"))
        events.Reload()
        (event,) = events.Tensors("kid on dev/text_summary")
        assert event.step == 7
        assert event.tensor_proto.string_val[0].decode() == markdown_table(samples(3))


class TestWandb:
    def test_a_table_is_logged_in_the_run_that_is_open(self, wandb: Wandb) -> None:
        wandb.run = SimpleNamespace(log=wandb.logged.append)
        trackers("wandb").show("kid on dev", samples(60), 20)
        (logged,) = wandb.logged
        assert logged["train/global_step"] == 20
        assert logged["kid on dev"]["columns"] == ["question", "gold", "prediction", "ex"]
        assert len(logged["kid on dev"]["data"]) == 50
        assert logged["kid on dev"]["data"][0] == ["q0", "g0", "p0", "right"]
        assert (wandb.begun, wandb.finished) == ([], 0)

    def test_else_in_one_of_its_own(self, wandb: Wandb, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WANDB_PROJECT", "mine")
        trackers("wandb").show("kid on dev", samples(1))
        assert wandb.begun == [{"project": "mine", "name": "r-1/stage"}]
        assert (len(wandb.logged), wandb.finished) == (1, 1)


def test_nothing_is_sent_unless_a_logger_is_named(writers: list[Writer], wandb: Wandb) -> None:
    trackers().show("t", samples(1))
    trackers("mlflow").show("t", samples(1))
    trackers("tensorboard", "wandb").show("t", [])
    assert (writers, wandb.logged) == ([], [])


def test_a_tracker_that_fails_is_told_and_the_other_gets_its_table(
    wandb: Wandb, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(folder: Path) -> Writer:
        raise OSError("no space\nleft")

    monkeypatch.setattr(sample_trackers, "summary_writer", refuse)
    said: list[str] = []
    trackers("tensorboard", "wandb", said=said.append).show("t", samples(1))
    assert said == ["t: samples are not sent to tensorboard: no space left"]
    assert len(wandb.logged) == 1


RECIPE = """\
[data]
kind = "jsonl"
train = "a.jsonl"
evaluation = "a.jsonl"
[tokenizer]
train = { vocab_size = 320 }
[student]
from_scratch = { architecture = "llama", hidden_size = 16, intermediate_size = 32, num_hidden_layers = 1, num_attention_heads = 2 }
[training]
max_steps = 2
batch_size = 2
input_limit = 64
output_limit = 8
loggers = ["tensorboard"]
evaluate_every = 1
[[stage]]
kind = "distill"
method = "sft"
[[stage]]
kind = "distill"
name = "unlogged"
method = "sft"
training = { loggers = [], evaluate_every = 0 }
[[stage]]
kind = "evaluate"
"""


def test_a_run_sends_what_it_evaluates(
    writers: list[Writer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(INTEGRATION_TO_CALLBACK, "tensorboard", TrainerCallback)
    lines = [{"prompt": f"count {n} |", "target": f"{n}"} for n in range(3)]
    Path("a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    Path("r.toml").write_text(RECIPE)
    directory = pipeline.run(load_recipe(Path("r.toml")), Path("runs"), Reporter(Console(file=StringIO())))
    shown = [(writer.folder.parent.name, tag, step) for writer in writers for tag, _, step in writer.texts]
    assert shown == [
        ("sft", "sft on jsonl", 1),
        ("sft", "sft on jsonl", 2),
        ("evaluate", "evaluate/sft on jsonl", None),
    ]
    kept = (directory.path / "evaluate/predictions.jsonl").read_text().splitlines()
    predictions = [entry for entry in map(json.loads, kept) if entry["model"] == "sft"]
    rows = cells(writers[-1].texts[0][1])
    assert rows[0] == ["question", "gold", "prediction", "exact_match", "rouge_l"]
    assert [row[:3] for row in rows[2:]] == [
        [line["prompt"], line["gold"], printable(line["prediction"])] for line in predictions
    ]
