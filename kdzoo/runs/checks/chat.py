"""The chat template before a run: there is one where prompts are to be written by it, and it can be used."""

from __future__ import annotations

from transformers import PreTrainedTokenizerBase

from kdzoo.errors import UserError
from kdzoo.recipe import Recipe
from kdzoo.recipe.problems import Problems
from kdzoo.runs.chat import chat_of


def check_chat_template(recipe: Recipe, tokenizer: PreTrainedTokenizerBase, problems: Problems) -> None:
    """Note a template that the tokenizer lacks, or that refuses a question or the recipe's system message."""
    try:
        chat_of(recipe, tokenizer)
    except UserError as error:
        problems.add(("prompt", "template"), str(error))
