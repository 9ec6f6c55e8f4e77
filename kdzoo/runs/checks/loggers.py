"""Loggers before a run: each exists and can be used."""

from __future__ import annotations

from collections.abc import Sequence

from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

from kdzoo.recipe import Recipe, Stage
from kdzoo.recipe.places import place_of
from kdzoo.recipe.problems import Problems
from kdzoo.spelling import hint


def check_loggers(recipe: Recipe, to_do: Sequence[Stage], problems: Problems) -> None:
    """Note every logger that is unknown to transformers, or whose package is not installed."""
    for stage in to_do:
        for name in () if stage.role is None else recipe.training_of(stage).loggers:
            reason = _why_not_used(name)
            if reason is not None:
                problems.add(place_of(recipe, stage, "loggers"), reason)


def _why_not_used(name: str) -> str | None:
    if name not in INTEGRATION_TO_CALLBACK:
        return f'no logger is called "{name}"{hint(name, sorted(INTEGRATION_TO_CALLBACK))}'
    try:
        INTEGRATION_TO_CALLBACK[name]()
    except (RuntimeError, ImportError) as error:
        return f'the logger "{name}" cannot be used: {error}'
    return None
