"""A chat template that is missing or refuses the recipe's system message is told with the key that asks for it."""

import chat_kinds
import pytest
import tokenizer_kinds

from kdzoo.recipe import load_recipe
from kdzoo.recipe.problems import Problems
from kdzoo.runs.checks.chat import check_chat_template


@pytest.fixture
def told(tmp_path):
    def told(tokenizer, prompt):
        (tmp_path / "r.toml").write_text(
            f"""\
data = {{ kind = "embedded" }}
student = {{ path = "owner/name" }}
stage = [{{ kind = "distill", method = "sft" }}]
[prompt]
{prompt}
"""
        )
        recipe = load_recipe(tmp_path / "r.toml")
        problems = Problems.of(recipe)
        check_chat_template(recipe, tokenizer, problems)
        return problems.texts

    return told


def test_a_template_that_the_tokenizer_lacks(told):
    (text,) = told(tokenizer_kinds.loaded("qwen"), 'template = "chat"')
    assert "r.toml:5: prompt.template: the tokenizer has no chat template" in text
    assert told(tokenizer_kinds.loaded("qwen"), 'template = "plain"') == []


def test_a_system_message_that_it_refuses(told):
    (text,) = told(chat_kinds.loaded("gemma"), 'template = "chat"\nsystem = "Answer in SQL."')
    assert "(system, user): System role not supported" in text
    assert told(chat_kinds.loaded("llama2"), 'template = "chat"\nsystem = "Answer in SQL."') == []
