"""How many prompts and targets the limits cut off is told in the run's own tokens, before anything is trained."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import chat_kinds
import pytest

from kdzoo.engine.models.tokenizers import load_tokenizer
from kdzoo.engine.prompts.chat import ChatTemplate
from kdzoo.recipe.problems import Problems
from kdzoo.runs.checks.lengths import check_lengths
from kdzoo.runs.prompts import Prompts
from kdzoo.tasks.example import Example, Splits

Check = Any  # of conftest.py

# every word is a token, and so is the end of sequence after a target and the beginning before a prompt
LENGTHS = [2, 3, 5]


def save_words(
    check: Check, split: str, *, prompts: list[int] = LENGTHS, targets: list[int] = LENGTHS
) -> None:
    check.save_data(
        split,
        [
            (" ".join(["from"] * (prompt - 1)), " ".join(["where"] * (target - 1)))
            for prompt, target in zip(prompts, targets, strict=True)
        ],
    )


def limits(inputs: int = 50, outputs: int = 50) -> str:
    return f"[training]\ninput_limit = {inputs}\noutput_limit = {outputs}\n"


class TestTrainingTargets:
    def test_that_are_all_too_long_are_refused(self, check: Check) -> None:
        save_words(check, "train", targets=[7, 9, 8])
        assert check.refused("kid", more=limits(outputs=6)) == (
            "./r.toml:11: training.output_limit: all 3 training targets are longer than 6 tokens, so that none is left to "
            "train on; the shortest has 7"
        )
        assert len(check("kid", more=limits(outputs=7))) == 1

    def test_that_are_in_part_too_long_are_counted(self, check: Check) -> None:
        save_words(check, "train")
        assert check("kid", more=limits(outputs=3)) == [
            "./r.toml:11: training.output_limit: 1 of 3 training targets are longer than 3 tokens and are left out; the "
            "longest has 5"
        ]
        assert check("kid", more=limits(outputs=5)) == []

    def test_are_told_once_for_all_stages_of_one_limit(self, check: Check) -> None:
        save_words(check, "train")
        assert len(check("teacher", "student", "kid", more=limits(outputs=3))) == 1

    def test_are_told_by_the_stage_whose_own_the_limit_is(self, check: Check) -> None:
        save_words(check, "train")
        stage = '[[stage]]\nkind = "distill"\nmethod = "kid"\n[stage.training]\noutput_limit = 2\n'
        (line,) = check(more=limits() + stage)
        assert line.startswith('./r.toml:16: stage "kid": training.output_limit: 2 of 3 training targets')

    def test_of_a_stage_that_is_finished_are_not_looked_at(self, check: Check) -> None:
        save_words(check, "train", targets=[7, 7, 7])
        more = limits(outputs=6)
        done = {"finetune": check.folder / "teacher", "sft": check.folder}
        (check.folder / "teacher/model").symlink_to(check.folder / "teacher")
        assert (
            check("teacher", "sft", "evaluate", more=more, finished={**done, "evaluate": check.folder}) == []
        )


class TestEvaluationTargets:
    def test_that_no_prediction_can_be_as_long_as_are_counted(self, check: Check) -> None:
        save_words(check, "evaluation")
        more = limits() + "[evaluation]\noutput_limit = 3\n"
        assert check("sft", "evaluate", more=more) == [
            "./r.toml:13: evaluation.output_limit: 1 of 3 evaluation targets are longer than 3 tokens, where predictions "
            "end; the longest has 5"
        ]

    def test_beyond_the_questions_that_are_asked_do_not_count(self, check: Check) -> None:
        save_words(check, "evaluation")
        more = limits() + "[evaluation]\noutput_limit = 3\nmax_examples = 2\n"
        assert check("sft", "evaluate", more=more) == []


class TestPrompts:
    @pytest.mark.parametrize(("split", "what"), [("train", "training"), ("evaluation", "evaluation")])
    def test_that_are_cut_are_counted(self, check: Check, split: str, what: str) -> None:
        save_words(check, split, prompts=[4, 20, 30])
        assert check("sft", "evaluate", more=limits(inputs=8)) == [
            f"./r.toml:10: training.input_limit: 2 of 3 {what} prompts are longer than 8 tokens and are cut in the middle"
        ]

    def test_that_are_left_out_are_counted_and_refused_if_all_are(self, check: Check) -> None:
        save_words(check, "train", prompts=[9, 20, 30])
        key = 'long_prompts = "leave_out"\n'
        assert check("sft", more=limits(inputs=10) + key) == [
            "./r.toml:10: training.input_limit: 2 of 3 training prompts are longer than 10 tokens and are left out; the "
            "longest has 29"
        ]
        save_words(check, "train", prompts=[12, 20, 30])
        assert check.refused("sft", more=limits(inputs=10) + key) == (
            "./r.toml:10: training.input_limit: all 3 training prompts are longer than 10 tokens, so that none is left to "
            "train on; the shortest has 11"
        )

    def test_that_lose_parts_of_their_schema_are_counted(self, check: Check) -> None:
        recipe = check.recipe("sft", more=limits(inputs=8))
        shortens = Example("1", "from " * 9, "where", shorten=lambda fits, training: "from")
        splits = Splits([shortens, replace(shortens, prompt="from")], [], sql_rule="spider")
        problems, notices = Problems.of(recipe), Problems.of(recipe)
        tokenizer = load_tokenizer(str(check.folder / "student"))
        prompts = Prompts(tokenizer, None)
        check_lengths(recipe, recipe.stages, lambda data: splits, prompts, problems, notices)
        (line,) = notices.texts
        assert line.endswith("1 of 2 training prompts are longer than 8 tokens and are shortened")
        assert problems.texts == []


def test_a_chat_template_and_what_was_said_earlier_count(check: Check) -> None:
    recipe = check.recipe("sft", more=limits(inputs=40) + '[prompt]\ntemplate = "chat"\n')
    tokenizer = chat_kinds.loaded("qwen25")
    chat = ChatTemplate(tokenizer)
    room = 40 - len(chat.prompt_ids(""))
    examples = [
        Example("fits", "0" * room, "1"),
        Example("longer", "0" * (room + 1), "1"),
        Example("said", "0", "1", earlier=(("user", "0" * room), ("assistant", "1"))),
    ]
    problems, notices = Problems.of(recipe), Problems.of(recipe)
    check_lengths(
        recipe, recipe.stages, lambda data: Splits(examples, []), Prompts(tokenizer, chat), problems, notices
    )
    assert problems.texts == []
    (line,) = notices.texts
    assert "2 of 3 training prompts are longer than 40 tokens" in line


def test_a_trained_tokenizer_is_asked_without_being_written(check: Check) -> None:
    sizes = "hidden_size = 16, intermediate_size = 32, num_hidden_layers = 1, num_attention_heads = 2"
    head = check.text.split("[teacher]")[0]
    check.text = head + (
        f'[tokenizer]\ntrain = {{ vocab_size = 300 }}\n[student]\nfrom_scratch = {{ architecture = "llama", {sizes} }}\n'
    )
    # two hundred different bytes share no token
    check.save_data("train", [("a", "".join(map(chr, range(0x4E00, 0x4E64))))])
    message = check.refused("sft", more=limits(outputs=20))
    assert message.startswith(
        "./r.toml:11: training.output_limit: all 1 training targets are longer than 20 tokens"
    )


def test_a_chat_template_that_leaves_no_room_for_a_prompt_is_refused(check: Check) -> None:
    tokenizer = chat_kinds.loaded("qwen25")
    chat = ChatTemplate(tokenizer)
    taken = len(chat.prompt_ids(""))

    def told(limit: int) -> list[str]:
        recipe = check.recipe("sft", more=limits(inputs=limit) + '[prompt]\ntemplate = "chat"\n')
        problems, notices = Problems.of(recipe), Problems.of(recipe)
        data = Splits([Example("1", "0", "1")], [])
        check_lengths(recipe, recipe.stages, lambda _: data, Prompts(tokenizer, chat), problems, notices)
        return problems.texts

    assert told(taken + 1) == []
    (line,) = told(taken)
    assert (
        f"training.input_limit: the chat template alone, its system message included, takes {taken} tokens"
        in line
    )
