"""Data are plain text, prompts are what the tokenizer makes of them, targets end once."""

import itertools
from functools import cache
from tempfile import TemporaryDirectory

import pytest
import tokenizer_kinds
from hypothesis import given, settings
from hypothesis import strategies as st
from texts_with_special_tokens import ANY, SPELLED
from tokenizer_kinds import loaded
from transformers import AutoTokenizer, BatchEncoding

from kdzoo.engine.models.plain_text import text_ids
from kdzoo.engine.prompts.encoding import (
    Text,
    count_prompt_tokens,
    cut_prompt,
    decode,
    encode_for_training,
    encode_target,
    prompt_ids,
)

PROMPTS = [
    "",
    "a",
    "table singer",
    "<s> table singer",
    "LIKE '%</s>%'",
    " <|im_start|>user\n",
    "né <unk> 日本",
    "[CLS] x [SEP]",
]


@cache
def saved_again(kind):
    """The same as a run leaves it, read by plain transformers."""
    with TemporaryDirectory() as folder:
        loaded(kind).save_pretrained(folder)
        return AutoTokenizer.from_pretrained(folder)


kinds = pytest.mark.parametrize("kind", tokenizer_kinds.ALL)


class TestDataArePlainText:
    @kinds
    @pytest.mark.parametrize("target", ["SELECT 1", "LIKE '%</s>%'", "x = '<|im_end|>' AND y = '[SEP]'", ""])
    def test_a_target_has_one_end_and_is_whole(self, kind, target):
        tokenizer = loaded(kind)
        ids = encode_target(tokenizer, target)
        assert ids.count(tokenizer.eos_token_id) == 1
        assert ids[-1] == tokenizer.eos_token_id
        assert decode(tokenizer, ids).replace(" ", "") == target.replace(" ", "")


class TestPrompts:
    @pytest.mark.parametrize(
        ("kind", "prompt"),
        [
            (kind, prompt)
            for kind, prompt in itertools.product(tokenizer_kinds.ALL, PROMPTS)
            if kind not in tokenizer_kinds.SPECIAL_WORDS or not any(name in prompt for name in SPELLED)
        ],
    )
    def test_they_are_what_the_saved_tokenizer_makes_of_them(self, kind, prompt):
        theirs = saved_again(kind)(prompt)
        assert isinstance(theirs, BatchEncoding)
        ours = prompt_ids(loaded(kind), prompt)
        assert ours == (list(theirs["input_ids"]) or [loaded(kind).eos_token_id])

    @pytest.mark.parametrize(
        ("kind", "begins"),
        [
            ("trained", "<s>"),
            ("llama2", "<s>"),
            ("llama2_with_end", "<s>"),
            ("llama3", "<|im_start|>"),
            ("wordpiece", "[CLS]"),
            ("qwen", None),
            ("gpt2", None),
            ("unigram", None),
            ("slow", None),
        ],
    )
    def test_they_begin_as_the_tokenizer_s_own_rule_says(self, kind, begins):
        tokenizer = loaded(kind)
        prompt = prompt_ids(tokenizer, "table")
        start = prompt[: len(prompt) - len(text_ids(tokenizer, "table"))] if kind != "slow" else []
        assert tokenizer.convert_ids_to_tokens(start) == ([] if begins is None else [begins])

    @kinds
    def test_they_do_not_begin_twice(self, kind):
        tokenizer = loaded(kind)
        if tokenizer.bos_token_id is None or tokenizer.bos_token_id == tokenizer.eos_token_id:
            return
        prompt = prompt_ids(tokenizer, f"{tokenizer.bos_token} table")
        assert prompt.count(tokenizer.bos_token_id) == prompt_ids(tokenizer, "table").count(
            tokenizer.bos_token_id
        )

    @pytest.mark.parametrize("kind", ["llama2_with_end", "wordpiece"])
    def test_nothing_is_put_after_them(self, kind):
        made = tokenizer_kinds.ALL[kind]()
        assert made("table")["input_ids"][-1] == made.eos_token_id
        assert made.eos_token_id not in prompt_ids(loaded(kind), "table")
        assert made.eos_token_id not in saved_again(kind)("table")["input_ids"]

    def test_one_of_nothing_gives_the_model_something(self):
        assert prompt_ids(loaded("qwen"), "") == [loaded("qwen").eos_token_id]


class TestCutting:
    @kinds
    @settings(deadline=None, max_examples=15)
    @given(parts=ANY, limit=st.integers(3, 30))
    def test_a_prompt_has_as_many_tokens_as_the_limit_allows_and_keeps_its_ends(self, kind, parts, limit):
        tokenizer, prompt = loaded(kind), "begin " + "".join(parts) * 5 + " end"
        cut, ids = cut_prompt(tokenizer, prompt, limit)
        assert ids == prompt_ids(tokenizer, cut)
        assert count_prompt_tokens(tokenizer, cut) <= limit
        if cut != prompt:
            assert count_prompt_tokens(tokenizer, prompt) > limit
            back = len(cut) // 2
            assert prompt.startswith(cut[: len(cut) - back])
            assert prompt.endswith(cut[len(cut) - back :])

    @pytest.mark.parametrize("kind", ["trained", "qwen"])
    def test_little_room_is_left(self, kind):
        tokenizer = loaded(kind)
        _, ids = cut_prompt(tokenizer, "0123456789" * 30, 50)
        assert len(ids) in (49, 50)

    def test_cut_and_left_out_are_counted_and_what_spells_special_tokens(self):
        tokenizer = loaded("trained")
        texts = [Text("a", "</s>"), Text("0" * 99, "b"), Text("a", "0" * 99), Text("0" * 99, "0" * 99)]
        encoded = encode_for_training(texts, tokenizer, 20, 20)
        assert [example.index for example in encoded.examples] == [0, 1]
        assert (encoded.prompts_cut, encoded.targets_too_long, encoded.special_spelled) == (1, 2, 1)
        assert max(len(example.prompt) for example in encoded.examples) == 20


class TestPrivilegedPrompts:
    def test_they_are_made_of_the_prompt_as_it_was_cut_and_of_the_whole_target(self):
        tokenizer = loaded("trained")
        texts = [Text("table a", "</s> {prompt}"), Text("0" * 99, "b")]
        encoded = encode_for_training(texts, tokenizer, 20, 30, "In {prompt} see {target}.")
        cut, _ = cut_prompt(tokenizer, "0" * 99, 20)
        assert cut != "0" * 99
        expected = ["In table a see </s> {prompt}.", f"In {cut} see b."]
        assert [e.privileged for e in encoded.examples] == [prompt_ids(tokenizer, text) for text in expected]
        assert len(encoded.examples[1].privileged) > 20  # they are not cut themselves

    def test_none_are_made_that_nobody_asks_for(self):
        (example,) = encode_for_training([Text("a", "b")], loaded("trained"), 20, 20).examples
        assert example.privileged is None


def test_what_is_left_of_generated_ids_is_the_text():
    tokenizer = loaded("trained")
    spelled = text_ids(tokenizer, "LIKE '%</s>%'")
    assert decode(tokenizer, [*spelled, tokenizer.eos_token_id]) == "LIKE '%</s>%'"
    assert decode(tokenizer, spelled) == "LIKE '%</s>%'"
