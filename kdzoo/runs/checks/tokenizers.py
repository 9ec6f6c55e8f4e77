"""Tokenizers before a run: each can be read, and token ids mean the same to all models."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from transformers import PretrainedConfig, PreTrainedTokenizerBase

from kdzoo.engine.models.tokenizers import check_same_vocabulary, load_tokenizer
from kdzoo.errors import UserError
from kdzoo.methods.model_names import STUDENT
from kdzoo.recipe import ModelConfig, Recipe, is_there
from kdzoo.recipe.names import called
from kdzoo.recipe.places import place_of_model
from kdzoo.recipe.problems import Problems
from kdzoo.runs.context import RunContext


def check_tokenizers(
    recipe: Recipe, configs: Mapping[str, PretrainedConfig], tables: Collection[str], problems: Problems
) -> None:
    """Token ids must mean the same to all models, and each pretrained model must know all of them.

    ``configs`` are those of the models that can be had, by role; ``tables`` tell whether a named tokenizer can be.
    """
    named = recipe.tokenizer
    if named is not None and named.train is not None:
        return
    own: dict[str, PreTrainedTokenizerBase] = {}
    for role, path, model in _pretrained(recipe, configs):
        try:
            own[role] = load_tokenizer(
                path, model.revision, model.gguf_file, trust_remote_code=model.trust_remote_code
            )
        except UserError as error:
            if named is None:  # otherwise that may be why a tokenizer is named
                problems.add(place_of_model(role, "path"), str(error))
    for role in [role for role in own if role != STUDENT and STUDENT in own]:
        try:
            check_same_vocabulary(own[STUDENT], own[role], called(role).removeprefix("the "))
        except UserError as error:
            problems.add((STUDENT, "path"), str(error), place_of_model(role, "path"))
    shared = None
    if named is not None and named.path is not None and "tokenizer" in tables:
        try:
            shared = load_tokenizer(named.path, trust_remote_code=named.trust_remote_code)
        except UserError as error:
            problems.add(("tokenizer", "path"), str(error))
    for role, _, _ in _pretrained(recipe, configs):
        tokenizer = own.get(role) if named is None else shared
        if tokenizer is None:
            continue
        if role in own and tokenizer.get_vocab() != own[role].get_vocab():
            problems.add(
                ("tokenizer", "path"),
                f"names another vocabulary than {called(role)}'s own; leave [tokenizer] out, or name the tokenizer that "
                f"{called(role)} was trained with",
                place_of_model(role, "path"),
            )
        else:
            _check_size(role, tokenizer, configs[role], problems)


def known_tokenizer(context: RunContext, tables: Collection[str]) -> PreTrainedTokenizerBase | None:
    """The tokenizer that the run will use, as far as it can be had now: data to train it on may not be there.

    ``tables`` are those whose files may be looked for. Nothing is written.

    Raises:
        UserError: it cannot be read.
    """
    source = context.recipe.tokenizer_source
    if source.train is not None:
        return context.trained_tokenizer if all(map(is_there, context.recipe.training_data)) else None
    return context.tokenizer if source.table in tables else None


def _pretrained(recipe: Recipe, roles: Collection[str]) -> list[tuple[str, str, ModelConfig]]:
    """Role, path and table of each model that is not from scratch."""
    return [
        (role, model.path, model)
        for role, model in recipe.models.items()
        if role in roles and model.path is not None
    ]


def _check_size(
    role: str, tokenizer: PreTrainedTokenizerBase, config: PretrainedConfig, problems: Problems
) -> None:
    unseen = set(tokenizer.all_special_tokens) - {
        tokenizer.bos_token,
        tokenizer.eos_token,
    }  # padding, and such
    highest = max(number for token, number in tokenizer.get_vocab().items() if token not in unseen)
    known = config.get_text_config().vocab_size
    if highest >= known:
        problems.add(
            place_of_model(role, "path"),
            f"the tokenizer has token ids up to {highest}, and {called(role)} knows only {known} tokens",
        )
