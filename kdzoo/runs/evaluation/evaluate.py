"""The stage that lets models answer the held-out questions and judges what they say."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kdzoo.engine.measure.generation import by_prefix, generate_all
from kdzoo.engine.models.loading import count_parameters
from kdzoo.engine.prompts.batches import EncodedExample
from kdzoo.engine.prompts.encoding import Text, decode, encode_prompts
from kdzoo.engine.prompts.sampling import SamplingLimits
from kdzoo.files import write_json, write_text
from kdzoo.methods.sequences import Source
from kdzoo.recipe import EvaluateStage, Evaluation, ScoredSet
from kdzoo.runs.context import ModelRef, RunContext
from kdzoo.runs.evaluation.measuring import Measuring
from kdzoo.runs.sample_trackers import SampleTrackers, samples_of
from kdzoo.runs.threads import threads_for
from kdzoo.tasks import registry
from kdzoo.tasks.dataset import DataConfig
from kdzoo.tasks.example import Example

_SAMPLING = 1 << 32
_SCORES = "scores.json"


def run(
    context: RunContext,
    stage: EvaluateStage,
    folder: Path,
    models: Mapping[str, ModelRef],
    *,
    teacher: ModelRef,
) -> dict[str, Any]:
    """Write ``predictions.jsonl`` (one line per model, set and question) and ``scores.json``; give the scores.

    Each line has the whole answer as ``raw`` where only a statement in it is judged, and the prompt as the model got it, shortened where it was too long: the tokenizer that is saved with the
    model turns it into the same tokens. What one model has said on one set is kept, so that an interrupted stage
    continues with the next. ``teacher`` is the one that students are compared with, by the metrics that do so.
    """
    sets = context.recipe.sets_of(stage)
    measuring = Measuring(context, teacher)
    processes = context.processes
    done = processes.of_main(
        lambda: {
            (name, scored.name)
            for name in models
            for scored in sets
            if is_evaluated(folder, name, scored.name)
        }
    )
    for name, ref in models.items():
        left = [scored for scored in sets if (name, scored.name) not in done]
        if left:
            _evaluate(context, stage, folder, name, ref, left, measuring)
    if not processes.is_main:
        return {}
    if not _is_joined(folder):
        results, lines = _joined(folder, list(models), [scored.name for scored in sets])
        write_text(folder / "predictions.jsonl", "".join(lines))
        write_json(folder / _SCORES, results)
    for name in models:
        for scored in sets:
            for part in _parts(folder, name, scored.name):
                part.unlink(missing_ok=True)
    return {"models": json.loads((folder / _SCORES).read_text(encoding="utf-8"))}


def is_evaluated(folder: Path, model: str, scored: str) -> bool:
    """Whether an earlier start of the stage in ``folder`` has finished with a model on an evaluation set."""
    _, scores = _parts(folder, model, scored)
    return scores.is_file() or _is_joined(folder)


def _is_joined(folder: Path) -> bool:
    """Whether the stage's own files are there: they are written last, and their parts may be half removed then."""
    return (folder / _SCORES).is_file()


def _parts(folder: Path, model: str, scored: str) -> tuple[Path, Path]:
    """Where a model's predictions and scores on one set are kept until all are there. No name has a dot."""
    return folder / f"predictions-{model}.{scored}.jsonl", folder / f"scores-{model}.{scored}.json"


def _joined(folder: Path, models: list[str], sets: list[str]) -> tuple[dict[str, Any], list[str]]:
    """The scores of all models on all sets, and the lines of their predictions."""
    results: dict[str, Any] = {}
    lines: list[str] = []
    for model in models:
        of_model: dict[str, Any] = {"parameters": 0, "sets": {}}
        for scored in sets:
            predictions, scores = _parts(folder, model, scored)
            lines.append(predictions.read_text(encoding="utf-8"))
            of_set = json.loads(scores.read_text(encoding="utf-8"))
            of_model["parameters"] = of_set.pop("parameters")
            of_model["sets"][scored] = of_set
        results[model] = of_model
    return results, lines


def _evaluate(
    context: RunContext,
    stage: EvaluateStage,
    folder: Path,
    name: str,
    ref: ModelRef,
    sets: list[ScoredSet],
    measuring: Measuring,
) -> None:
    """Load a model and write what it says and scores on each set."""
    model = context.model_to_use(ref)
    trained = context.recipe.training_stage(name, before=stage)
    training = context.recipe.training if trained is None else context.recipe.training_of(trained)
    run = context.directory.path.name
    trackers = SampleTrackers(training.loggers, run, stage.name, folder, context.reporter.say)
    parameters = count_parameters(model)
    for scored in sets:
        on_set = f" on {scored.name}" if context.recipe.evaluation_sets else ""
        title = f"{stage.name}: {name}{on_set}"
        with threads_for(model, context.recipe.threads):
            judged = _evaluate_on(context, title, name, ref, model, scored, measuring, trackers)
        if judged is not None:
            content, results = judged
            predictions, scores = _parts(folder, name, scored.name)
            write_text(predictions, content)
            write_json(scores, {"parameters": parameters, **results})


def _evaluate_on(
    context: RunContext,
    title: str,
    name: str,
    ref: ModelRef,
    model: Any,
    scored_set: ScoredSet,
    measuring: Measuring,
    trackers: SampleTrackers,
) -> tuple[str, dict[str, Any]] | None:
    """Give a model's lines and scores on one set: it answers once, and all metrics judge the same answers.

    Only the main process judges; the others give None.
    """
    evaluation = scored_set.evaluation
    examples = context.splits(scored_set.data).evaluation[: evaluation.max_examples]
    prompts, texts = encode_questions(context, examples, evaluation)
    begin = time.monotonic()
    said = _predict(context, title, model, prompts, evaluation)
    seconds = time.monotonic() - begin
    samples = _sample(context, title, model, scored_set, prompts)
    if not context.processes.is_main:
        return None
    predictions = judged(scored_set.data, said, evaluation)
    scored = measuring.measure(title, ref, model, scored_set, examples, prompts, predictions, samples)
    scores: dict[str, Any] = {
        "examples": len(examples),
        "generation_seconds": seconds,
        "scores": scored.scores,
        "details": scored.details,
    }
    what = f"{trackers.stage}/{name} on {scored_set.name}"
    trackers.show(what, samples_of(examples, predictions, scored.lines))
    raw = said if evaluation.extract == "auto" else None
    lines = _lines({"model": name, "set": scored_set.name}, examples, texts, predictions, raw, scored.lines)
    return "".join(lines), scores


def encode_questions(
    context: RunContext, examples: list[Example], evaluation: Evaluation
) -> tuple[list[EncodedExample], list[str]]:
    """Shorten the prompts to the input limit and encode them, in the examples' order; give them as text too."""
    fitting = context.prompts.to_answer(examples, evaluation)
    texts = [Text(e.prompt, "", e.group, e.earlier) for e in fitting]
    return encode_prompts(texts, context.tokenizer, evaluation.input_limit, context.chat)


def judged(data: DataConfig, answers: Sequence[str], evaluation: Evaluation) -> list[str]:
    """What of each answer is judged: what its dataset takes out of it, where that is asked for, or all."""
    extract = registry.datasets.find(data.kind).extract if evaluation.extract == "auto" else None
    return list(answers) if extract is None else [extract(answer) for answer in answers]


def _sample(
    context: RunContext,
    title: str,
    model: Any,
    scored_set: ScoredSet,
    prompts: list[EncodedExample],
) -> list[list[str]]:
    """What is judged of the sampled answers to each question, where a metric needs them."""
    evaluation = scored_set.evaluation
    if not any(registry.metrics.find(name).needs_samples for name in evaluation.metrics):
        return []
    sampled = []
    for number in range(1, evaluation.samples + 1):
        named = f"{title}, sample {number} of {evaluation.samples}"
        # of each its own random numbers, and other than those of a training
        seed = context.recipe.seed + _SAMPLING * number
        said = _predict(context, named, model, prompts, evaluation, evaluation.temperature, seed)
        sampled.append(judged(scored_set.data, said, evaluation))
    return [list(answers) for answers in zip(*sampled, strict=True)]


def _predict(
    context: RunContext,
    title: str,
    model: Any,
    prompts: list[EncodedExample],
    evaluation: Evaluation,
    temperature: float = 0.0,
    seed: int = 0,
) -> list[str]:
    """Decode for every prompt, greedily unless there is a temperature, in the prompts' order.

    Each process has its share of them.
    """
    tokenizer = context.tokenizer
    limits = SamplingLimits(evaluation.output_limit, context.end_ids(model))
    share = context.processes.share(by_prefix(prompts))
    context.reporter.start(title, len(share))
    said: list[tuple[int, str]] = []
    for index, ids in generate_all(
        model,
        share,
        limits,
        source=Source.STUDENT,
        batch_size=evaluation.batch_size,
        temperature=temperature,
        seed=seed,
    ):
        said.append((index, decode(tokenizer, ids)))
        context.reporter.advance(len(said))
    context.reporter.stop()
    return [text for _, text in sorted(context.processes.of_all(said))]


def _lines(
    names: dict[str, str],
    examples: list[Example],
    prompts: list[str],
    predictions: list[str],
    raw: list[str] | None,
    verdicts: list[dict[str, Any]],
) -> list[str]:
    lines = []
    said = [{}] * len(examples) if raw is None else [{"raw": text} for text in raw]
    rows = zip(examples, prompts, predictions, said, verdicts, strict=True)
    for example, prompt, prediction, whole, verdict in rows:
        line = {
            **names,
            "id": example.id,
            "database": example.group,
            "question": example.question,
            "prompt": prompt,
            "gold": example.target,
            "prediction": prediction,
            **whole,
            **verdict,
        }
        lines.append(json.dumps(line, ensure_ascii=False) + "\n")
    return lines
