"""Data before a run: there are some for every stage, and what they lack is told."""

from __future__ import annotations

from collections.abc import Sequence

from kdzoo.errors import UserError
from kdzoo.recipe import Recipe, Stage, scoring_of
from kdzoo.recipe.lines import Key
from kdzoo.recipe.places import place_of
from kdzoo.recipe.problems import Problems
from kdzoo.tasks import registry
from kdzoo.tasks.example import Splits


def check_data(
    recipe: Recipe, to_do: Sequence[Stage], splits: Splits, problems: Problems, notices: Problems
) -> None:
    """Note what the stages cannot do with the data, and where scores would not mean what they seem to.

    Raises:
        UserError: there is no example for a stage at all.
    """
    for stage in to_do:
        is_scored = stage.role is not None and scoring_of(recipe, stage) is not None
        if is_scored and not splits.evaluation:
            raise UserError(f"stage {stage.name!r}: the data hold no example to score it on (evaluate_every)")
        if not (splits.evaluation if stage.role is None else splits.train):
            wanted = "evaluate" if stage.role is None else "train on"
            raise UserError(f"stage {stage.name!r}: the data hold no example to {wanted}")
        if stage.role is not None and recipe.training_of(stage).group_by != "none":
            _check_groups(place_of(recipe, stage, "group_by"), splits, problems, notices)
        if stage.role is None:
            for name in recipe.evaluation_of(stage).metrics:
                for text in registry.metrics.find(name).notices(splits.evaluation):
                    notices.add(place_of(recipe, stage, "metrics"), text)
    if any(stage.role is None or scoring_of(recipe, stage) is not None for stage in to_do):
        _tell_of_trained_examples(recipe, splits, notices)


def _check_groups(key: Key, splits: Splits, problems: Problems, notices: Problems) -> None:
    alone = sum(example.group is None for example in splits.train)
    if alone == len(splits.train):
        problems.add(
            key,
            'no training example belongs to a group; leave it out, or give the examples a "group" each',
        )
    elif alone:
        notices.add(
            key, f"{alone} of {len(splits.train)} training examples belong to no group and are drawn alone"
        )


def _tell_of_trained_examples(recipe: Recipe, splits: Splits, notices: Problems) -> None:
    trained = {(example.prompt, example.target) for example in splits.train}
    known = sum((example.prompt, example.target) in trained for example in splits.evaluation)
    if known:
        key = ("data", "evaluation") if "evaluation" in type(recipe.data).model_fields else ("data",)
        notices.add(
            key,
            f"{known} of {len(splits.evaluation)} evaluation examples are training examples too; scores on them say "
            "what was learnt by heart",
        )
