"""Steps over tables: random batches, and the tokenizer that names the tables' vocabulary."""

from __future__ import annotations

import pytest
import torch

from kdzoo import Options, Source
from kdzoo.errors import RunError
from kdzoo.testing import VOCABULARY, RandomBatch, make_tokenizer
from kdzoo.testing.table_model import privileged_prompt

END = 2


def rows_of(sequences):
    return [
        tokens[:length]
        for tokens, length in zip(sequences.tokens.tolist(), sequences.lengths.tolist(), strict=True)
    ]


class TestRandomBatch:
    def test_rows_are_the_same_whatever_rows_stand_beside_them(self):
        batch = RandomBatch(seed=9)
        whole, part = batch.step(), batch.step([3, 1])
        assert rows_of(part.target) == [rows_of(whole.target)[row] for row in (3, 1)]
        assert rows_of(part.teacher_target) == [rows_of(whole.teacher_target)[row] for row in (3, 1)]
        assert torch.equal(part.generator.per_row(4), whole.generator.per_row(4)[[3, 1]])

    def test_targets_are_ragged_and_end_and_one_is_nothing_else(self):
        for seed in range(5):
            rows = rows_of(RandomBatch(seed=seed).step().target)
            assert rows[-1] == [END]
            assert len({len(row) for row in rows}) > 1
            assert all(row[-1] == END and END not in row[:-1] for row in rows)

    def test_what_is_not_there_yet_says_so(self):
        step = RandomBatch().step(with_teacher_target=False)
        with pytest.raises(AssertionError, match="not there before it is made"):
            step.training_sequence  # noqa: B018
        with pytest.raises(AssertionError, match="needs_teacher_target"):
            step.teacher_target  # noqa: B018


class Asking(Options):
    """Options that ask for all that a step may have."""

    teacher: str = "teacher"
    privileged: bool = False
    teacher_names = property(lambda self: ("wide",))
    average_decay = property(lambda self: 0.9)
    privileged_prompt = property(lambda self: "{prompt} {target}")
    teacher_model = property(lambda self: self.teacher)
    teacher_is_privileged = property(lambda self: self.privileged)


class TestModels:
    def test_they_are_known_by_name_and_each_call_gives_the_same(self):
        batch = RandomBatch()
        step = batch.step(options=Asking())
        assert step.model("student") is step.student
        assert step.model("teacher") is step.teacher
        for name in ("base", "average", "wide"):
            assert step.model(name) is step.model(name)
            assert torch.equal(step.model(name).model.table, batch.other(name).table)
        tables = {name: step.model(name).model.table.tolist() for name in step.names_beside_the_student}
        assert list(tables) == ["teacher", "base", "average", "wide"]
        assert len({str(table) for table in tables.values()}) == 4

    @pytest.mark.parametrize("name", ["student", "base", "wide"])
    def test_the_options_say_which_of_them_teaches_without_gradients(self, name):
        step = RandomBatch().step(options=Asking(teacher=name, privileged=True))
        own = step.model(name, privileged=True)
        logits = step.teacher.logits(step.target)
        assert not logits.requires_grad
        assert torch.equal(logits, own.logits(step.target))
        assert own.logits(step.target).requires_grad is (name == "student")
        assert set(step.teacher.generate().sources.tolist()) == {Source.TEACHER}

    def test_a_privileged_prompt_depends_on_the_example_s_prompt_and_target(self):
        one, other = privileged_prompt(4, [3, 5]), privileged_prompt(4, [5, 3])
        assert len({one, other, privileged_prompt(5, [3, 5]), privileged_prompt(4, [])}) == 4
        batch = RandomBatch()
        step = batch.step([2, 0], options=Asking())
        expected = batch.student.next_logits(privileged_prompt(batch.examples[2], batch.targets[2]), [])
        assert torch.equal(step.model("student", privileged=True).logits(step.target)[0, 0], expected)

    def test_what_the_options_do_not_ask_for_is_not_there(self):
        step = RandomBatch().step()
        for name, words in (("average", r"Options\.average_decay"), ("wide", r"Options\.teacher_names")):
            with pytest.raises(RunError, match=words):
                step.model(name)
        with pytest.raises(AssertionError, match=r"Options\.privileged_prompt"):
            step.model("base", privileged=True)


class TestTokenizer:
    def test_its_words_are_in_the_order_given(self):
        tokenizer = make_tokenizer(["x", "y", "<e>"], eos_token="<e>")
        assert tokenizer.convert_tokens_to_ids(["x", "y", "<e>"]) == [0, 1, 2]
        assert tokenizer.eos_token_id == 2

    def test_unless_given_they_are_special_tokens_and_letters(self):
        tokenizer = make_tokenizer()
        assert len(tokenizer) == VOCABULARY
        assert (tokenizer.bos_token_id, tokenizer.eos_token_id) == (1, END)
