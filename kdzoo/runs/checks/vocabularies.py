"""Vocabularies before a run: what becomes of tokens that padding has given to one model and not to another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from transformers import PretrainedConfig

from kdzoo.recipe import Recipe, Stage
from kdzoo.recipe.names import called
from kdzoo.recipe.places import place_of_model
from kdzoo.recipe.problems import Problems


def tell_of_vocabularies(
    recipe: Recipe, to_do: Sequence[Stage], configs: Mapping[str, PretrainedConfig], notices: Problems
) -> None:
    """Tell, once for each pair, of a model that learns from one whose vocabulary is padded to another size.

    ``configs`` are those of the models that can be had, by role.
    """
    for stage in to_do:
        if stage.role is None or stage.role not in configs:
            continue
        own = _size(configs[stage.role])
        for name in stage.teachers:
            theirs = own if name not in configs else _size(configs[name])
            if theirs != own:
                notices.add(
                    place_of_model(stage.role),
                    f"{called(stage.role)}'s vocabulary is padded to {own} tokens and {called(name)}'s to {theirs}: they are compared "
                    f"on the {min(own, theirs)} that both have",
                )


def _size(config: PretrainedConfig) -> int:
    return int(config.get_text_config().vocab_size)
