"""The stage that lets models answer the held-out questions and judges what they say."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kdzoo.engine.measure.generation import generate_all
from kdzoo.engine.models.end_tokens import end_ids
from kdzoo.engine.models.loading import count_parameters
from kdzoo.engine.prompts.batches import EncodedExample
from kdzoo.engine.prompts.encoding import Text, decode, encode_prompts
from kdzoo.engine.prompts.sampling import SamplingLimits
from kdzoo.files import write_json, write_text
from kdzoo.methods.sequences import Source
from kdzoo.recipe import EvaluateStage, Evaluation
from kdzoo.runs.context import ModelRef, RunContext
from kdzoo.runs.evaluation.measuring import Measuring
from kdzoo.runs.threads import threads_for
from kdzoo.tasks.example import Example
from kdzoo.tasks.fitting import fit


def run(
    context: RunContext,
    stage: EvaluateStage,
    folder: Path,
    models: Mapping[str, ModelRef],
    *,
    teacher: ModelRef,
) -> dict[str, Any]:
    """Write ``predictions.jsonl`` (one line per model and question) and ``scores.json``; give the scores.

    Each line has the prompt as the model got it, shortened where it was too long: the tokenizer that is saved with the
    model turns it into the same tokens. What one model has said is kept, so that an interrupted stage continues with the
    next. ``teacher`` is the one that students are compared with, by the metrics that do so.
    """
    evaluation = context.recipe.evaluation_of(stage)
    measuring = Measuring(context, evaluation, teacher)
    results: dict[str, Any] = {}
    lines: list[str] = []
    for name, ref in models.items():
        part = folder / f"predictions-{name}.jsonl"
        numbers = folder / f"scores-{name}.json"
        if not is_evaluated(folder, name):
            content, scores = _evaluate(context, f"{stage.name}: {name}", name, ref, evaluation, measuring)
            write_text(part, content)
            write_json(numbers, scores)
        lines.append(part.read_text(encoding="utf-8"))
        results[name] = json.loads(numbers.read_text(encoding="utf-8"))
    write_text(folder / "predictions.jsonl", "".join(lines))
    write_json(folder / "scores.json", results)
    for name in models:
        (folder / f"predictions-{name}.jsonl").unlink()
        (folder / f"scores-{name}.json").unlink()
    return {"models": results}


def is_evaluated(folder: Path, model: str) -> bool:
    """Whether an earlier start of the stage in ``folder`` has finished with a model."""
    return (folder / f"scores-{model}.json").is_file()


def _evaluate(
    context: RunContext,
    title: str,
    name: str,
    ref: ModelRef,
    evaluation: Evaluation,
    measuring: Measuring,
) -> tuple[str, dict[str, Any]]:
    examples = context.splits.evaluation[: evaluation.max_examples]
    prompts, texts = _encode(context, examples, evaluation)
    model = context.model_to_use(ref)
    with threads_for(model, context.recipe.threads):
        begin = time.monotonic()
        predictions = _predict(context, title, model, prompts, evaluation)
        seconds = time.monotonic() - begin
        scored = measuring.measure(title, ref, model, examples, prompts, predictions)
    scores: dict[str, Any] = {
        "parameters": count_parameters(model),
        "examples": len(examples),
        "generation_seconds": seconds,
        "scores": scored.scores,
        "details": scored.details,
    }
    return "".join(_lines(name, examples, texts, predictions, scored.lines)), scores


def _encode(
    context: RunContext, examples: list[Example], evaluation: Evaluation
) -> tuple[list[EncodedExample], list[str]]:
    """Shorten the prompts to the input limit and encode them, in the examples' order; give them as text too."""
    fitting = fit(examples, evaluation.input_limit, context.prompt_tokens, training=False)
    texts = [Text(e.prompt, "", e.group) for e in fitting]
    return encode_prompts(texts, context.tokenizer, evaluation.input_limit)


def _predict(
    context: RunContext, title: str, model: Any, prompts: list[EncodedExample], evaluation: Evaluation
) -> list[str]:
    """Decode greedily for every prompt, in the prompts' order."""
    tokenizer = context.tokenizer
    limits = SamplingLimits(evaluation.output_limit, end_ids(tokenizer, model))
    predictions = [""] * len(prompts)
    context.reporter.start(title, len(prompts))
    generated = generate_all(model, prompts, limits, source=Source.STUDENT, batch_size=evaluation.batch_size)
    for done, (index, ids) in enumerate(generated, start=1):
        predictions[index] = decode(tokenizer, ids)
        context.reporter.advance(done)
    context.reporter.stop()
    return predictions


def _lines(
    name: str,
    examples: list[Example],
    prompts: list[str],
    predictions: list[str],
    verdicts: list[dict[str, Any]],
) -> list[str]:
    lines = []
    for example, prompt, prediction, verdict in zip(examples, prompts, predictions, verdicts, strict=True):
        line = {
            "model": name,
            "id": example.id,
            "database": example.group,
            "question": example.question,
            "prompt": prompt,
            "gold": example.target,
            "prediction": prediction,
            **verdict,
        }
        lines.append(json.dumps(line, ensure_ascii=False) + "\n")
    return lines
