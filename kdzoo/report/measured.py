"""What the stages of one run measured of each of its models, and what training the model cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from kdzoo.recipe import EvaluateStage, TrainingStage
from kdzoo.report.run_files import DamagedError, as_table, is_number, read_lines
from kdzoo.report.runs_read import FinishedStage, ReadRun
from kdzoo.tasks.dataset import DataConfig


class Column(NamedTuple):
    """What a score is of: an evaluation set and a metric."""

    set: str
    metric: str


class Question(NamedTuple):
    """A question of a set: its id, its words, and which of those that are alike in both it is."""

    id: str
    text: str
    nth: int


@dataclass
class Answer:
    """What a model answered to a question, and the answer's values by metric."""

    gold: str
    prediction: str
    error: str | None
    values: Mapping[str, float]


@dataclass
class SetResult:
    """One model's results on one set: scores and details by metric, and its answers where they can be read."""

    scores: dict[str, float | None]
    details: dict[str, Any]
    answers: dict[Question, Answer] = field(default_factory=dict)


@dataclass
class MeasuredModel:
    """One model of a run, as one or several of the run's evaluate stages measured it.

    ``trained`` is the stage that made it (None: it is as it was given), ``training`` what that stage left when it
    finished. ``evaluated_by`` is the evaluate stage that has measured it first, or is to measure it: then it has no
    ``sets``.
    """

    run: ReadRun
    name: str
    role: str
    trained: TrainingStage | None
    training: FinishedStage | None
    evaluated_by: EvaluateStage
    parameters: int | None = None
    sets: dict[str, SetResult] = field(default_factory=dict)
    is_baseline: bool = False

    @property
    def columns(self) -> list[Column]:
        """All that was measured, in the recipe's order."""
        return [Column(name, metric) for name, result in self.sets.items() for metric in result.scores]

    @property
    def trained_on(self) -> DataConfig | None:
        """The table of the data that it was trained on."""
        return None if self.trained is None else self.run.recipe.training_data_of(self.trained)

    @property
    def is_beginning(self) -> bool:
        """Whether it was fine-tuned for other students of its run to begin with."""
        beginnings = {stage.student_from for stage in self.run.recipe.stages if stage.role is not None}
        return (
            self.trained is not None and self.trained.kind == "finetune" and self.trained.name in beginnings
        )


def measured_models(run: ReadRun, notes: list[str]) -> list[MeasuredModel]:
    """The evaluated models of a run, and those that are still to be evaluated.

    What several stages measured of one model stands together, unless they measured the same; models that would have
    the same name also get the evaluate stage's. What cannot be read of their answers is noted.
    """
    found: list[MeasuredModel] = []
    for stage in run.recipe.stages:
        if stage.role is None:
            for model in _of_stage(run, stage, notes):
                earlier = next((m for m in found if _fit_together(m, model)), None)
                if earlier is None:
                    found.append(model)
                else:
                    take_over(earlier, model)
    names = Counter(model.name for model in found)
    baselines = _baselines(found)
    for model in found:
        model.is_baseline = any(model.trained is stage for stage in baselines)
        if names[model.name] > 1:
            model.name = f"{model.name} ({model.evaluated_by.name})"
    return found


def _of_stage(run: ReadRun, stage: EvaluateStage, notes: list[str]) -> Iterator[MeasuredModel]:
    finished = run.stages.get(stage.name)
    results = {} if finished is None else as_table(finished.results.get("models"))
    answers = {} if finished is None else _answers(run, finished, notes)
    used = run.recipe.models_used(stage)
    for name in run.recipe.models_of(stage):
        trained = run.recipe.training_stage(name, before=stage)
        training = None if trained is None else run.stages.get(trained.name)
        model = MeasuredModel(run, name, used[name].role, trained, training, stage)
        result = as_table(results.get(name))
        if result:
            parameters = result.get("parameters")
            model.parameters = parameters if isinstance(parameters, int) else None
            for set_name, content in _sets(run, result).items():
                scores = {
                    metric: score if is_number(score) else None
                    for metric, score in as_table(content.get("scores")).items()
                }
                details = as_table(content.get("details"))
                model.sets[set_name] = SetResult(scores, details, answers.get((name, set_name), {}))
        yield model


def _sets(run: ReadRun, result: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """A model's results by set; what was left before there were sets is of the recipe's only data."""
    sets = result.get("sets")
    if isinstance(sets, dict):
        return {name: as_table(content) for name, content in sets.items()}
    return {run.recipe.data.kind: dict(result)}


def _answers(
    run: ReadRun, finished: FinishedStage, notes: list[str]
) -> dict[tuple[str, str], dict[Question, Answer]]:
    """All answers of a stage's predictions.jsonl, by model and set. Prompts, which are long, are not kept."""
    found: dict[tuple[str, str], dict[Question, Answer]] = {}
    alike: Counter[tuple[str, str, str, str]] = Counter()
    try:
        for line in read_lines(finished.folder / "predictions.jsonl"):
            of = str(line.get("model")), str(line.get("set", run.recipe.data.kind))
            words = _text(line.get("id")), _text(line.get("question"))
            question = Question(*words, alike[*of, *words])
            alike[*of, *words] += 1
            found.setdefault(of, {})[question] = Answer(
                gold=_text(line.get("gold")),
                prediction=_text(line.get("prediction")),
                error=_text(line.get("error")) or None,
                values={
                    name: float(value)
                    for name, value in line.items()
                    if isinstance(value, bool) or is_number(value)
                },
            )
    except DamagedError as error:
        notes.append(f"{error}; its scores have no intervals and no tests")
        return {}
    return found


def _fit_together(one: MeasuredModel, other: MeasuredModel) -> bool:
    same = one.name == other.name and one.trained is other.trained
    return same and not set(one.columns) & set(other.columns)


def take_over(model: MeasuredModel, more: MeasuredModel) -> None:
    """Add what was measured of the same model elsewhere, as far as it was not measured yet."""
    model.parameters = more.parameters if model.parameters is None else model.parameters
    for name, result in more.sets.items():
        if name not in model.sets:
            model.sets[name] = result
            continue
        own = model.sets[name]
        own.scores = {**result.scores, **own.scores}
        own.details = {**result.details, **own.details}
        for question, answer in result.answers.items():
            kept = own.answers.get(question, answer)
            values = {**answer.values, **kept.values}
            own.answers[question] = Answer(kept.gold, kept.prediction, kept.error or answer.error, values)


def _baselines(models: list[MeasuredModel]) -> list[TrainingStage]:
    """What trained the students that learnt without a teacher, one for each dataset that such students learnt from:
    a distillation by such a method, else a fine-tune of what is no beginning.
    """
    alone = [
        (model.trained, model.trained_on)
        for model in models
        if model.trained is not None and model.role == "student" and model.trained.learns_alone
        if not model.is_beginning
    ]
    found: list[tuple[TrainingStage, DataConfig | None]] = []
    for stage, data in sorted(alone, key=lambda one: one[0].kind != "distill"):
        if data not in [known for _, known in found]:
            found.append((stage, data))
    return [stage for stage, _ in found]


def _text(value: Any) -> str:
    """A text that can be written: halves of characters, which JSON may hold, are replaced."""
    return "" if value is None else str(value).encode("utf-8", "replace").decode("utf-8")
