"""The checks before a run, in the order of what they cost. A dry run does the same."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

from kdzoo.errors import RunError
from kdzoo.files import why_not_writable
from kdzoo.recipe.problems import Problems
from kdzoo.runs.chat import chat_of
from kdzoo.runs.checks.chat import check_chat_template
from kdzoo.runs.checks.data import check_data
from kdzoo.runs.checks.disk import check_disk
from kdzoo.runs.checks.lengths import check_lengths
from kdzoo.runs.checks.loggers import check_loggers
from kdzoo.runs.checks.memory import check_memory, memory_of
from kdzoo.runs.checks.models import check_models
from kdzoo.runs.checks.positions import check_positions
from kdzoo.runs.checks.privileged import check_privileged
from kdzoo.runs.checks.tokenizers import check_tokenizers, known_tokenizer
from kdzoo.runs.checks.trained import check_trained
from kdzoo.runs.checks.vocabularies import tell_of_vocabularies
from kdzoo.runs.context import RunContext
from kdzoo.runs.links import check_links
from kdzoo.runs.memory.room import room_on
from kdzoo.runs.memory.stages import StageMemory
from kdzoo.runs.prompts import Prompts
from kdzoo.tasks.load import CACHE


class Checked(NamedTuple):
    """What is worth telling, one line each, and the memory of the training stages that could be looked at, by their names."""

    notices: list[str]
    memory: dict[str, StageMemory]


def check(context: RunContext, finished: Mapping[str, Path], tables: Collection[str]) -> Checked:
    """Look at all that the stages still to be done need.

    ``finished`` are the folders of the other stages by their names. ``tables`` are those of "tokenizer" and the models'
    names whose files may be looked for. Weights are opened and compared with the model that they are for, and
    not read. Data that are not there are passed over. Nothing is written but the data's cache.

    Raises:
        UserError: something cannot be found, or does not fit the rest; a line for each that is the recipe's.
        RunError: the run's directory cannot be written, there is too little space for what will be, or a link in it leads
            elsewhere.
    """
    recipe = context.recipe
    out = context.directory.path.parent
    for folder in (context.directory.path, out / CACHE):
        check_links(folder, out)
    to_do = [stage for stage in recipe.stages if stage.name not in finished]
    if not to_do:
        return Checked([], {})
    _check_writable(context.directory.path)
    problems, notices = Problems.of(recipe), Problems.of(recipe)
    configs = check_models(recipe, tables, problems, notices)
    check_tokenizers(recipe, configs, tables, problems)
    tell_of_vocabularies(recipe, to_do, configs, notices)
    check_positions(recipe, to_do, configs, problems)
    check_loggers(recipe, to_do, problems)
    problems.raise_if_any()
    check_trained(recipe, to_do, finished)
    check_data(recipe, to_do, context.splits, problems, notices)
    problems.raise_if_any()
    # a rehearsal has other limits and tokens than its recipe
    tokenizer = None if recipe.is_rehearsal else known_tokenizer(context, tables)
    memory: dict[str, StageMemory] = {}
    if tokenizer is not None:
        check_chat_template(recipe, tokenizer, problems)
        problems.raise_if_any()
        prompts = Prompts(tokenizer, chat_of(recipe, tokenizer))
        check_lengths(recipe, to_do, context.splits, prompts, problems, notices)
        check_privileged(recipe, to_do, context.splits, prompts, configs, problems)
        problems.raise_if_any()
        room = room_on(context.device)
        memory = memory_of(recipe, to_do, context.splits, prompts, configs, room)
        check_disk(recipe, to_do, memory, context.directory.path)
        check_memory(recipe, to_do, memory, notices)
    return Checked(notices.texts, memory)


def _check_writable(directory: Path) -> None:
    reason = why_not_writable(directory)
    if reason is not None:
        raise RunError(f"cannot write below {directory}: {reason}")
