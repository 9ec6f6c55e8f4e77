"""Limits before a run: how many prompts and targets of the data are longer, in the run's own tokens."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from transformers import PreTrainedTokenizerBase

from kdzoo.data.example import Example, Splits
from kdzoo.data.shorten import surely_fits
from kdzoo.engine.encoding import count_prompt_tokens, encode_target
from kdzoo.recipe import EvaluateStage, Recipe, Stage
from kdzoo.recipe.lines import Key
from kdzoo.recipe.places import place_of
from kdzoo.recipe.problems import Problems


def check_lengths(
    recipe: Recipe,
    to_do: Sequence[Stage],
    splits: Splits,
    tokenizer: PreTrainedTokenizerBase,
    problems: Problems,
    notices: Problems,
) -> None:
    """Note a training for which no target is short enough, and tell what else limits leave out or shorten."""
    to_train_on = _Measured("training", splits.train, tokenizer)
    to_evaluate = _Measured("evaluation", splits.evaluation, tokenizer)
    for stage in to_do:
        of_input, of_output = (place_of(recipe, stage, name) for name in ("input_limit", "output_limit"))
        if isinstance(stage, EvaluateStage):
            evaluation = recipe.evaluation_of(stage)
            _tell_of_prompts(to_evaluate, evaluation.max_examples, evaluation.input_limit, of_input, notices)
            _tell_of_gold(to_evaluate, evaluation.max_examples, evaluation.output_limit, of_output, notices)
        else:
            training = recipe.training_of(stage)
            _tell_of_prompts(to_train_on, None, training.input_limit, of_input, notices)
            _check_targets(to_train_on, training.output_limit, of_output, problems, notices)


class _Measured:
    """Examples and how many tokens they have, each counted once, and only if it is asked for."""

    def __init__(self, what: str, examples: Sequence[Example], tokenizer: PreTrainedTokenizerBase) -> None:
        self.what = what
        self.examples = examples
        self._tokenizer = tokenizer
        self._prompts: dict[int, int] = {}

    @cached_property
    def targets(self) -> list[int]:
        """The tokens of each target, the end of sequence included."""
        return [len(encode_target(self._tokenizer, example.target)) for example in self.examples]

    def is_over(self, index: int, limit: int) -> bool:
        """Whether a prompt has more tokens than ``limit``."""
        prompt = self.examples[index].prompt
        if surely_fits(prompt, limit):
            return False
        if index not in self._prompts:
            self._prompts[index] = count_prompt_tokens(self._tokenizer, prompt)
        return self._prompts[index] > limit


def _tell_of_prompts(measured: _Measured, most: int | None, limit: int, key: Key, notices: Problems) -> None:
    examples = measured.examples[:most]
    longer = sum(measured.is_over(index, limit) for index in range(len(examples)))
    if longer:
        what_happens = "cut in the middle" if examples[0].shorten is None else "shortened"
        notices.add(
            key,
            f"{longer} of {len(examples)} {measured.what} prompts are longer than {limit} tokens and are {what_happens}",
        )


def _tell_of_gold(measured: _Measured, most: int | None, limit: int, key: Key, notices: Problems) -> None:
    lengths = measured.targets[:most]
    longer = sum(length > limit for length in lengths)
    if longer:
        notices.add(
            key,
            f"{longer} of {len(lengths)} evaluation targets are longer than {limit} tokens, where predictions end; the "
            f"longest has {max(lengths)}",
        )


def _check_targets(measured: _Measured, limit: int, key: Key, problems: Problems, notices: Problems) -> None:
    lengths = measured.targets
    longer = sum(length > limit for length in lengths)
    if longer == len(lengths):
        problems.add(
            key,
            f"all {longer} training targets are longer than {limit} tokens, so that none is left to train on; the "
            f"shortest has {min(lengths)}",
        )
    elif longer:
        notices.add(
            key,
            f"{longer} of {len(lengths)} training targets are longer than {limit} tokens and are left out; the longest "
            f"has {max(lengths)}",
        )
