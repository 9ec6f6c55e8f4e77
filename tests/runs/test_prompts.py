"""A run's prompts: as many tokens as its limits allow, counted as they are encoded, whether before the run or in it."""

from __future__ import annotations

import pytest
from chat_kinds import loaded

from kdzoo.engine.prompts.chat import ChatTemplate
from kdzoo.recipe import Evaluation, Training
from kdzoo.runs.prompts import Prompts
from kdzoo.tasks.example import Example


@pytest.fixture(scope="module", params=["plain", "chat"])
def prompts(request: pytest.FixtureRequest) -> Prompts:
    tokenizer = loaded("qwen25")
    return Prompts(tokenizer, ChatTemplate(tokenizer) if request.param == "chat" else None)


SAID = (("user", "0 1"), ("assistant", "2"))


def test_what_is_counted_is_what_is_encoded(prompts: Prompts) -> None:
    examples = [Example("1", "0 1 2 3", "4"), Example("2", "0", "1", earlier=SAID)]
    encoded = prompts.encoded(examples, Training(input_limit=200, output_limit=9)).examples
    assert [len(e.prompt) for e in encoded] == [prompts.tokens(e.prompt, e.earlier) for e in examples]


def test_prompts_that_are_longer_are_left_out_where_that_is_asked(prompts: Prompts) -> None:
    limit = prompts.tokens("0 1 2 3 4 5")
    examples = [
        Example("fits", "0 1 2 3 4 5", "4"),
        Example("longer", "0 1 2 3 4 5 6 7", "4"),
        Example("said", "0 1 2 3 4 5", "4", earlier=SAID),
    ]
    kept = prompts.to_train_on(examples, Training(input_limit=limit, long_prompts="leave_out"))
    assert [example.id for example in kept] == ["fits"]
    assert prompts.to_train_on(examples, Training(input_limit=limit)) == examples


def test_prompts_that_can_be_shortened_are(prompts: Prompts) -> None:
    def shorten(fits, training: bool) -> str:
        assert not fits("0 1 2 3 4 5 6 7")
        return "0 1 2 3 4" if training else "0"

    limit = prompts.tokens("0 1 2 3 4")
    (example,) = examples = [Example("1", "0 1 2 3 4 5 6 7", "4", shorten=shorten)]
    assert [e.prompt for e in prompts.to_train_on(examples, Training(input_limit=limit))] == ["0 1 2 3 4"]
    assert [e.prompt for e in prompts.to_answer(examples, Evaluation(input_limit=limit, output_limit=9))] == [
        "0"
    ]
    assert example.prompt == "0 1 2 3 4 5 6 7"
