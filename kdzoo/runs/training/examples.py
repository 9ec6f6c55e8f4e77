"""The examples that a stage trains on, encoded, and what is told of those that were shortened or left out."""

from __future__ import annotations

from kdzoo.engine.prompts.batches import EncodedExample
from kdzoo.errors import RunError
from kdzoo.recipe import TrainingStage
from kdzoo.runs.context import RunContext


def training_examples(context: RunContext, stage: TrainingStage) -> list[EncodedExample]:
    """Shorten the prompts that a stage trains on to the input limit and encode them with their targets.

    Raises:
        RunError: none is left.
    """
    training = context.recipe.training_of(stage)
    examples = context.splits(context.recipe.training_data_of(stage)).train
    fitting = context.prompts.to_train_on(examples, training)
    encoded = context.prompts.encoded(fitting, training, stage.method_options().privileged_prompt)
    if not encoded.examples:
        raise RunError(
            f"stage {stage.name!r}: no example is left to train on; input_limit is {training.input_limit}, output_limit "
            f"{training.output_limit}"
        )
    for count, what in (
        (len(examples) - len(fitting), f"prompts longer than {training.input_limit} tokens left out"),
        (encoded.prompts_cut, f"prompts cut to {training.input_limit} tokens"),
        (encoded.targets_too_long, f"targets longer than {training.output_limit} tokens left out"),
        (encoded.special_spelled, "examples spell special tokens, which are read as plain text"),
    ):
        if count:
            context.reporter.say(f"{stage.name}: {count} {what}")
    return encoded.examples
