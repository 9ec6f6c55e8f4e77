"""A run's chat template is its tokenizer's, with the recipe's system message."""

import chat_kinds
import pytest

from kdzoo.recipe import load_recipe
from kdzoo.runs.chat import chat_of


@pytest.fixture
def recipe(tmp_path):
    (tmp_path / "r.toml").write_text(
        """
        data = { kind = "embedded" }
        student = { path = "owner/name" }
        stage = [{ kind = "distill", method = "sft" }]
        """
    )
    return lambda *overrides: load_recipe(tmp_path / "r.toml", overrides)


def test_there_is_none_unless_the_recipe_asks_for_it(recipe):
    assert chat_of(recipe(), chat_kinds.loaded("qwen25")) is None


def test_it_begins_with_the_recipe_s_system_message(recipe):
    chat = chat_of(
        recipe("prompt.template='chat'", "prompt.system='Answer in SQL.'"), chat_kinds.loaded("qwen25")
    )
    assert chat.prompt_text("a ?").startswith("<|im_start|>system\nAnswer in SQL.<|im_end|>")
