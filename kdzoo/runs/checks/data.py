"""Data before a run: there are some for every stage, and what they lack is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from kdzoo.errors import UserError
from kdzoo.recipe import (
    EvaluateStage,
    Recipe,
    ScoredSet,
    Stage,
    TrainingStage,
    is_there,
    scored_sets_of,
    scoring_of,
)
from kdzoo.recipe.lines import Key
from kdzoo.recipe.places import place_in_set, place_of, place_of_set
from kdzoo.recipe.problems import Problems
from kdzoo.tasks import registry
from kdzoo.tasks.dataset import DataConfig
from kdzoo.tasks.example import Example, Splits

# Gives the examples of a dataset's table.
Read = Callable[[DataConfig], Splits]


def check_data(
    recipe: Recipe, to_do: Sequence[Stage], read: Read, problems: Problems, notices: Problems
) -> None:
    """Note what the stages cannot do with the data, and where scores would not mean what they seem to.

    Data that are not there are passed over.

    Raises:
        UserError: there is no example for a stage at all.
    """
    for stage in to_do:
        if stage.role is None:
            for scored, examples in scored_examples(recipe, stage, read):
                if not examples:
                    raise UserError(
                        f"stage {stage.name!r}: {_named(recipe, scored)} hold no example to evaluate"
                    )
                key = place_of_set(recipe, stage, scored.name, "metrics")
                _check_metrics(recipe, scored, key, examples, problems, notices)
            continue
        _check_scoring(recipe, stage, read, problems, notices)
        if (trained := training_examples(recipe, stage, read)) is not None:
            if not trained:
                raise UserError(f"stage {stage.name!r}: the data hold no example to train on")
            if recipe.training_of(stage).group_by != "none":
                _check_groups(place_of(recipe, stage, "group_by"), trained, problems, notices)
    _tell_of_trained_examples(recipe, to_do, read, notices)


def training_examples(recipe: Recipe, stage: TrainingStage, read: Read) -> list[Example] | None:
    """What a stage trains on; None if it is not there."""
    data = recipe.training_data_of(stage)
    return read(data).train if is_there(data) else None


def scored_examples(
    recipe: Recipe, stage: EvaluateStage, read: Read
) -> Iterator[tuple[ScoredSet, list[Example]]]:
    """The sets that a stage scores and that are there, with as many questions as are asked."""
    for scored in recipe.sets_of(stage):
        if is_there(scored.data):
            yield scored, read(scored.data).evaluation[: scored.evaluation.max_examples]


def _named(recipe: Recipe, scored: ScoredSet) -> str:
    return f'the data of the set "{scored.name}"' if recipe.evaluation_sets else "the data"


def _check_groups(key: Key, trained: Sequence[Example], problems: Problems, notices: Problems) -> None:
    alone = sum(example.group is None for example in trained)
    if alone == len(trained):
        problems.add(
            key,
            'no training example belongs to a group; leave it out, or give the examples a "group" each',
        )
    elif alone:
        notices.add(
            key, f"{alone} of {len(trained)} training examples belong to no group and are drawn alone"
        )


def _check_scoring(
    recipe: Recipe, stage: TrainingStage, read: Read, problems: Problems, notices: Problems
) -> None:
    """Check what a training is scored on, and by, as that of an evaluate stage."""
    scoring = scoring_of(recipe, stage)
    if scoring is None or not is_there(scoring.data):
        return
    scored = ScoredSet(scoring.set, scoring.data, scoring.evaluation)
    examples = read(scoring.data).evaluation[: scoring.examples]
    if not examples:
        raise UserError(
            f"stage {stage.name!r}: {_named(recipe, scored)} hold no example to score it on (evaluate_every)"
        )
    is_given = recipe.training_of(stage).evaluate_metric is not None
    key = (
        place_of(recipe, stage, "evaluate_metric")
        if is_given
        else place_of_set(recipe, None, scoring.set, "metrics")
    )
    _check_metrics(recipe, scored, key, examples, problems, notices)
    evaluated = [s for s in recipe.stages if s.role is None and _scores_it_on(recipe, stage, s, scoring.set)]
    if scoring.keep_best and evaluated:
        notices.add(
            place_of(recipe, stage, "keep_best"),
            f'the best weights of "{stage.name}" are chosen by questions of the set "{scoring.set}" that the stage '
            f'"{evaluated[0].name}" scores it on too, which flatters it; evaluate_set names another',
        )


def _scores_it_on(recipe: Recipe, stage: TrainingStage, evaluate: EvaluateStage, scored_set: str) -> bool:
    """Whether an evaluate stage scores a stage's model on a set."""
    models = {model.trained_by for model in recipe.models_used(evaluate).values()}
    return stage.name in models and scored_set in [scored.name for scored in recipe.sets_of(evaluate)]


def _check_metrics(
    recipe: Recipe,
    scored: ScoredSet,
    key: Key,
    examples: Sequence[Example],
    problems: Problems,
    notices: Problems,
) -> None:
    of_set = f'set "{scored.name}": ' if recipe.evaluation_sets else ""
    for name in scored.evaluation.metrics:
        metric = registry.metrics.find(name)
        why_not = list(metric.problems(examples))
        for text in why_not:
            problems.add(key, of_set + text)
        for text in () if why_not else metric.meaningless(examples):
            if recipe.is_rehearsal:
                notices.add(
                    key, f"{of_set}{text}; the run itself refuses this, and scores of a rehearsal say nothing"
                )
            else:
                problems.add(key, of_set + text)
        for text in metric.notices(examples):
            notices.add(key, of_set + text)


def _tell_of_trained_examples(recipe: Recipe, to_do: Sequence[Stage], read: Read, notices: Problems) -> None:
    evaluated = {s.name: s for stage in to_do for s in scored_sets_of(recipe, stage)}
    if not evaluated:
        return
    trained = {
        _asked_and_answered(example)
        for data in recipe.training_data
        if is_there(data)
        for example in read(data).train
    }
    for name, scored in evaluated.items():
        if not is_there(scored.data):
            continue
        examples = read(scored.data).evaluation
        known = sum(_asked_and_answered(example) in trained for example in examples)
        if known:
            has_key = "evaluation" in type(scored.data).model_fields
            key = place_in_set(recipe, name, "evaluation")
            notices.add(
                key if has_key else key[:-1],
                f"{known} of {len(examples)} evaluation examples are training examples too; scores on them say "
                "what was learnt by heart",
            )


def _asked_and_answered(example: Example) -> tuple[object, ...]:
    return example.earlier, example.prompt, example.target
