"""The models that runs have trained, or were to train, in the paper's words: which cells each of them fills."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, Literal

from kdzoo.recipe import ModelConfig, Recipe, TrainingStage, load_recipe
from kdzoo.report.paper.exhibits import Paper, Query, default_options
from kdzoo.report.run_files import DamagedError, as_table, is_number, read_lines
from kdzoo.report.runs_read import ReadRun
from kdzoo.tasks.dataset import DataConfig

REHEARSED_RECIPE = "rehearses.toml"
"""The recipe that a rehearsal stands for, in the rehearsal's folder: its own has neither the models nor the data."""

State = Literal["finished", "failed", "unfinished"]
Mark = Literal["rehearsal", "other settings", "other options", "fewer questions"]


@dataclass(frozen=True)
class Score:
    """A score as the paper gives it (percent), on so many questions."""

    value: float
    questions: int


@dataclass
class TrainedModel:
    """One model of one run.

    ``trained`` is a query without set, metric, step and quantity. ``asked_for`` are the set and metric of each score that
    the run measures of it, ``scores`` those that it has measured; ``curve`` those after so many steps of its training.
    ``step_seconds`` is the median time of a training step. ``order`` grows with the time that the model was finished at.
    """

    trained: Query
    run: Path
    stage: str
    state: State
    marks: frozenset[Mark]
    seeds: tuple[Any, ...]
    step_seconds: float | None = None
    order: float = 0.0
    asked_for: dict[tuple[str, str], State] = field(default_factory=dict)
    scores: dict[tuple[str, str], Score] = field(default_factory=dict)
    curve: dict[tuple[str, str, int], Score] = field(default_factory=dict)


def trained_models(run: ReadRun, paper: Paper, notes: list[str]) -> list[TrainedModel]:
    """The models of a run that are models of the paper, in the stages' order. What cannot be read is noted."""
    original = run.folder / REHEARSED_RECIPE
    recipe = load_recipe(original) if original.is_file() else run.recipe
    reader = _Reader(run, recipe, recipe is not run.recipe, paper, notes)
    return list(reader.models())


class _Reader:
    """Reads one run. ``said`` is the recipe that says what its models are: for a rehearsal, the one that it stands for."""

    def __init__(
        self, run: ReadRun, said: Recipe, is_rehearsal: bool, paper: Paper, notes: list[str]
    ) -> None:
        self._run = run
        self._said = said
        self._is_rehearsal = is_rehearsal
        self._paper = paper
        self._notes = notes
        self._sets = {name: self._set_of(name) for name in said.set_names}

    def models(self) -> Iterator[TrainedModel]:
        for stage in self._said.stages:
            if stage.role is None:
                continue
            model = self._model(stage)
            if model is not None:
                self._add_scores(model, stage)
                self._add_curve(model, stage)
                yield model

    def _model(self, stage: TrainingStage) -> TrainedModel | None:
        trained = self._trained(stage)
        if trained is None:
            return None
        finished = self._run.stages.get(stage.name)
        model = TrainedModel(
            trained=trained,
            run=self._run.folder,
            stage=stage.name,
            state=self._state(stage.name),
            marks=self._marks(stage, trained),
            seeds=(self._said.seed, self._said.seed_of_stage(stage)),
        )
        if finished is not None:
            seconds = finished.results.get("step_seconds")
            model.step_seconds = seconds if is_number(seconds) and seconds > 0 else None
            model.order = (finished.folder / "stage.json").stat().st_mtime
        return model

    def _trained(self, stage: TrainingStage) -> Query | None:
        """The model that a stage trains, in the paper's words; None if the paper has none such."""
        recipe, paper = self._said, self._paper
        data = recipe.training_data_of(stage)
        trained_on = next((name for name, kind in paper.training_sets.items() if kind == data.kind), None)
        own = _model_name(paper, recipe.model(stage.role))
        if own is None or trained_on is None or stage.student_from is not None:
            return None
        if stage.kind == "distill" and stage.parts:
            return None
        if set(stage.teachers) - {"teacher"}:
            return None
        if stage.role != "student":
            return Query(None, own, stage.method, trained_on=trained_on)
        teacher = _model_name(paper, recipe.teacher) if stage.uses_teacher else None
        if stage.uses_teacher and teacher is None:
            return None
        options = paper.given(stage.method, stage.options)
        return Query(own, teacher, stage.method, options, trained_on)

    def _state(self, stage: str) -> State:
        if stage in self._run.stages:
            return "finished"
        return "failed" if self._run.status == "failed" else "unfinished"

    def _marks(self, stage: TrainingStage, trained: Query) -> frozenset[Mark]:
        if self._is_rehearsal:
            return frozenset({"rehearsal"})
        marks: set[Mark] = set()
        if self._has_other_settings(stage, trained):
            marks.add("other settings")
        defaults = default_options(stage.method)
        left_open = set(defaults) - set(self._paper.given_options.get(stage.method, ()))
        if any(stage.options.get(name) != defaults[name] for name in left_open):
            marks.add("other options")
        return frozenset(marks)

    def _has_other_settings(self, stage: TrainingStage, trained: Query) -> bool:
        """Whether the training's settings are not those of the paper, or its training set is not the whole one."""
        recipe, paper = self._said, self._paper
        student = trained.student or _model_name(paper, recipe.student)
        config, training = recipe.model(stage.role), recipe.training_of(stage)
        assert config is not None  # its stage trains it
        lora = {} if config.lora is None else config.lora.model_dump()
        had = {**training.model_dump(), **{key: lora.get(key) for key in ("rank", "alpha")}}
        wanted = paper.settings.get(student or "", {})
        is_shorter = training.max_steps is not None
        data = recipe.training_data_of(stage)
        is_part = getattr(data, "max_train", None) is not None or getattr(data, "split", "") == "question"
        return (
            is_shorter
            or is_part
            or not self._has_the_paper_s_teacher(stage)
            or any(had[key] != value for key, value in wanted.items())
        )

    def _has_the_paper_s_teacher(self, stage: TrainingStage) -> bool:
        """Whether the teacher, if there is one, was fine-tuned before on what the student is trained on."""
        if not stage.uses_teacher:
            return True
        name = self._said.teacher_stage_of(stage)
        tuned = None if name is None else self._said.training_stage(name, before=stage)
        return tuned is not None and tuned.data == stage.data

    def _add_scores(self, model: TrainedModel, trained: TrainingStage) -> None:
        for stage in self._said.stages:
            if stage.role is not None:
                continue
            names = [
                name
                for name in self._said.models_of(stage)
                if self._said.training_stage(name, before=stage) is trained
            ]
            finished = self._run.stages.get(stage.name)
            results = {} if finished is None else as_table(finished.results.get("models"))
            for scored in self._said.sets_of(stage):
                known = self._sets[scored.name]
                for metric in scored.evaluation.metrics if known is not None and names else ():
                    assert known is not None
                    model.asked_for[known, metric] = self._state(stage.name)
                    measured = as_table(
                        as_table(as_table(results.get(names[0])).get("sets")).get(scored.name)
                    )
                    self._keep(model.scores, (known, metric), measured, metric)

    def _add_curve(self, model: TrainedModel, stage: TrainingStage) -> None:
        finished = self._run.stages.get(stage.name)
        folder = self._run.folder / stage.name if finished is None else finished.folder
        file = folder / "metrics.jsonl"
        if not file.is_file():
            return
        try:
            for line in read_lines(file, may_be_growing=finished is None):
                known, step = self._sets.get(str(line.get("set"))), line.get("step")
                for metric in as_table(line.get("scores")) if known is not None else ():
                    if isinstance(step, int) and known is not None:
                        self._keep(model.curve, (known, metric, step), line, metric)
        except DamagedError as error:
            self._notes.append(str(error))

    def _keep(self, scores: dict[Any, Score], key: Any, measured: Mapping[str, Any], metric: str) -> None:
        value: Any = as_table(measured.get("scores")).get(metric)
        questions, scale = measured.get("examples"), self._paper.metrics.get(metric)
        if is_number(value) and isinstance(questions, int) and scale is not None:
            scores[key] = Score(scale * value, questions)

    def _set_of(self, name: str) -> str | None:
        """The paper's name of an evaluation set."""
        data = self._said.set_data(name)
        place = "/".join(PurePath(*_file_of(data)).parts[-2:]).lower()
        for known, wanted in self._paper.sets.items():
            has_keys = all(getattr(data, key, None) == value for key, value in wanted.keys.items())
            if data.kind == wanted.kind and has_keys and re.fullmatch(wanted.file, place, re.IGNORECASE):
                return known
        return None


def _file_of(data: DataConfig) -> tuple[str, ...]:
    """The parts of the path of a dataset's evaluation file."""
    folder, file = getattr(data, "path", None), getattr(data, "evaluation", None)
    return tuple(part for part in (folder, file) if isinstance(part, str))


def _model_name(paper: Paper, config: ModelConfig | None) -> str | None:
    """The paper's name of a model."""
    if config is None or config.path is None:
        return None
    own = PurePath(config.path).name
    return next((n for n, wanted in paper.models.items() if re.fullmatch(wanted, own, re.IGNORECASE)), None)
