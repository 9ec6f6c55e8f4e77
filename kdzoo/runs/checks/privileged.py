"""Privileged prompts before a run: the model that reads them must have positions for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from transformers import PretrainedConfig

from kdzoo.engine.prompts.encoding import encode_target
from kdzoo.methods.model_names import OF_THE_STUDENT
from kdzoo.methods.prompt_template import filled
from kdzoo.recipe import Recipe, Stage, TrainingStage
from kdzoo.recipe.names import called
from kdzoo.recipe.places import place_in_options, place_of
from kdzoo.recipe.problems import Problems
from kdzoo.runs.checks.data import Read, training_examples
from kdzoo.runs.prompts import Prompts
from kdzoo.tasks.example import Example
from kdzoo.tasks.fitting import surely_fits


def check_privileged(
    recipe: Recipe,
    to_do: Sequence[Stage],
    read: Read,
    prompts: Prompts,
    configs: Mapping[str, PretrainedConfig],
    problems: Problems,
) -> None:
    """Note every stage some of whose privileged prompts, with a sequence after them, are longer than their reader can read.

    They are not cut: what they are for may stand anywhere in them.
    """
    for stage in to_do:
        if stage.role is None or (room := _room(recipe, stage, configs)) is None:
            continue
        reader, most = room
        trained = training_examples(recipe, stage, read) or []
        longer = _longer(recipe, stage, trained, prompts, most)
        if longer:
            template = stage.method_options().privileged_prompt
            assert template is not None
            problems.add(
                place_in_options(recipe, stage, template),
                f"{len(longer)} of {len(trained)} privileged prompts have more than the {most} tokens for which {called(reader)} "
                f"has positions before a sequence of output_limit; the longest has {max(longer)}: a lower input_limit, or "
                "a shorter text, makes them shorter",
                *(place_of(recipe, stage, name) for name in ("input_limit", "output_limit")),
            )


def _room(
    recipe: Recipe, stage: TrainingStage, configs: Mapping[str, PretrainedConfig]
) -> tuple[str, int] | None:
    """Who reads a stage's privileged prompts, and how many tokens it can read before a sequence; None if that is unknown."""
    options = stage.method_options()
    if options.privileged_prompt is None or not options.teacher_is_privileged:
        return None
    reader = stage.role if options.teacher_model in OF_THE_STUDENT else options.teacher_model
    config = configs.get(reader)
    positions = None if config is None else getattr(config.get_text_config(), "max_position_embeddings", None)
    return None if positions is None else (reader, positions - recipe.training_of(stage).output_limit)


def _longer(
    recipe: Recipe,
    stage: TrainingStage,
    trained: Sequence[Example],
    prompts: Prompts,
    most: int,
) -> list[int]:
    """The tokens of each privileged prompt that has more; prompts count as far as the input limit goes."""
    training, template = recipe.training_of(stage), stage.method_options().privileged_prompt
    assert template is not None
    found = []
    for example in trained:
        whole = filled(template, example.prompt, example.target)
        target = encode_target(prompts.tokenizer, example.target, prompts.chat)
        is_short = not example.earlier and surely_fits(whole, most, prompts.bytes_added)
        if is_short or len(target) > training.output_limit:
            continue
        asked, with_target = (prompts.tokens(text, example.earlier) for text in (example.prompt, whole))
        over = max(0, asked - training.input_limit)
        tokens = with_target - over
        if tokens > most and not (over and training.long_prompts == "leave_out"):
            found.append(tokens)
    return found
