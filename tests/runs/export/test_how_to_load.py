"""The code on a card. That it runs and gives the run's answers: test_export."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from kdzoo.recipe.prompt_table import PromptConfig
from kdzoo.runs.export.base import AdapterBase
from kdzoo.runs.export.how_to_load import HowToLoad

MADE = AdapterBase("base", None, Path("/a/base"), True)


def code(
    *,
    on_hub: bool = False,
    base: AdapterBase | None = None,
    prompt: PromptConfig | None = None,
    template: str = "",
) -> str:
    found = HowToLoad("me/student", on_hub, base, prompt or PromptConfig(), template, 64).code()
    ast.parse(found)
    return found


def test_a_whole_model_needs_transformers_alone() -> None:
    assert "peft" not in code()
    assert "folder = 'me/student'" in code(on_hub=True)
    assert "max_new_tokens=64" in code()


@pytest.mark.parametrize(
    ("base", "loading"),
    [
        (AdapterBase("some/base", None, None, False), "from_pretrained('some/base')"),
        (AdapterBase("some/base", "v2", None, False), "from_pretrained('some/base', revision='v2')"),
        (
            AdapterBase("mine", None, Path("/a/mine"), False),
            "from_pretrained('mine')  # where that folder is",
        ),
        (MADE, 'from_pretrained(f"{folder}/base")'),
    ],
)
def test_an_adapter_needs_its_base(base: AdapterBase, loading: str) -> None:
    assert f"base = AutoModelForCausalLM.{loading}" in code(base=base)
    assert "/a/" not in code(base=base)


def test_a_base_inside_a_repository_is_fetched_with_it() -> None:
    assert "folder = snapshot_download('me/student')" in code(base=MADE, on_hub=True)
    assert "snapshot_download" not in code(base=MADE)


def test_a_chat_is_written_by_the_template() -> None:
    prompt = PromptConfig(template="chat", system='Answer "in SQL".\nNo words.')
    found = code(prompt=prompt, template="{% if enable_thinking %}{{ messages }}{% endif %}")
    assert r"""{'role': 'system', 'content': 'Answer "in SQL".\nNo words.'}, {"role": "user",""" in found
    assert "enable_thinking=False" in found
    assert "date_string" not in found
    assert "enable_thinking" not in code(prompt=prompt)
