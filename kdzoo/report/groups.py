"""Models of several runs put together: the same thing trained with several seeds is one row."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kdzoo.recipe import TrainingStage
from kdzoo.recipe.scoring import KEYS as SCORING_KEYS
from kdzoo.report.measured import MeasuredModel, take_over

Settings = Mapping[str, Any]
"""Settings of a recipe as --set writes them, with their values: {"kid.options.alpha": 0.2}."""

# What changes how a stage is computed or watched, not what it gives.
_WITHOUT_EFFECT = {
    *("sharing", "logging_steps", "save_steps", "loggers"),
    *("attention", "gradient_checkpointing", "device_map"),
}
_SEED = "seed"
_SEEDS = (_SEED, "student_seed")
# More settings than these name no row: it is then called after its run.
_MANY = 3
# Fewer values make no curve.
FEWEST_VALUES = 3


@dataclass
class ModelGroup:
    """The models that differ in nothing but seeds. ``settings`` shaped them; ``differing`` are those in which groups of
    the same name differ.
    """

    name: str
    settings: Settings
    members: list[MeasuredModel]
    differing: Settings = field(default_factory=dict)
    label: str = ""

    @property
    def role(self) -> str:
        """Teacher or student."""
        return self.members[0].role

    @property
    def is_baseline(self) -> bool:
        """Whether its models learnt without a teacher, for others to be compared with."""
        return any(member.is_baseline for member in self.members)

    def is_called(self, name: str) -> bool:
        """Whether a name is that of its models, or its label."""
        return name in (self.name, self.label)


@dataclass(frozen=True)
class Curve:
    """Groups that differ in one numeric setting alone, in the order of its values. ``others`` are their other settings
    in which groups of their name differ.
    """

    key: str
    name: str
    others: Settings
    points: list[tuple[float, ModelGroup]]


def grouped(models: Iterable[MeasuredModel]) -> list[ModelGroup]:
    """Put models together that differ in seeds only. One that several runs share, or have measured, counts once."""
    groups: list[ModelGroup] = []
    for model in models:
        settings = settings_of(model)
        alike = [g for g in groups if g.name == model.name and g.settings == settings]
        known = next((m for g in alike for m in g.members if _identity(m) == _identity(model)), None)
        if known is not None:
            take_over(known, model)
            known.is_baseline |= model.is_baseline
            continue
        # the same seeds again, under other code or versions, are no further seeds
        free = (g for g in alike if _seeds(model) not in [_seeds(member) for member in g.members])
        group = next(free, None)
        if group is None:
            groups.append(ModelGroup(model.name, settings, [model]))
        else:
            group.members.append(model)
    _name(groups)
    return groups


def settings_of(model: MeasuredModel) -> dict[str, Any]:
    """The settings that shaped a model and its answers, without seeds: data, its table, and all stages behind it."""
    content, recipe = model.run.content, model.run.recipe
    tables = {"data", "datasets", "tokenizer"}
    stages = list(_stages_behind(model, model.trained))
    if stages:
        tables.add("training")
    models = {model.role, *(name for stage in stages for name in (stage.role, *stage.teachers))}
    kept = {stage.name for stage in stages}
    chosen: dict[str, Any] = {name: table for name, table in content.items() if name in tables | models}
    further = {name: table for name, table in content.get("teachers", {}).items() if name in models}
    if further:
        chosen["teachers"] = further
    for table in content["stage"]:
        if table["name"] in kept:
            chosen[table["name"]] = {key: value for key, value in table.items() if key not in ("name", _SEED)}
    evaluation = recipe.evaluation_of(model.evaluated_by)
    chosen["evaluation"] = evaluation.model_dump(mode="json", exclude={"metrics", "batch_size"})
    trainings = [recipe.training_of(stage) for stage in stages]
    chooses_weights = any(training.evaluate_every and training.keep_best for training in trainings)
    unused = _WITHOUT_EFFECT if chooses_weights else {*_WITHOUT_EFFECT, *SCORING_KEYS}
    return {key: value for key, value in _flat(chosen) if not _is_one_of(unused, key)}


def baseline_of(
    group: ModelGroup, groups: Iterable[ModelGroup], against: str | None = None
) -> ModelGroup | None:
    """The model that a student is compared with: the SFT student, or what is called ``against``.

    If that is a student, it is of the same [student] table and dataset; of several it is that of the recipe most like its own.
    """
    if group.role != "student":
        return None
    rivals = [
        rival
        for rival in groups
        if (rival.is_baseline if against is None else rival.is_called(against))
        and (
            rival.role != "student"
            or (_table(rival, "student") == _table(group, "student") and have_same_data(rival, group))
        )
    ]
    return min(rivals, key=lambda rival: _distance(rival, group), default=None)


def have_same_data(one: ModelGroup, other: ModelGroup) -> bool:
    """Whether two models learnt from the same dataset, be it other parts of it. One as it was given fits to any."""
    first, second = one.members[0], other.members[0]
    if first.trained_on is None or second.trained_on is None or first.trained_on == second.trained_on:
        return True
    names = {None if member.trained is None else member.trained.data for member in (first, second)}
    return len(names) == 1 and first.trained_on.kind == second.trained_on.kind


def curves(groups: Iterable[ModelGroup]) -> list[Curve]:
    """The numeric settings that took three values or more while all others stood still."""
    found: dict[str, Curve] = {}
    for group in groups:
        for key, value in group.differing.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                others = {k: v for k, v in group.differing.items() if k != key}
                place = json.dumps([group.name, key, others], sort_keys=True, default=str)
                curve = found.setdefault(place, Curve(key, group.name, others, []))
                curve.points.append((value, group))
    for curve in found.values():
        curve.points.sort(key=lambda point: point[0])
    return [curve for curve in found.values() if len({value for value, _ in curve.points}) >= FEWEST_VALUES]


def short_key(key: str, name: str) -> str:
    """A setting as a row says it: the options of its own stage by their names alone."""
    return key.removeprefix(f"{name}.").removeprefix("options.")


def value_text(value: Any) -> str:
    """A setting's value as a row says it, on one line."""
    return (
        value
        if isinstance(value, str) and value.isprintable()
        else json.dumps(value, ensure_ascii=False, default=str)
    )


def _stages_behind(model: MeasuredModel, stage: TrainingStage | None) -> Iterator[TrainingStage]:
    """The stage that trained a model, and those whose models it began with or learnt from."""
    if stage is None:
        return
    yield stage
    for used in model.run.recipe.models_used(stage).values():
        if used.trained_by is not None:
            yield from _stages_behind(model, model.run.recipe.training_stage(used.trained_by, before=stage))


def _flat(table: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def _is_one_of(settings: Iterable[str], key: str) -> bool:
    """Whether a key is one of these settings of a model or a training; an option of a method may have the same name."""
    table, _, name = key.rpartition(".")
    is_model = table.rpartition(".")[0] == "teachers"
    return name in settings and (is_model or table.rpartition(".")[2] in ("teacher", "student", "training"))


def _identity(model: MeasuredModel) -> Any:
    """What is equal for one model in several runs: the hash of all that shaped it, nothing if it is as it was given."""
    if model.training is not None:
        return model.training.fingerprint
    if model.trained is not None:
        return str(model.run.folder.resolve())  # not finished: each run's own
    return None


def _seeds(model: MeasuredModel) -> tuple[Any, ...]:
    """The seeds that shaped a model: a student's own and its stages', where they have one, beside the recipe's."""
    keys = _SEEDS if model.role == "student" else _SEEDS[:1]
    of_stages = (stage.seed for stage in _stages_behind(model, model.trained))
    return (*(model.run.content.get(key) for key in keys), *of_stages)


def _name(groups: list[ModelGroup]) -> None:
    alike: dict[str, list[ModelGroup]] = defaultdict(list)
    for group in groups:
        alike[group.name].append(group)
    for name, same in alike.items():
        keys = dict.fromkeys(key for group in same for key in group.settings)
        differing = [
            key for key in keys if any(g.settings.get(key) != same[0].settings.get(key) for g in same)
        ]
        for group in same:
            group.differing = {key: group.settings[key] for key in differing if key in group.settings}
            said = (f"{short_key(key, name)} = {value_text(value)}" for key, value in group.differing.items())
            group.label = ", ".join([name, *said]) if len(group.differing) <= _MANY else name
        labels = [group.label for group in same]
        for group in same:
            if labels.count(group.label) > 1:
                group.label = f"{group.label} ({group.members[0].run.folder.name})"


def _table(group: ModelGroup, table: str) -> dict[str, Any]:
    return {key: value for key, value in group.settings.items() if key.startswith(f"{table}.")}


def _distance(one: ModelGroup, other: ModelGroup) -> tuple[bool, int, bool]:
    """Whether they learnt from other data, how many settings outside their own stages differ, and whether no run has both."""
    own = (f"{one.name}.", f"{other.name}.", "teacher.")
    keys = [key for key in {*one.settings, *other.settings} if not key.startswith(own)]
    runs = {member.run.folder for member in one.members} & {member.run.folder for member in other.members}
    differing = sum(one.settings.get(key) != other.settings.get(key) for key in keys)
    return one.members[0].trained_on != other.members[0].trained_on, differing, not runs
