"""Steps over tables: random batches, and the tokenizer that names the tables' vocabulary."""

from __future__ import annotations

import pytest
import torch

from kdzoo.testing import VOCABULARY, RandomBatch, make_tokenizer

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


class TestTokenizer:
    def test_its_words_are_in_the_order_given(self):
        tokenizer = make_tokenizer(["x", "y", "<e>"], eos_token="<e>")
        assert tokenizer.convert_tokens_to_ids(["x", "y", "<e>"]) == [0, 1, 2]
        assert tokenizer.eos_token_id == 2

    def test_unless_given_they_are_special_tokens_and_letters(self):
        tokenizer = make_tokenizer()
        assert len(tokenizer) == VOCABULARY
        assert (tokenizer.bos_token_id, tokenizer.eos_token_id) == (1, END)
