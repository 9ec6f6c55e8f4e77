"""Scores of a model while it is trained: it answers the first questions of an evaluation set, and a metric judges."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from peft import PeftModel
from torch import Tensor
from transformers import PreTrainedModel

from kdzoo.engine.measure.generation import by_prefix, generate_all
from kdzoo.engine.models.loading import save_trained
from kdzoo.engine.models.sharding import whole_weights
from kdzoo.engine.prompts.encoding import decode
from kdzoo.engine.prompts.probe.choice import choose_way
from kdzoo.engine.prompts.sampling import SamplingLimits
from kdzoo.engine.training.checkpoints import CHECKPOINTS, checkpoints_in
from kdzoo.engine.training.recorder import lines_until
from kdzoo.engine.training.scoring import apart_from_training
from kdzoo.files import write_text
from kdzoo.methods.sequences import Source
from kdzoo.recipe import Scoring, TrainingStage, scoring_of
from kdzoo.recipe.scoring import is_scored_after
from kdzoo.runs.context import RunContext
from kdzoo.runs.evaluation.evaluate import encode_questions, judged
from kdzoo.runs.sample_trackers import SampleTrackers, samples_of, spread
from kdzoo.runs.training.best import BestWeights, best_of
from kdzoo.tasks import registry
from kdzoo.tasks.metric import Answers, Measured

METRICS, SAMPLES = "metrics.jsonl", "samples.jsonl"
_SAMPLES = 3

Item = TypeVar("Item")


@dataclass(frozen=True)
class Best:
    """The best score of a training, and the step that it came after."""

    step: int
    score: float


class StageScorer:
    """Implements `kdzoo.engine.training.scoring.Scorer` for a stage.

    What it finds is written to the stage's ``metrics.jsonl`` and ``samples.jsonl``; ``scored`` hears how many seconds it
    took.
    """

    def __init__(
        self,
        context: RunContext,
        stage: TrainingStage,
        scoring: Scoring,
        folder: Path,
        student: PreTrainedModel | PeftModel,
        end_ids: tuple[int, ...],
        steps_per_epoch: int,
        scored: Callable[[float], None],
    ) -> None:
        self._context = context
        self._processes = context.processes
        self._stage = stage.name
        self._scoring = scoring
        self._folder = folder
        self._student = student
        self._scored = scored
        self._interval = scoring.interval(steps_per_epoch)
        self._metric = registry.metrics.find(scoring.metric)
        self._splits = context.splits(scoring.data)
        self._examples = self._splits.evaluation[: scoring.examples]
        settings, tokenizer = scoring.evaluation, context.tokenizer
        self._prompts, _ = encode_questions(context, self._examples, settings)
        self._limits = SamplingLimits(settings.output_limit, end_ids)
        with apart_from_training(student):
            self._way = choose_way(
                student,
                "student",
                prompt=max((len(prompt.prompt) for prompt in self._prompts), default=0),
                output=settings.output_limit,
                sharing=context.recipe.training_of(stage).sharing,
            )
        self._trackers = SampleTrackers(
            context.recipe.training_of(stage).loggers,
            context.directory.path.name,
            stage.name,
            folder,
            self._say_once,
        )
        self._scores: dict[int, float | None] = {}
        self._told: set[str] = set()
        self._whole: dict[str, Tensor] | None = None
        self._weights = BestWeights(
            folder, lambda path: save_trained(student, tokenizer, end_ids, path, self._whole)
        )

    def continue_after(self, step: int) -> None:
        """See `kdzoo.engine.training.scoring.Scorer.continue_after`."""
        self._scores = self._processes.of_main(lambda: self._kept_until(step))

    def _kept_until(self, step: int) -> dict[int, float | None]:
        lines = [json.loads(line) for line in lines_until(self._folder / METRICS, step)]
        scores = {line["step"]: line["scores"].get(self._metric.name) for line in lines if "scores" in line}
        samples = lines_until(self._folder / SAMPLES, step)
        kept = [line for line in samples if json.loads(line)["step"] in scores]
        write_text(self._folder / SAMPLES, "".join(kept))
        self._weights.forget_all_but(best_of(scores))
        return scores

    def is_due(self, step: int, last: int) -> bool:
        """See `kdzoo.engine.training.scoring.Scorer.is_due`."""
        return step not in self._scores and is_scored_after(step, last, self._interval)

    def score(self, step: int, should_stop: Callable[[], bool]) -> Mapping[str, float] | None:
        """See `kdzoo.engine.training.scoring.Scorer.score`."""
        begin = time.monotonic()
        try:
            predictions = self._answers(should_stop)
            if predictions is None:
                return None
            self._whole = whole_weights(self._student) if self._scoring.keep_best else None
            score = self._processes.of_main(lambda: self._judged(step, predictions))
            self._scores = {**self._scores, step: score}
        finally:
            self._scored(time.monotonic() - begin)
        return {} if score is None else {f"score/{self._scoring.set}/{self._metric.name}": score}

    @property
    def best(self) -> Best | None:
        """The best score so far; None if there is none."""
        step = best_of(self._scores)
        score = None if step is None else self._scores[step]
        return None if step is None or score is None else Best(step, score)

    def leave_best(self, model: Path) -> Best | None:
        """Let the folder ``model`` hold the best one, if that is asked for and there is one, and say which it is."""
        best = self.best if self._scoring.keep_best else None
        if best is not None:
            self._weights.move_to(best.step, model)
        self._weights.forget_all_but()
        return best

    def _answers(self, should_stop: Callable[[], bool]) -> list[str] | None:
        said: list[tuple[int, str]] = []
        settings = self._scoring.evaluation
        for index, ids in generate_all(
            self._student,
            self._processes.share(by_prefix(self._prompts)),
            self._limits,
            source=Source.STUDENT,
            batch_size=settings.batch_size,
            way=self._way,
        ):
            said.append((index, decode(self._context.tokenizer, ids)))
            # processes that are at different answers cannot agree on stopping; they do so after the score
            if self._processes.count == 1 and should_stop():
                return None
        said_by_all = [text for _, text in sorted(self._processes.of_all(said))]
        return judged(self._scoring.data, said_by_all, settings)

    def _judged(self, step: int, predictions: Sequence[str]) -> float | None:
        measured = self._measured(predictions)
        self._keep(step, measured, predictions)
        return measured.score

    def _measured(self, predictions: Sequence[str]) -> Measured:
        return self._metric.measure(
            Answers(
                self._splits,
                self._examples,
                predictions,
                self._scoring.evaluation,
                say=self._say_once,
                track=_untold,
            )
        )

    def _keep(self, step: int, measured: Measured, predictions: Sequence[str]) -> None:
        name, score = self._metric.name, measured.score
        scores = {**self._scores, step: score}
        if self._scoring.keep_best and best_of(scores) == step:
            self._weights.keep(step)
        _append(self._folder / SAMPLES, self._samples(step, measured, predictions))
        line = {
            "step": step,
            "set": self._scoring.set,
            "examples": len(self._examples),
            "scores": {name: score},
        }
        _append(self._folder / METRICS, [line])
        title = f"{self._stage} on {self._scoring.set}"
        self._trackers.show(title, samples_of(self._examples, predictions, measured.lines), step)
        if self._scoring.keep_best:
            # any of the checkpoints may be the one that a later start continues from
            saved = [checkpoint.step for checkpoint in checkpoints_in(self._folder / CHECKPOINTS)]
            until = [{s: score for s, score in scores.items() if s <= step} for step in saved]
            self._weights.forget_all_but(best_of(scores), *map(best_of, until))
        told = "undefined" if score is None else self._metric.text_of(score)
        self._context.reporter.say(
            f"{self._stage}: {name} {told} on {len(self._examples)} questions of {self._scoring.set} after step {step}"
        )

    def _samples(self, step: int, measured: Measured, predictions: Sequence[str]) -> Iterator[dict[str, Any]]:
        name = self._metric.name
        for index in spread(len(self._examples), _SAMPLES):
            example = self._examples[index]
            value = measured.lines[index].get(name) if measured.lines else None
            yield {
                "step": step,
                "set": self._scoring.set,
                "id": example.id,
                "question": example.question,
                "gold": example.target,
                "prediction": predictions[index],
                **({} if value is None else {name: value}),
            }

    def _say_once(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._context.reporter.say(text)


def scorer_of(
    context: RunContext,
    stage: TrainingStage,
    folder: Path,
    student: PreTrainedModel | PeftModel,
    end_ids: tuple[int, ...],
    steps_per_epoch: int,
    scored: Callable[[float], None],
) -> StageScorer | None:
    """What scores a stage's model while it is trained; None if the recipe does not ask for it."""
    scoring = scoring_of(context.recipe, stage)
    if scoring is None:
        return None
    return StageScorer(context, stage, scoring, folder, student, end_ids, steps_per_epoch, scored)


def _untold(what: str, items: Iterable[Item], count: int) -> Iterator[Item]:
    """A metric's way through its items, of which nothing is shown: the training's own progress is."""
    return iter(items)


def _append(path: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    text = "".join(chain.from_iterable((json.dumps(line, ensure_ascii=False), "\n") for line in lines))
    with path.open("a", encoding="utf-8") as file:
        file.write(text)
