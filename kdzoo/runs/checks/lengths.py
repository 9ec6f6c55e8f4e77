"""Limits before a run: how many prompts and targets of the data are longer, in the run's own tokens."""

from __future__ import annotations

from collections.abc import Sequence

from kdzoo.engine.prompts.chat import Turns
from kdzoo.engine.prompts.encoding import encode_target
from kdzoo.recipe import Recipe, Stage
from kdzoo.recipe.lines import Key
from kdzoo.recipe.places import place_of
from kdzoo.recipe.problems import Problems
from kdzoo.runs.checks.data import Read, scored_examples, training_examples
from kdzoo.runs.prompts import Prompts
from kdzoo.tasks.example import Example
from kdzoo.tasks.fitting import surely_fits


def check_lengths(
    recipe: Recipe,
    to_do: Sequence[Stage],
    read: Read,
    prompts: Prompts,
    problems: Problems,
    notices: Problems,
) -> None:
    """Note a training for which no prompt or target is short enough, and tell what else limits leave out or shorten."""
    lengths = _Lengths(prompts)
    for stage in to_do:
        of_input, of_output = (place_of(recipe, stage, name) for name in ("input_limit", "output_limit"))
        _check_template(prompts, recipe.settings_of(stage).input_limit, of_input, problems)
        if stage.role is None:
            for scored, examples in scored_examples(recipe, stage, read):
                evaluation = scored.evaluation
                what = f"{scored.name} evaluation" if recipe.evaluation_sets else "evaluation"
                _tell_of_prompts(what, examples, lengths, evaluation.input_limit, of_input, notices)
                _tell_of_gold(what, examples, lengths, evaluation.output_limit, of_output, notices)
        elif (trained := training_examples(recipe, stage, read)) is not None:
            training, of = recipe.training_of(stage), len(trained)
            if training.long_prompts == "leave_out":
                longer = lengths.prompts_over(training.input_limit, trained)
                _check_left_out("prompts", longer, of, training.input_limit, of_input, problems, notices)
            else:
                _tell_of_prompts("training", trained, lengths, training.input_limit, of_input, notices)
            longer = lengths.targets_over(training.output_limit, trained)
            _check_left_out("targets", longer, of, training.output_limit, of_output, problems, notices)


def _check_template(prompts: Prompts, limit: int, key: Key, problems: Problems) -> None:
    """Note a chat template that leaves no token of the limit to a prompt."""
    if prompts.chat is not None and (taken := prompts.tokens("")) >= limit:
        problems.add(
            key,
            f"the chat template alone, its system message included, takes {taken} tokens, and no more than {limit} are "
            "allowed: a higher limit leaves room for prompts",
        )


class _Lengths:
    """The tokens of texts, each counted once, and only of those that may have more than a limit."""

    def __init__(self, prompts: Prompts) -> None:
        self._of = prompts
        self._prompts: dict[tuple[Turns, str], int] = {}
        self._targets: dict[str, int] = {}

    def prompts_over(self, limit: int, examples: Sequence[Example]) -> list[int]:
        """The tokens of each prompt that has more than ``limit``."""
        counted = self._prompts
        for example in examples:
            prompt, earlier = example.prompt, example.earlier
            fits = not earlier and surely_fits(prompt, limit, self._of.bytes_added)
            if not fits and (earlier, prompt) not in counted:
                counted[earlier, prompt] = self._of.tokens(prompt, earlier)
        return [n for e in examples if (n := counted.get((e.earlier, e.prompt), 0)) > limit]

    def targets_over(self, limit: int, examples: Sequence[Example]) -> list[int]:
        """The tokens of each target that has more than ``limit``, the end of sequence included."""
        counted = self._targets
        for example in examples:
            if not surely_fits(example.target, limit, self._of.bytes_added) and example.target not in counted:
                target = encode_target(self._of.tokenizer, example.target, self._of.chat)
                counted[example.target] = len(target)
        return [n for e in examples if (n := counted.get(e.target, 0)) > limit]


def _tell_of_prompts(
    what: str, examples: Sequence[Example], lengths: _Lengths, limit: int, key: Key, notices: Problems
) -> None:
    longer = lengths.prompts_over(limit, examples)
    if longer:
        what_happens = "cut in the middle" if examples[0].shorten is None else "shortened"
        notices.add(
            key,
            f"{len(longer)} of {len(examples)} {what} prompts are longer than {limit} tokens and are {what_happens}",
        )


def _tell_of_gold(
    what: str, examples: Sequence[Example], lengths: _Lengths, limit: int, key: Key, notices: Problems
) -> None:
    longer = lengths.targets_over(limit, examples)
    if longer:
        notices.add(
            key,
            f"{len(longer)} of {len(examples)} {what} targets are longer than {limit} tokens, where predictions "
            f"end; the longest has {max(longer)}",
        )


def _check_left_out(
    what: str, longer: list[int], of: int, limit: int, key: Key, problems: Problems, notices: Problems
) -> None:
    """Note that all training prompts or targets would be left out, or tell how many are."""
    if len(longer) == of:
        problems.add(
            key,
            f"all {of} training {what} are longer than {limit} tokens, so that none is left to train on; the shortest has "
            f"{min(longer)}",
        )
    elif longer:
        notices.add(
            key,
            f"{len(longer)} of {of} training {what} are longer than {limit} tokens and are left out; the longest has "
            f"{max(longer)}",
        )
