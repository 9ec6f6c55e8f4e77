"""The tables behave as language models do, by the definitions and plain loops."""

from __future__ import annotations

import math

import pytest
import torch

from kdzoo import Sequences, Source
from kdzoo.errors import RunError
from kdzoo.testing import VOCABULARY, ConditionedTable, RandomBatch, TableModel

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

    def test_its_layers_lead_from_the_last_token_to_the_logits(self):
        model = TableModel(0, trains=True)
        embeddings, middle, last = model.hidden_states(5, [3, 4])
        assert torch.equal(last, model.next_logits(5, [3, 4]))
        assert torch.equal(embeddings, model.hidden_states(6, [7, 7, 4])[0])
        assert not torch.equal(embeddings, model.hidden_states(5, [3, 5])[0])
        torch.testing.assert_close(middle, (embeddings + last) / 2)
        assert torch.equal(model.hidden_states(5, [])[0], model.table[5])


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

    def test_log_probabilities_are_those_of_the_labels(self, step):
        labels = step.target.rewritten((step.target.tokens + 1) % VOCABULARY, Source.TEACHER)
        found = step.student.log_probs(step.target, labels)
        assert found.dtype == torch.float32
        assert found.requires_grad
        for row, tokens in enumerate(rows_of(step.target)):
            for t, label in enumerate(rows_of(labels)[row]):
                expected = math.log(next_probabilities(step, row, tokens[:t])[label])
                assert found[row, t].item() == pytest.approx(expected, rel=1e-6)
            assert not found[row, len(tokens) :].any()

    def test_gradients_of_log_probabilities_are_those_of_cross_entropy(self, step):
        """Mean cross entropy is minus their mean over the tokens."""
        student = step.student
        of_mean = -student.log_probs(step.target).sum() / step.target.mask.sum()
        (ours,), (expected,) = (
            torch.autograd.grad(loss, student.model.table)
            for loss in (of_mean, student.cross_entropy(step.target))
        )
        torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-7)

    def test_labels_of_other_lengths_are_refused(self, step):
        fewer = Sequences.of([row[:-1] for row in rows_of(step.target)], Source.TEACHER)
        for ask in (step.student.log_probs, step.student.cross_entropy):
            with pytest.raises(RunError, match="labels must have the lengths"):
                ask(step.target, fewer)

    def test_hidden_states_are_those_of_the_chosen_layers_and_the_last_makes_the_logits(self, step):
        both = step.target.beside(step.target)
        embeddings, last = step.student.hidden(both, [0, -1])
        torch.testing.assert_close(last, step.student.logits(both))
        for row, tokens in enumerate(rows_of(both)):
            for t in range(len(tokens)):
                expected = step.student.model.hidden_states(step.student._prompts[row // 2], tokens[:t])[0]
                assert torch.equal(embeddings[row, t], expected)
            assert not embeddings[row, len(tokens) :].any()
        assert embeddings.requires_grad
        assert not step.teacher.hidden(both, [1])[0].requires_grad

    @pytest.mark.parametrize("layer", [3, -4])
    def test_a_layer_that_is_not_there_is_named(self, step, layer):
        with pytest.raises(RunError, match=f"no layer {layer}; the model has 0 to 2"):
            step.student.hidden(step.target, [layer])

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

    def test_per_token_gives_as_many_numbers_a_token_as_the_function(self, step):
        inputs = torch.rand(*step.target.tokens.shape, 2, dtype=torch.float64)
        found = step.student.per_token(
            step.target, lambda logits, given: logits.amax(-1)[:, None] * given, inputs=inputs
        )
        assert found.shape == inputs.shape
        for row, tokens in enumerate(rows_of(step.target)):
            for t in range(step.target.tokens.shape[1]):
                largest = step.student.model.next_logits(step.student._prompts[row], tokens[:t]).max().item()
                expected = largest * inputs[row, t] if t < len(tokens) else torch.zeros(2)
                assert found[row, t].tolist() == pytest.approx(expected.tolist())

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

    def test_a_prefix_is_continued_as_it_would_have_been(self):
        """Cut what was generated anywhere: the same numbers lead to the same tokens again."""
        batch = RandomBatch(seed=5)
        whole = rows_of(batch.step().student.generate())
        cut = [row[: i % (len(row) + 1)] for i, row in enumerate(whole)]
        assert {len(row) for row in cut} > {0}
        again = batch.step().student.generate(prefix=Sequences.of(cut, Source.TEACHER))
        assert rows_of(again) == whole

    def test_a_prefix_that_has_ended_or_is_full_is_the_result(self):
        step = RandomBatch(2).step()
        given = [[3, END, 4], [5] * 8]
        assert rows_of(step.student.generate(prefix=Sequences.of(given, Source.TEACHER))) == given

    def test_a_method_chooses_by_the_logits_of_both_models_and_numbers_of_the_token(self):
        batch = RandomBatch(3, seed=1)
        step, numbers = batch.step(), batch.step().generator.per_row(8 * 2)
        seen = []

        def choose(own, other, uniform):
            seen.append((own, other, uniform))
            return (own + other).argmax(-1)

        made = rows_of(step.student.generate(beside=step.teacher, choose=choose, draws=2))
        given = iter(seen)
        for row, tokens in enumerate(made):
            for t, token in enumerate(tokens):
                own, other, uniform = next(given)
                for logits, model in ((own, step.student), (other, step.teacher)):
                    assert torch.equal(logits[0], model.model.next_logits(model._prompts[row], tokens[:t]))
                    assert not logits.requires_grad
                assert torch.equal(uniform[0], numbers[row, 2 * t : 2 * t + 2])
                assert token == int((own + other)[0].argmax())
            assert len(tokens) == 8 or tokens.index(END) == len(tokens) - 1
        assert next(given, None) is None

    def test_what_cannot_be_asked_for_is_refused(self, step):
        with pytest.raises(RunError, match="beside and draws are for choose"):
            step.student.generate(beside=step.teacher)
        with pytest.raises(RunError, match="a model of the same step"):
            step.student.generate(beside=object(), choose=lambda own, other, uniform: own.argmax(-1))
        with pytest.raises(RunError, match="the id of a token"):
            step.student.generate(choose=lambda own, uniform: own.argmax())

    def test_the_source_may_be_given_by_its_earlier_name(self):
        batch = RandomBatch()
        given = ConditionedTable(
            batch.student, [0], batch.step([0]).generator, kind=Source.IMPERFECT, end=END, output_limit=2
        )
        assert given.generate().sources.tolist() == [Source.IMPERFECT]
