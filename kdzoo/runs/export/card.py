"""The model card of an exported model: what a run knows of it, as Markdown with metadata of the hub's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from huggingface_hub import ModelCard, ModelCardData

from kdzoo.report.paper.trained import REHEARSED_RECIPE
from kdzoo.report.table import heading
from kdzoo.runs.export.base import AdapterBase, Source, source_of
from kdzoo.runs.export.data_described import hub_name, in_words
from kdzoo.runs.export.how_to_load import HowToLoad
from kdzoo.runs.export.licence import Licence
from kdzoo.runs.export.method_described import method_lines, teacher_lines, training_lines
from kdzoo.runs.export.scored import Scores
from kdzoo.runs.export.shared_recipe import without_places
from kdzoo.runs.trained_stage import TrainedStage
from kdzoo.tasks import registry


@dataclass(frozen=True)
class Exported:
    """What stands in an exported folder, for its card.

    ``adapter`` is the base of an adapter, None of a whole model; ``is_merged``: it was one. ``parameters`` are the whole
    model's, if they were counted. ``licence_files`` and ``gguf_file`` are names in the folder. ``place`` is the folder's name, or that of its
    repository if it ``is_on_hub``.
    """

    adapter: AdapterBase | None
    is_merged: bool
    dtype: str
    parameters: int | None
    licence: Licence | None
    licence_files: tuple[str, ...]
    gguf_file: str | None
    chat_template: str
    place: str
    is_on_hub: bool


def card_of(chosen: TrainedStage, exported: Exported) -> ModelCard:
    """The card of an exported model. Nothing in it is left open, and no path of this machine is named."""
    config = chosen.run.recipe.model(chosen.stage.role)
    assert config is not None  # it was trained
    base, scores = source_of(config), Scores(chosen)
    data = _metadata(chosen, exported, base, scores)
    body = "\n".join(_body(chosen, exported, base, scores))
    return ModelCard(f"---\n{data.to_yaml()}\n---\n\n{body}\n")


def _metadata(chosen: TrainedStage, exported: Exported, base: Source, scores: Scores) -> ModelCardData:
    stage, licence = chosen.stage, exported.licence
    on_hub = hub_name(chosen.run.recipe.training_data_of(stage))
    results = list(scores.metadata())
    further: dict[str, Any] = {}
    if base.is_on_hub:
        further["base_model_relation"] = "finetune" if exported.adapter is None else "adapter"
    return ModelCardData(
        base_model=base.name if base.is_on_hub else None,
        datasets=on_hub,
        eval_results=results or None,
        library_name="transformers" if exported.adapter is None else "peft",
        license=None if licence is None else licence.identifier,
        license_name=None if licence is None else licence.name,
        license_link=None if licence is None else licence.link,
        model_name=chosen.title,
        pipeline_tag="text-generation",
        tags=["kdzoo", *(["knowledge-distillation"] if stage.teachers else []), stage.method],
        **further,
    )


def _body(chosen: TrainedStage, exported: Exported, base: Source, scores: Scores) -> Iterator[str]:
    yield from (f"# {chosen.title}", "", _summary(chosen, exported, base))
    if (chosen.run.folder / REHEARSED_RECIPE).is_file():
        yield from (
            "",
            "It is from a rehearsal: a tiny random model after a few steps, whose scores say nothing.",
        )
    yield from _section("Model", _model_lines(exported, base, scores))
    yield from _section("Loading it", _loading(chosen, exported))
    yield from _section("Training", [*teacher_lines(chosen), *method_lines(chosen), *training_lines(chosen)])
    yield from _section("Data", _data_lines(chosen, scores))
    yield from _section("Scores", _score_lines(scores))
    yield from _section("Licence", _licence_lines(exported, base, chosen))
    yield from _section("Recipe", _recipe_lines(chosen))


def _section(title: str, lines: list[str]) -> list[str]:
    return ["", f"## {title}", "", *lines]


def _summary(chosen: TrainedStage, exported: Exported, base: Source) -> str:
    what = "An adapter" if exported.adapter is not None else "A language model"
    by = f"the method `{chosen.stage.method}`"
    return f"{what} made from {base.words}, trained by {by} with kdzoo {version('kdzoo')}."


def _model_lines(exported: Exported, base: Source, scores: Scores) -> list[str]:
    parameters = exported.parameters or scores.parameters
    lines = [f"Base: {base.words}", f"Weights: {_form(exported)}, {exported.dtype}, safetensors"]
    if parameters is not None:
        lines.append(f"Parameters: {parameters:,}")
    if exported.gguf_file is not None:
        lines.append(f"`{exported.gguf_file}` is the same model for llama.cpp, Ollama and LM Studio")
    return [f"- {line}" for line in lines]


def _form(exported: Exported) -> str:
    if exported.adapter is not None:
        return "a LoRA adapter alone"
    return (
        "a whole model, into which its adapter was merged in float32"
        if exported.is_merged
        else "a whole model"
    )


def _loading(chosen: TrainedStage, exported: Exported) -> list[str]:
    recipe = chosen.run.recipe
    how = HowToLoad(
        exported.place,
        exported.is_on_hub,
        exported.adapter,
        recipe.prompt,
        exported.chat_template,
        recipe.training_of(chosen.stage).output_limit,
    )
    lines = ["```python", how.code(), "```", ""]
    if recipe.prompt.template == "chat":
        lines.append(
            "Prompts are what the user says in the tokenizer's chat template. Answers are greedy, and end as the generation "
            "configuration says."
        )
    else:
        lines.append(
            "Prompts are plain text, in the form that the recipe's data have. Answers are greedy, and end as the generation "
            "configuration says. The tokenizer takes what spells a special token for text."
        )
    base = exported.adapter
    if base is not None and base.folder is not None and not base.is_made_by_run:
        lines += [
            "",
            f"The base is a local folder, {base.name}, which does not lie here: load it from where it is.",
        ]
    return lines


def _data_lines(chosen: TrainedStage, scores: Scores) -> list[str]:
    recipe, stage = chosen.run.recipe, chosen.stage
    count = chosen.finished.results.get("examples")
    many = f"{count:,} examples of " if isinstance(count, int) else ""
    named = "" if stage.data is None else f", the recipe's `datasets.{stage.data}`"
    lines = [f"- Trained on {many}{in_words(recipe.training_data_of(stage))}{named}"]
    for name, answered in scores.questions().items():
        data = recipe.set_data(name)
        of = in_words(data) if name == data.kind else f"`{name}`: {in_words(data)}"
        lines.append(f"- Evaluated on {answered:,} questions of {of}")
    return lines


def _score_lines(scores: Scores) -> list[str]:
    if scores.is_empty:
        return ["Its run has not scored it."]
    metrics = dict.fromkeys(result.metric_type for result in scores.metadata())
    meanings = [f"- {heading(name)}: {registry.metrics.find(name).summary}" for name in metrics]
    return [
        "With 95% intervals over the questions, where each question has a score of its own; the model is in bold, beside the "
        "others of its run.",
        "",
        *scores.table(),
        "",
        *meanings,
    ]


def _licence_lines(exported: Exported, base: Source, chosen: TrainedStage) -> list[str]:
    lines = []
    if exported.licence is not None:
        link = "" if exported.licence.link is None else f" ({exported.licence.link})"
        lines.append(
            f"The base, {base.name}, is under the licence {exported.licence.words}{link}, which applies here too."
        )
    elif base.is_on_hub or base.folder is not None:
        lines.append(f"The licence of the base, {base.name}, applies; its own page or folder names it.")
    else:
        lines.append("Its weights began as random numbers, so that no base's licence applies.")
    if exported.licence_files:
        lines.append(f"Its texts lie here: {', '.join(exported.licence_files)}.")
    models = (chosen.run.recipe.model(name) for name in chosen.stage.teachers)
    if any(model is not None and model.path is not None for model in models):
        lines.append(
            "The licence of a teacher may bind what has learnt from it, and that of the data as well."
        )
    else:
        lines.append("The licence of the data may bind what has learnt from them.")
    return [" ".join(lines)]


def _recipe_lines(chosen: TrainedStage) -> list[str]:
    versions = ", ".join(f"{name} {of}" for name, of in chosen.run.versions.items())
    text = without_places(chosen.run.recipe)
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return [
        f"It ran with {versions or 'versions that its run does not name'}. `kdzoo run recipe.toml` does it again; local folders "
        "and files are written as `./NAME`.",
        "",
        f"{fence}toml",
        text.rstrip("\n"),
        fence,
    ]
