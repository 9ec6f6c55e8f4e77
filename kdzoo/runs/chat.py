"""The chat template of a run, where its recipe asks for one."""

from __future__ import annotations

from transformers import PreTrainedTokenizerBase

from kdzoo.engine.prompts.chat import ChatTemplate
from kdzoo.recipe import Recipe


def chat_of(recipe: Recipe, tokenizer: PreTrainedTokenizerBase) -> ChatTemplate | None:
    """The tokenizer's chat template, where the recipe's prompts are written by it.

    Raises:
        UserError: it has none, or one that cannot be used.
    """
    return None if recipe.prompt.template == "plain" else ChatTemplate(tokenizer, recipe.prompt.system)
