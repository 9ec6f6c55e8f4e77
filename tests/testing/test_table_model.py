"""The tables behave as language models do, by the definitions and plain loops."""

from __future__ import annotations

import math

import pytest
import torch

from kdzoo import Sequences, Source
from kdzoo.testing import VOCABULARY, ConditionedTable, RandomBatch, TableModel, make_tokenizer

END = 2


@pytest.fixture
def step():
    return RandomBatch(seed=4, dtype=torch.float64).step()


def next_probabilities(step, row, prefix):
    """What the student says follows: a list of V numbers."""
    logits = step.student.model.next_logits(step.student._prompts[row], prefix).tolist()
    weights = [math.exp(logit) for logit in logits]
    return [weight / sum(weights) for weight in weights]


def rows_of(sequences):
    return [
        tokens[:length]
        for tokens, length in zip(sequences.tokens.tolist(), sequences.lengths.tolist(), strict=True)
    ]


class TestTableModel:
    def test_what_follows_depends_on_the_prompt_and_on_every_token_before(self):
        model = TableModel(0, trains=False)
        seen = {
            tuple(model.next_logits(*of).tolist())
            for of in [(1, []), (2, []), (1, [3]), (1, [4]), (1, [3, 3])]
        }
        assert len(seen) == 5
        assert model.next_logits(1, []).shape == (VOCABULARY,)

    def test_a_seed_gives_the_same_table_in_every_precision(self):
        fine, coarse = (
            TableModel(7, dtype=dtype, trains=True).table for dtype in (torch.float64, torch.float32)
        )
        assert torch.equal(fine.to(torch.float32), coarse)
        assert fine.requires_grad
        assert not TableModel(7, trains=False).table.requires_grad


class TestConditionedTable:
    def test_position_t_predicts_token_t_and_the_padding_is_zero(self, step):
        logits = step.student.logits(step.target)
        for row, tokens in enumerate(rows_of(step.target)):
            for t in range(len(tokens)):
                expected = next_probabilities(step, row, tokens[:t])
                assert logits[row, t].softmax(-1).tolist() == pytest.approx(expected, rel=1e-9)
            assert not logits[row, len(tokens) :].any()

    def test_several_sequences_of_a_prompt_follow_that_prompt(self, step):
        both = step.student.logits(step.target.beside(step.target))
        assert torch.equal(both[0::2], step.student.logits(step.target))
        assert torch.equal(both[0::2], both[1::2])

    def test_cross_entropy_is_the_mean_over_the_tokens(self, step):
        nll = [
            -math.log(next_probabilities(step, row, tokens[:t])[tokens[t]])
            for row, tokens in enumerate(rows_of(step.target))
            for t in range(len(tokens))
        ]
        assert step.student.cross_entropy(step.target).item() == pytest.approx(sum(nll) / len(nll), rel=1e-9)

    def test_cross_entropy_of_no_tokens_is_zero(self, step):
        nothing = Sequences.of([[] for _ in step.target.lengths], Source.STUDENT)
        assert step.student.cross_entropy(nothing).item() == 0

    def test_per_token_applies_the_function_where_it_is_asked_to(self, step):
        where = step.target.tokens % 2 == 0
        found = step.student.per_token(
            step.target,
            lambda logits, weight: weight * logits.amax(-1),
            inputs=torch.arange(step.target.tokens.numel()).reshape(step.target.tokens.shape).double(),
            where=where,
        )
        width = step.target.tokens.shape[1]
        for row, tokens in enumerate(rows_of(step.target)):
            for t in range(width):
                asked = t < len(tokens) and tokens[t] % 2 == 0
                logits = step.student.model.next_logits(step.student._prompts[row], tokens[:t])
                assert found[row, t].item() == pytest.approx(
                    (row * width + t) * logits.max().item() if asked else 0
                )
        assert not found.requires_grad

    def test_greedy_generation_takes_the_most_probable_token_until_the_end(self, step):
        for row, tokens in enumerate(rows_of(step.student.generate(temperature=0))):
            for t, token in enumerate(tokens):
                probabilities = next_probabilities(step, row, tokens[:t])
                assert token == probabilities.index(max(probabilities))
            assert len(tokens) == 8 or tokens.index(END) == len(tokens) - 1

    def test_samples_are_distributed_as_the_table_says(self):
        batch = RandomBatch(1, seed=2)
        count = 3000
        first = [rows_of(batch.step(step=n).student.generate())[0][0] for n in range(count)]
        expected = next_probabilities(batch.step(), 0, [])
        # the chance that a frequency lies five standard deviations off is below 1e-6
        for token, probability in enumerate(expected):
            deviation = math.sqrt(probability * (1 - probability) / count)
            assert abs(first.count(token) / count - probability) <= 5 * deviation + 1e-9

    def test_only_the_chosen_rows_are_continued_and_as_they_would_be_with_the_others(self):
        batch = RandomBatch(seed=5)
        chosen = torch.tensor([True, False, True, False, False])
        every, some = batch.step().student.generate(), batch.step().student.generate(rows=chosen)
        assert rows_of(some) == [
            row if take else [] for row, take in zip(rows_of(every), chosen, strict=True)
        ]
        assert set(some.sources.tolist()) == {Source.STUDENT}

    def test_the_source_may_be_given_by_its_earlier_name(self):
        batch = RandomBatch()
        given = ConditionedTable(
            batch.student, [0], batch.step([0]).generator, kind=Source.IMPERFECT, end=END, output_limit=2
        )
        assert given.generate().sources.tolist() == [Source.IMPERFECT]


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
