"""KID: which tokens are masked, by what, which logits predict them, and what is written where."""

import math
from fractions import Fraction

import kdzoo_kid
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from kdzoo import divergences
from kdzoo.errors import UserError
from kdzoo.methods.sequences import Sequences
from kdzoo.methods.source import Source
from kdzoo.testing import VOCABULARY, TableModel, TableStep, check_method, make_tokenizer

MASK, END = 1, 2  # <s> and </s> of the tests' tokenizer


class Numbers:
    """A random source that gives numbers chosen by the test."""

    def __init__(self, *draws):
        self._draws = [torch.tensor(draw) for draw in draws]

    def per_row(self, count):
        return self._draws.pop(0)[:, :count]


class Successor(TableModel):
    """A model that is sure that the next token is the last one plus 1, and of token 9 after the prompt."""

    def __init__(self):
        super().__init__(0, trains=True)

    def next_logits(self, prompt, prefix):
        sure = prefix[-1] + 1 if prefix else 9
        return torch.where(torch.arange(VOCABULARY) == sure, 20.0, 0.0)


def chosen_positions(step, **options):
    """The masked positions of every row."""
    marked = kdzoo_kid.choose_tokens(step, kdzoo_kid.KIDOptions(**options))
    return [row.nonzero().flatten().tolist() for row in marked]


def step_of(lengths, **settings):
    """A step whose targets have that many tokens before the end of sequence, none of which is special."""
    return TableStep(
        [[3 + i % 9 for i in range(length)] for length in lengths],
        student=TableModel(1, trains=True),
        teacher=TableModel(2, trains=False),
        tokenizer=make_tokenizer(),
        **settings,
    )


@pytest.mark.parametrize("rewrite", ["predict", "mask_only", "none"])
@pytest.mark.parametrize("strategy", ["random", "uniform", "hard", "easy"])
def test_it_keeps_the_rules(strategy, rewrite):
    check_method("kid", {"strategy": strategy, "rewrite": rewrite})


@pytest.mark.parametrize(
    "options",
    [{"sample": True}, {"mask_eos": True, "alpha": 1}, {"mle_context": "imperfect"}, {"mask_token": "a"}],
)
def test_it_keeps_the_rules_with_its_other_options(options):
    check_method("kid", options)


class TestByHand:
    """Targets 3 4 5 6 7 and 8 3 with their ends; each row's smallest numbers choose what is masked."""

    def step(self, make_step, *draws):
        step = make_step([[3, 4, 5, 6, 7], [8, 3]], student=Successor())
        step.generator = Numbers(*draws)
        return step

    # alpha 0.4: two of the first row's five tokens, one of the second row's two
    first_and_last = ((0.1, 0.5, 0.9, 0.6, 0.2, 0.0), (0.9, 0.1, 0.0, 0.0, 0.0, 0.0))
    neighbours = ((0.9, 0.1, 0.2, 0.6, 0.5, 0.0), (0.2, 0.8, 0.0, 0.0, 0.0, 0.0))

    def test_masks(self, hooks, make_step):
        kid = hooks("kid", alpha=0.4, rewrite="mask_only")
        assert kid.rows(self.step(make_step, self.first_and_last)) == [
            [MASK, 4, 5, 6, MASK, END],
            [8, MASK, END],
        ]
        assert kid.rows(self.step(make_step, self.neighbours)) == [[3, MASK, MASK, 6, 7, END], [MASK, 3, END]]

    def test_a_token_is_predicted_by_the_logits_before_it(self, hooks, make_step):
        # first row: 9 after the prompt, and 7 after 6; second row: 9 after 8
        kid = hooks("kid", alpha=0.4)
        assert kid.rows(self.step(make_step, self.first_and_last)) == [[9, 4, 5, 6, 7, END], [8, 9, END]]

    def test_all_are_predicted_in_one_pass_over_the_masked_sequence(self, hooks, make_step):
        # the second of two masks is predicted after the first mask (token 1, so 2), not after its prediction
        kid = hooks("kid", alpha=0.4)
        assert kid.rows(self.step(make_step, self.neighbours)) == [[3, 4, 2, 6, 7, END], [9, 3, END]]

    def test_the_sequences_are_imperfect_ones_and_as_long_as_the_target(self, hooks, make_step):
        for rewrite in ("predict", "mask_only"):
            step = self.step(make_step, self.neighbours)
            sequences = hooks("kid", alpha=0.4, rewrite=rewrite).sequences(step)
            assert sequences.sources.tolist() == [Source.IMPERFECT] * 2
            assert torch.equal(sequences.lengths, step.target.lengths)

    def test_without_rewriting_it_is_the_ground_truth(self, hooks, make_step):
        step = self.step(make_step)
        assert hooks("kid", rewrite="none").sequences(step) is step.target

    def test_a_sampled_prediction_lies_where_its_number_falls_in_the_distribution(self, hooks, make_step):
        step = make_step([[3, 4, 5, 6, 7]])
        order, numbers = [[0.1, 0.9, 0.8, 0.7, 0.2, 0.0]], [[0.35, 0.0, 0.0, 0.0, 0.999, 0.0]]
        step.generator = Numbers(order, numbers)
        (row,) = hooks("kid", alpha=0.4, sample=True).rows(step)
        assert row[1:4] == [4, 5, 6]
        for position, number in ((0, 0.35), (4, 0.999)):
            masked = [MASK, 4, 5, 6, MASK]
            probabilities = step.student.model.next_logits(0, masked[:position]).detach().softmax(-1).tolist()
            below = sum(probabilities[: row[position]])
            assert below <= number < below + probabilities[row[position]] + 1e-6


class TestHowMany:
    @pytest.mark.parametrize(
        ("alpha", "length", "count"),
        [
            (0.2, 1, 1),
            (0.2, 7, 1),
            (0.2, 8, 2),
            (0.2, 12, 2),
            (0.2, 13, 3),
            (0.5, 3, 2),
            (0.5, 5, 3),
            (1, 6, 6),
        ],
    )
    def test_it_is_alpha_of_the_row_rounded_with_halves_up(self, alpha, length, count):
        for strategy in ("random", "uniform", "hard", "easy"):
            (positions,) = chosen_positions(step_of([length]), alpha=alpha, strategy=strategy)
            assert len(positions) == count

    @settings(max_examples=60, deadline=None)
    @given(
        lengths=st.lists(st.integers(0, 30), min_size=1, max_size=4),
        sixteenths=st.integers(1, 16),  # exact in binary, so that halves are halves
        strategy=st.sampled_from(["random", "uniform", "hard", "easy"]),
        seed=st.integers(0, 10**6),
    )
    def test_it_is_so_in_every_row_of_every_batch(self, lengths, sixteenths, strategy, seed):
        alpha = Fraction(sixteenths, 16)
        positions = chosen_positions(step_of(lengths, seed=seed), alpha=float(alpha), strategy=strategy)
        for length, chosen in zip(lengths, positions, strict=True):
            assert len(chosen) == min(length, max(1, math.floor(alpha * length + Fraction(1, 2))))
            assert all(position < length for position in chosen)

    def test_a_target_of_nothing_but_its_end_stays_as_it_is(self, hooks, make_step):
        for options in ({}, {"sample": True}, {"rewrite": "mask_only"}, {"strategy": "hard"}):
            assert hooks("kid", **options).rows(make_step([[]])) == [[END]]
            assert hooks("kid", **options).rows(make_step([[], []])) == [[END], [END]]

    @pytest.mark.parametrize("alpha", [0, -0.1, 1.1, float("nan")])
    def test_alpha_is_a_fraction_above_0(self, hooks, alpha):
        with pytest.raises(ValidationError):
            hooks("kid", alpha=alpha)


class TestEndOfSequence:
    def test_it_is_masked_only_when_that_is_wanted(self):
        assert chosen_positions(step_of([3, 1]), alpha=1) == [[0, 1, 2], [0]]
        assert chosen_positions(step_of([3, 1, 0]), alpha=1, mask_eos=True) == [[0, 1, 2, 3], [0, 1], [0]]

    def test_every_token_that_ends_a_sequence_is_an_end(self):
        step = step_of([3, 1])
        step.end_ids = (step.tokenizer.eos_token_id + 100, 3)
        step.target = Sequences.of([[4, 5, 3], [3, 4]], Source.GROUND_TRUTH)
        assert chosen_positions(step, alpha=1) == [[0, 1], [0, 1]]

    def test_a_target_that_was_cut_has_none_to_spare(self):
        step = step_of([1, 1])
        step.target = Sequences.of([[3, 4, 5], [6, END]], Source.GROUND_TRUTH)
        assert chosen_positions(step, alpha=1) == [[0, 1, 2], [0]]

    def test_only_the_last_token_counts_as_one(self):
        # where a tokenizer's end of sequence is also an ordinary separator
        step = step_of([1])
        step.target = Sequences.of([[3, END, 5, END]], Source.GROUND_TRUTH)
        assert chosen_positions(step, alpha=1) == [[0, 1, 2]]


class TestWhichTokens:
    def test_random_ones_are_equally_likely(self):
        counts = [0] * 10
        for number in range(400):
            for position in chosen_positions(step_of([10], step=number))[0]:
                counts[position] += 1
        # 400 draws of 2 in 10: 80 each, and five standard deviations
        assert sum(counts) == 800
        assert max(abs(count - 80) for count in counts) < 5 * math.sqrt(400 * 0.2 * 0.8)

    @settings(max_examples=60, deadline=None)
    @given(
        length=st.integers(1, 40),
        percent=st.integers(1, 100),
        phase=st.floats(0, 1, exclude_max=True, width=32),
    )
    def test_uniform_ones_are_equally_spaced_from_a_random_phase(self, length, percent, phase):
        step = step_of([length])
        step.generator = Numbers([[phase]])
        (positions,) = chosen_positions(step, alpha=percent / 100, strategy="uniform")
        count = len(positions)
        exact = Fraction(phase)
        assert positions == [math.floor((k + exact) * length / count) for k in range(count)]

    def test_uniform_ones_reach_every_position(self):
        reached = {chosen_positions(step_of([5], step=n), strategy="uniform")[0][0] for n in range(60)}
        assert reached == {0, 1, 2, 3, 4}

    @pytest.mark.parametrize(("strategy", "highest"), [("hard", True), ("easy", False)])
    def test_hard_ones_have_the_highest_entropy_given_the_true_tokens_before(self, strategy, highest):
        step = step_of([9, 4])
        for row, chosen in enumerate(chosen_positions(step, alpha=0.3, strategy=strategy)):
            y = step.target.tokens[row].tolist()
            entropies = []
            for position in range([9, 4][row]):
                q = step.student.model.next_logits(row, y[:position]).detach().double().softmax(-1)
                entropies.append(float(-(q * q.log()).sum()))
            order = sorted(range(len(entropies)), key=lambda t: entropies[t], reverse=highest)
            assert set(chosen) == set(order[: len(chosen)])

    def test_another_step_masks_other_tokens(self):
        drawn = {tuple(chosen_positions(step_of([20], step=number))[0]) for number in range(5)}
        assert len(drawn) == 5

    def test_an_unknown_strategy_is_an_error(self, hooks):
        with pytest.raises(ValidationError, match="strategy"):
            hooks("kid", strategy="hardest")


class TestMaskToken:
    LLAMA = make_tokenizer(
        ["<unk>", "<s>", "</s>", "a"], unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    )
    CODEGEN = make_tokenizer(
        ["a", "b", "<|endoftext|>"], bos_token="<|endoftext|>", eos_token="<|endoftext|>"
    )
    QWEN = make_tokenizer(["a", "b", "<|endoftext|>"], eos_token="<|endoftext|>")
    OTHER = make_tokenizer(["a", "[BOS]", "[EOS]", "<s>"], bos_token="[BOS]", eos_token="[EOS]")
    NO_S = make_tokenizer(
        ["[UNK]", "[EOS]", "[BOS]"], unk_token="[UNK]", bos_token="[BOS]", eos_token="[EOS]"
    )

    def mask_token(self, make_step, tokenizer, name=None):
        step = make_step([[0]], tokenizer=tokenizer)
        return kdzoo_kid.mask_token_id(step, kdzoo_kid.KIDOptions(mask_token=name))

    def test_it_is_s_where_the_vocabulary_has_it(self, make_step):
        assert self.mask_token(make_step, self.LLAMA) == 1
        assert self.mask_token(make_step, self.OTHER) == 3

    def test_else_the_beginning_of_sequence(self, make_step):
        assert self.mask_token(make_step, self.NO_S) == 2
        assert self.mask_token(make_step, self.CODEGEN) == 2

    def test_else_the_end_of_text(self, make_step):
        assert self.mask_token(make_step, self.QWEN) == 2

    @pytest.mark.parametrize(("name", "token"), [("a", 3), ("<unk>", 0), ("</s>", 2)])
    def test_or_any_token_by_name(self, make_step, name, token):
        assert self.mask_token(make_step, self.LLAMA, name) == token

    @pytest.mark.parametrize("tokenizer", [LLAMA, QWEN], ids=["with unk", "without"])
    def test_a_name_that_the_vocabulary_lacks_is_the_user_s_mistake(self, make_step, tokenizer):
        with pytest.raises(UserError, match=r"mask_token.*'<mask>'"):
            self.mask_token(make_step, tokenizer, "<mask>")

    def test_a_name_given_is_never_replaced_by_a_default(self, make_step):
        with pytest.raises(UserError, match="'<s>'"):
            self.mask_token(make_step, self.QWEN, "<s>")


class TestLosses:
    TARGETS = ([3, 4, 5, 6, 7], [8, 3], [])

    def test_the_divergence_is_the_reverse_kl_with_its_weight(self, hooks, logits):
        assert torch.equal(hooks("kid").divergence(*logits), divergences.reverse_kl(*logits))
        weighted = hooks("kid", kd_weight=0.3).divergence(*logits)
        torch.testing.assert_close(weighted, 0.3 * divergences.reverse_kl(*logits))

    @pytest.mark.parametrize("context", ["clean", "imperfect"])
    def test_mle_has_the_true_labels_after_the_chosen_context(self, hooks, make_step, mean_nll, context):
        kid = hooks("kid", alpha=0.6, mle_context=context, mle_weight=2)
        step = make_step(self.TARGETS)
        imperfect = kid.rows(step)
        y = [[*row, END] for row in self.TARGETS]
        assert imperfect != y
        expected = 2 * mean_nll(step, y if context == "clean" else imperfect, y)
        assert kid.aux_loss(step).item() == pytest.approx(expected, rel=1e-5)

    def test_without_rewriting_it_is_rkd(self, hooks, make_step, logits):
        kid, rkd = hooks("kid", rewrite="none"), hooks("rkd")
        step = make_step(self.TARGETS)
        assert kid.sequences(step) is rkd.sequences(step)
        assert torch.equal(kid.divergence(*logits), rkd.divergence(*logits))
        assert torch.equal(kid.aux_loss(step), rkd.aux_loss(step))


@pytest.mark.parametrize(("context", "together"), [("clean", True), ("imperfect", False)])
def test_the_ground_truth_is_announced_where_it_is_scored_too(hooks, context, together):
    assert hooks("kid", mle_context=context).options.scores_target is together
