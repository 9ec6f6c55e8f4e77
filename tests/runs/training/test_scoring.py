"""A stage that is scored while it trains: its lines, its samples, its best weights, and the same training as without."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from kdzoo.engine.models.loading import save_trained
from kdzoo.errors import RunError, UserError
from kdzoo.recipe import load_recipe
from kdzoo.report.progress import Reporter
from kdzoo.runs import pipeline
from kdzoo.runs.training import scoring
from kdzoo.tasks.metric import Measured

RECIPE = """\
name = "small"
[data]
kind = "jsonl"
train = "train.jsonl"
evaluation = "held_out.jsonl"
[tokenizer]
train = { vocab_size = 320 }
[student]
from_scratch = { architecture = "llama", hidden_size = 32, intermediate_size = 64, num_hidden_layers = 2, num_attention_heads = 4, attention_dropout = 0.1 }
[training]
epochs = 2
batch_size = 4
learning_rate = 3e-2
input_limit = 64
output_limit = 16
logging_steps = 1
save_steps = 2
[[stage]]
kind = "distill"
method = "sft"
[[stage]]
kind = "evaluate"
"""

Run = Callable[..., Path]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the recipe on a few lines of text and give its sft stage's folder: six steps, three an epoch."""
    monkeypatch.chdir(tmp_path)
    for name, count in (("train", 10), ("held_out", 7)):
        lines = [{"prompt": f"count {i}:", "target": f"the count is {i}"} for i in range(count)]
        Path(f"{name}.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    Path("r.toml").write_text(RECIPE)

    def run(*overrides: str, out: str = "runs", printed: Any = None) -> Path:
        reporter = Reporter(Console(file=printed or StringIO(), width=200))
        return pipeline.run(load_recipe(Path("r.toml"), overrides), Path(out), reporter).stage("sft")

    return run


@pytest.fixture
def give(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let the metric give these scores, one after the other."""

    def give(*scores: float | None) -> None:
        remaining = iter(scores)

        def measured(self: object, predictions: list[str]) -> Measured:
            return Measured(next(remaining))

        monkeypatch.setattr(scoring.StageScorer, "_measured", measured)

    return give


def lines_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def steps_of(stage: Path) -> list[dict[str, Any]]:
    return [
        {key: value for key, value in line.items() if key != "tokens_per_second"}
        for line in lines_of(stage / "metrics.jsonl")
        if "loss" in line
    ]


def scores_of(stage: Path) -> list[dict[str, Any]]:
    return [line for line in lines_of(stage / "metrics.jsonl") if "loss" not in line]


def results(stage: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((stage / "stage.json").read_text())["results"]
    return content


def weights(folder: Path) -> dict[str, torch.Tensor]:
    (file,) = folder.glob("*.safetensors")
    return load_file(file)


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(tensor.equal(other[name]) for name, tensor in one.items())


SCORED = ("training.evaluate_every=2", "training.evaluate_metric=rouge_l")


@pytest.mark.parametrize("more", [(), ("student.lora={rank=2}",), ("training.micro_batch_size=2",)])
def test_weights_and_what_is_logged_of_steps_are_those_of_a_training_without(
    run: Run, more: tuple[str, ...]
) -> None:
    plain = run(*more, out="plain")
    scored = run(*SCORED, "training.keep_best=true", *more, out="scored")
    last = run(*SCORED, *more, out="last")
    assert steps_of(scored) == steps_of(plain)
    assert same(weights(last / "model"), weights(plain / "model"))
    checkpoint = "checkpoints/checkpoint-6"
    assert same(weights(scored / checkpoint), weights(plain / checkpoint))


class TestLines:
    def test_scores_stand_between_the_steps_lines(self, run: Run) -> None:
        stage = run(*SCORED, "training.evaluate_examples=5")
        lines = lines_of(stage / "metrics.jsonl")
        assert [(line["step"], "scores" in line) for line in lines if line["step"] in (2, 3, 4)] == [
            (2, True),
            (2, False),
            (3, False),
            (4, True),
            (4, False),
        ]
        for step, line in zip((2, 4, 6), scores_of(stage), strict=True):
            score = line["scores"]["rouge_l"]
            assert line == {"step": step, "set": "jsonl", "examples": 5, "scores": {"rouge_l": score}}
            assert 0 <= score <= 1

    @pytest.mark.parametrize(
        ("every", "steps"),
        [("4", [4, 6]), ("100", [6]), ('"1 epoch"', [3, 6]), ('"0.5 epochs"', [2, 3, 5, 6])],
    )
    def test_come_after_so_many_steps_or_epochs_and_after_the_last(
        self, run: Run, every: str, steps: list[int]
    ) -> None:
        stage = run(f"training.evaluate_every={every}")
        assert [line["step"] for line in scores_of(stage)] == steps

    def test_the_last_score_is_the_evaluate_stage_s(self, run: Run) -> None:
        stage = run(*SCORED, 'evaluation.metrics=["rouge_l"]', "training.max_steps=40")
        evaluated = json.loads((stage.parent / "evaluate/scores.json").read_text())
        assert f'"rouge_l": {scores_of(stage)[-1]["scores"]["rouge_l"]}' in json.dumps(evaluated)
        said = {
            line["id"]: line["prediction"] for line in lines_of(stage.parent / "evaluate/predictions.jsonl")
        }
        last = [line for line in lines_of(stage / "samples.jsonl") if line["step"] == 40]
        assert {line["id"]: line["prediction"] for line in last}.items() <= said.items()
        assert any(said.values())

    def test_samples_are_a_few_answers_to_the_same_questions(self, run: Run) -> None:
        stage = run(*SCORED)
        lines = lines_of(stage / "samples.jsonl")
        assert [(line["step"], line["id"]) for line in lines] == [
            (step, f"held_out-{i}") for step in (2, 4, 6) for i in (1, 4, 7)
        ]
        assert {key: lines[0][key] for key in ("set", "question", "gold")} == {
            "set": "jsonl",
            "question": "",
            "gold": "the count is 0",
        }
        assert all(0 <= line["rouge_l"] <= 1 for line in lines)

    def test_a_recipe_that_does_not_ask_has_none(self, run: Run) -> None:
        stage = run("training.evaluate_metric=rouge_l", "training.evaluate_examples=5")
        assert scores_of(stage) == []
        assert not (stage / "samples.jsonl").exists()

    def test_loggers_are_told(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        told: list[dict[str, float]] = []
        from kdzoo.engine.training.trainer import KDTrainer

        log = KDTrainer.log

        def listening(self: KDTrainer, logs: dict[str, float], start_time: float | None = None) -> None:
            told.append(dict(logs))
            log(self, logs, start_time)

        monkeypatch.setattr(KDTrainer, "log", listening)
        stage = run(*SCORED)
        assert [logs["score/jsonl/rouge_l"] for logs in told if "score/jsonl/rouge_l" in logs] == [
            line["scores"]["rouge_l"] for line in scores_of(stage)
        ]


class StoppedError(Exception):
    pass


class TestInterrupted:
    @pytest.fixture
    def stop(self, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
        """Let something of the scorer fail when it is called for the n-th time."""

        def stop(name: str, at: int, *, before: bool) -> None:
            calls: list[int] = []
            original = getattr(scoring.StageScorer, name)

            def stopping(self: object, *given: Any) -> Any:
                calls.append(1)
                if before and len(calls) == at:
                    raise StoppedError
                done = original(self, *given)
                if len(calls) == at:
                    raise StoppedError
                return done

            monkeypatch.setattr(scoring.StageScorer, name, stopping)

        return stop

    @pytest.mark.parametrize(
        ("where", "at", "before", "more"),
        [
            ("_answers", 2, True, ("training.save_steps=3",)),
            ("_samples", 3, True, ("student.lora={rank=2}",)),
            ("_keep", 2, False, ("training.save_steps=3", "student.lora={rank=2}")),
            ("_keep", 2, False, ()),
        ],
        ids=["while it answers", "while it is written", "after it", "after it, before a checkpoint"],
    )
    def test_it_has_the_lines_samples_and_weights_of_one_that_was_not(
        self, run: Run, stop: Callable[..., None], where: str, at: int, before: bool, more: tuple[str, ...]
    ) -> None:
        how = (*SCORED, "training.keep_best=true", *more)
        whole = run(*how, out="whole")
        stop(where, at, before=before)
        with pytest.raises(StoppedError):
            run(*how, out="parts")
        parts = run(*how, out="parts")
        assert scores_of(parts) == scores_of(whole)
        assert (parts / "samples.jsonl").read_text() == (whole / "samples.jsonl").read_text()
        assert steps_of(parts) == steps_of(whole)
        assert same(weights(parts / "model"), weights(whole / "model"))
        assert results(parts)["best_step"] == results(whole)["best_step"]

    def test_its_time_is_none_of_the_training_s(
        self, run: Run, stop: Callable[..., None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        left_out: list[float] = []
        monkeypatch.setattr(
            "kdzoo.runs.training.clock.Clock.leave_out", lambda _, seconds: left_out.append(seconds)
        )
        stop("_answers", 2, before=False)
        with pytest.raises(StoppedError):
            run(*SCORED)
        assert len(left_out) == 2


class TestTheBest:
    HOW = ("training.evaluate_every=1", "training.keep_best=true", "training.save_steps=1")

    @pytest.mark.parametrize(
        ("scores", "best", "lora"),
        [
            ((0.1, 0.5, 0.2, 0.5, 0.3, 0.4), 4, ()),  # the latest of equal ones
            ((0.6, 0.5, 0.2, 0.5, 0.3, 0.4), 1, ("student.lora={rank=2}",)),
            ((0.1, 0.2, 0.3, 0.4, 0.5, 0.6), 6, ()),
            ((None, None, 0.0, None, 0.0, None), 5, ("student.lora={rank=2}",)),
        ],
    )
    def test_is_what_the_stage_leaves(
        self,
        run: Run,
        give: Callable[..., None],
        monkeypatch: pytest.MonkeyPatch,
        scores: tuple[float | None, ...],
        best: int,
        lora: tuple[str, ...],
    ) -> None:
        monkeypatch.setattr("kdzoo.runs.training.arguments.TrainingArguments", keeping_all)
        monkeypatch.setattr("kdzoo.runs.pipeline.keep_last", lambda folder: None)
        give(*scores)
        stage = run(*self.HOW, *lora)
        assert results(stage)["best_step"] == best
        assert results(stage)["best_score"] == scores[best - 1]
        assert same(weights(stage / "model"), weights(stage / f"checkpoints/checkpoint-{best}"))
        assert {"generation_config.json", "tokenizer.json"} <= {p.name for p in (stage / "model").iterdir()}
        assert not list(stage.glob("best-*"))

    def test_is_the_last_where_no_score_is_defined(self, run: Run, give: Callable[..., None]) -> None:
        give(*[None] * 6)
        stage = run(*self.HOW)
        assert "best_step" not in results(stage)
        assert same(weights(stage / "model"), weights(stage / "checkpoints/checkpoint-6"))
        assert [line["scores"] for line in scores_of(stage)] == [{"exact_match": None}] * 6

    def test_and_the_best_before_the_last_checkpoint_are_all_that_is_kept_meanwhile(
        self, run: Run, give: Callable[..., None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        give(0.1, 0.2, 0.1, 0.3, 0.4, 0.2)
        seen: list[list[str]] = []
        keep = scoring.StageScorer._keep

        def looking(self: Any, *given: Any) -> None:
            keep(self, *given)
            seen.append(sorted(path.name for path in self._folder.glob("best-*")))

        monkeypatch.setattr(scoring.StageScorer, "_keep", looking)
        run("training.evaluate_every=1", "training.keep_best=true", "training.save_steps=3")
        assert seen == [
            ["best-1"],
            ["best-2"],
            ["best-2"],
            [
                "best-2",
                "best-4",
            ],  # a start from the checkpoint of step 3 needs not come to step 4's score again
            ["best-2", "best-5"],
            ["best-2", "best-5"],
        ]

    def test_a_start_after_it_was_put_in_place_leaves_it_there(self, run: Run) -> None:
        stage = run(*SCORED, "training.keep_best=true")
        before, best = weights(stage / "model"), results(stage)["best_step"]
        (stage / "stage.json").unlink()
        again = run(*SCORED, "training.keep_best=true")
        assert same(weights(again / "model"), before)
        assert results(again)["best_step"] == best

    def test_a_full_disk_is_told_and_the_next_start_continues(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        whole = run(*SCORED, "training.keep_best=true", out="whole")
        with monkeypatch.context() as patch:

            def full(model: Any, tokenizer: Any, ends: Any, folder: Path, *more: Any) -> None:
                save_trained(model, tokenizer, ends, folder, *more)
                raise OSError(errno.ENOSPC, "No space left on device", str(folder / "model.safetensors"))

            patch.setattr(scoring, "save_trained", full)
            with pytest.raises(RunError, match=r"cannot write below .*No space left on device"):
                run(*SCORED, "training.keep_best=true", out="parts")
        (stage,) = Path("parts").glob("small-*/sft")
        assert not list(stage.glob("*best-*"))
        again = run(*SCORED, "training.keep_best=true", out="parts")
        assert same(weights(again / "model"), weights(whole / "model"))
        assert scores_of(again) == scores_of(whole)


def keeping_all(**given: Any) -> Any:
    from transformers import TrainingArguments

    return TrainingArguments(**{**given, "save_total_limit": None})


def test_data_without_a_question_to_score_by_are_refused_before_anything_is_written(run: Run) -> None:
    Path("held_out.jsonl").write_text("")
    with pytest.raises(UserError):
        run(*SCORED)
    assert not Path("runs").exists()


def test_what_a_metric_has_to_say_is_said_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = scoring.StageScorer._measured

    def talking(self: Any, predictions: list[str]) -> Measured:
        self._say_once("the metric has something to say")
        return measured(self, predictions)

    monkeypatch.setattr(scoring.StageScorer, "_measured", talking)
    printed = StringIO()
    run(*SCORED, printed=printed)
    assert printed.getvalue().count("the metric has something to say") == 1
    assert printed.getvalue().count("% on 7 questions of jsonl after step") == 3
