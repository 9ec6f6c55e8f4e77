"""Models of finished stages before a run: what is still to be done must be able to build on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from kdzoo.errors import RunError, UserError
from kdzoo.recipe import Recipe, Stage
from kdzoo.runs.checks.weights import open_weights


def check_trained(recipe: Recipe, to_do: Sequence[Stage], finished: Mapping[str, Path]) -> None:
    """Open the weights that finished stages left, those that a stage ``to_do`` loads.

    ``finished`` are the stages' folders by their names.

    Raises:
        RunError: a model is missing or broken.
    """
    roles = {
        model.trained_by: model.role
        for stage in to_do
        for model in recipe.models_used(stage).values()
        if model.trained_by is not None
    }
    for name in finished.keys() & roles.keys():
        folder = finished[name]
        try:
            config = recipe.models[roles[name]]
            open_weights(str(folder / "model"), None, trust_remote_code=config.trust_remote_code)
        except UserError as error:
            raise RunError(
                f"stage {name!r} was finished before, and what it left is broken: {error}; remove {folder}, and it "
                "is done again"
            ) from error
