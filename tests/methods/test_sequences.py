"""Batches of ragged sequences: what is scored, and how batches are joined and chosen from."""

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kdzoo.errors import RunError
from kdzoo.methods.sequences import ScoredTokens, Sequences
from kdzoo.methods.source import Kind, Source

rows = st.lists(st.lists(st.integers(0, 99), max_size=6), min_size=1, max_size=5)


def unpadded(sequences):
    return [
        tokens[:length]
        for tokens, length in zip(sequences.tokens.tolist(), sequences.lengths.tolist(), strict=True)
    ]


@given(rows)
def test_rows_come_back_without_their_padding(given_rows):
    sequences = Sequences.of(given_rows, Source.TEACHER, pad=7)
    assert unpadded(sequences) == given_rows
    assert sequences.sources.tolist() == [Source.TEACHER] * len(given_rows)
    assert sequences.tokens.dtype == sequences.lengths.dtype == sequences.sources.dtype == torch.int64


def test_no_rows_and_empty_rows_are_batches_too():
    assert Sequences.of([], Source.STUDENT).tokens.shape == (0, 0)
    empty = Sequences.of([[], []], Source.STUDENT)
    assert empty.tokens.shape == (2, 0)
    assert len(empty.scored) == 0


@given(rows)
def test_all_tokens_of_all_rows_are_scored_in_order(given_rows):
    sequences = Sequences.of(given_rows, Source.STUDENT)
    assert sequences.scored.ids.tolist() == [token for row in given_rows for token in row]
    assert sequences.mask.sum(1).tolist() == [len(row) for row in given_rows]


def test_a_padding_id_within_a_sequence_is_scored():
    # padding and end of sequence often share an id; the length says where a sequence ends
    sequences = Sequences.of([[5, 0], [0, 0, 0], [4]], Source.GROUND_TRUTH, pad=0)
    assert sequences.scored.ids.tolist() == [5, 0, 0, 0, 0, 4]


def test_scored_tokens_know_the_kind_of_their_row_and_can_be_cut():
    sequences = Sequences(
        torch.tensor([[1, 2], [3, 0]]), torch.tensor([2, 1]), torch.tensor([Source.TEACHER, Source.STUDENT])
    )
    scored = sequences.scored
    assert scored.sources.tolist() == [Source.TEACHER, Source.TEACHER, Source.STUDENT]
    part = scored[1:3]
    assert isinstance(part, ScoredTokens)
    assert (part.ids.tolist(), part.sources.tolist(), len(part)) == (
        [2, 3],
        [Source.TEACHER, Source.STUDENT],
        2,
    )


class TestSources:
    MIXED = Sequences.of([[1, 2, 3], [4]], Source.TEACHER).beside(Sequences.of([[5, 6], []], Source.STUDENT))

    def test_the_tokens_of_each_are_counted(self):
        counts = self.MIXED.source_counts
        assert {source: counts[source].item() for source in Source} == {
            Source.GROUND_TRUTH: 0,
            Source.IMPERFECT: 0,
            Source.STUDENT: 2,
            Source.TEACHER: 4,
        }
        assert counts.dtype == torch.int64
        assert Sequences.of([], Source.STUDENT).source_counts.tolist() == [0] * len(Source)

    def test_a_token_knows_the_share_of_its_own(self):
        scored = self.MIXED.scored
        shares = [4 / 6 if source == Source.TEACHER else 2 / 6 for source in scored.sources]
        assert scored.source_shares.tolist() == pytest.approx(shares)
        assert scored.source_shares.dtype == torch.float32
        part = scored[3:5]
        assert part.source_shares.tolist() == pytest.approx(shares[3:5])

    def test_the_share_is_that_of_all_that_was_counted(self):
        elsewhere = Sequences.of([[7] * 6], Source.STUDENT).source_counts
        scored = dataclasses.replace(self.MIXED.scored, source_counts=self.MIXED.source_counts + elsewhere)
        assert sorted(set(scored.source_shares.tolist())) == pytest.approx([4 / 12, 8 / 12])

    def test_what_nobody_has_counted_is_not_known(self):
        scored = ScoredTokens(torch.tensor([1]), torch.tensor([Source.TEACHER]))
        with pytest.raises(RunError, match="keeps_target_lengths"):
            scored.source_shares  # noqa: B018


def test_rewriting_keeps_the_lengths_and_names_the_kind():
    y = Sequences.of([[1, 2, 3], [4]], Source.GROUND_TRUTH)
    rewritten = y.rewritten(y.tokens + 10, Source.IMPERFECT)
    assert unpadded(rewritten) == [[11, 12, 13], [14]]
    assert rewritten.sources.tolist() == [Source.IMPERFECT] * 2
    assert unpadded(y) == [[1, 2, 3], [4]]
    assert y.sources.tolist() == [Source.GROUND_TRUTH] * 2


@settings(max_examples=50)
@given(st.data())
def test_rows_are_chosen_from_one_batch_or_the_other_whatever_their_widths(data):
    first = data.draw(rows)
    second = data.draw(
        st.lists(st.lists(st.integers(0, 99), max_size=9), min_size=len(first), max_size=len(first))
    )
    chosen = data.draw(st.lists(st.booleans(), min_size=len(first), max_size=len(first)))
    mixed = Sequences.of(first, Source.STUDENT).where(
        torch.tensor(chosen), Sequences.of(second, Source.TEACHER)
    )
    expected = [a if take else b for a, b, take in zip(first, second, chosen, strict=True)]
    assert unpadded(mixed) == expected
    assert mixed.sources.tolist() == [Source.STUDENT if take else Source.TEACHER for take in chosen]


@settings(max_examples=50)
@given(st.data())
def test_batches_beside_each_other_keep_each_prompt_s_sequences_together(data):
    count = data.draw(st.integers(1, 4))
    batch = st.lists(st.lists(st.integers(0, 99), max_size=5), min_size=count, max_size=count)
    a, b, c = (data.draw(batch) for _ in range(3))
    both = Sequences.of(a, Source.TEACHER).beside(Sequences.of(b, Source.STUDENT))
    assert both.per_prompt == 2
    assert unpadded(both) == [row for pair in zip(a, b, strict=True) for row in pair]
    assert both.sources.tolist() == [Source.TEACHER, Source.STUDENT] * count
    three = both.beside(Sequences.of(c, Source.IMPERFECT))
    assert three.per_prompt == 3
    assert unpadded(three) == [row for triple in zip(a, b, c, strict=True) for row in triple]


class TestValues:
    """What a method attaches to tokens goes where they go. Here each token's value is ten times the token."""

    @staticmethod
    def tenfold(sequences):
        return sequences.with_values(
            tenfold=10 * sequences.tokens, both=sequences.tokens[..., None].expand(-1, -1, 2)
        )

    @staticmethod
    def holds(sequences):
        scored = sequences.scored
        at = sequences.tokens[scored.rows, scored.positions]
        return (
            torch.equal(at, scored.ids)
            and torch.equal(scored.values["tenfold"], 10 * scored.ids)
            and torch.equal(scored.values["both"], scored.ids[:, None].expand(-1, 2))
        )

    @settings(max_examples=50)
    @given(st.data())
    def test_they_stay_with_their_tokens(self, data):
        first = data.draw(rows)
        batch = st.lists(st.lists(st.integers(0, 99), max_size=9), min_size=len(first), max_size=len(first))
        a = self.tenfold(Sequences.of(first, Source.STUDENT))
        b = self.tenfold(Sequences.of(data.draw(batch), Source.TEACHER))
        chosen = torch.tensor(data.draw(st.lists(st.booleans(), min_size=len(first), max_size=len(first))))
        order = torch.tensor(data.draw(st.permutations(range(len(first)))), dtype=torch.long)
        both = a.beside(b)
        for made in (a, a.where(chosen, b), both, a.followed_by(b), both.of_prompts(order), a.detach()):
            assert self.holds(made)
        part = both.scored[1:3]
        assert torch.equal(part.values["tenfold"], 10 * part.ids)
        assert unpadded(both.of_prompts(order)) == [
            row for prompt in order.tolist() for row in (first[prompt], unpadded(b)[prompt])
        ]

    def test_other_tokens_have_none(self):
        y = self.tenfold(Sequences.of([[1, 2]], Source.GROUND_TRUTH))
        assert y.rewritten(y.tokens, Source.IMPERFECT).values == {}

    def test_one_of_another_shape_is_named(self):
        y = Sequences.of([[1, 2], [3]], Source.GROUND_TRUTH)
        with pytest.raises(ValueError, match=r"'w' are to be one for each token, \[2, 2\], not \[3\]"):
            y.with_values(w=torch.ones(3))

    @pytest.mark.parametrize("together", [Sequences.beside, Sequences.followed_by])
    def test_those_of_one_batch_alone_are_named(self, together):
        y = Sequences.of([[1, 2]], Source.GROUND_TRUTH)
        with pytest.raises(RunError, match="'both', 'tenfold' are attached to one batch"):
            together(y, self.tenfold(y))


def test_another_device_gets_all_of_it():
    moved = (
        Sequences.of([[1, 2], [3]], Source.STUDENT)
        .beside(Sequences.of([[4], []], Source.TEACHER))
        .with_values(x=torch.zeros(4, 2))
        .to("meta")
    )
    assert moved.values["x"].device.type == "meta"
    assert {moved.tokens.device.type, moved.lengths.device.type, moved.sources.device.type} == {"meta"}
    assert moved.per_prompt == 2


class TestEarlierNames:
    """What was written when a source was called a kind works on."""

    def test_sources_are_read_as_kinds(self):
        y = Sequences.of([[1, 2], [3]], Kind.STUDENT)
        assert y.kinds is y.sources
        scored = y.scored
        assert scored.kinds is scored.sources

    def test_sources_are_given_as_kinds(self):
        tokens, lengths, kinds = torch.tensor([[1, 2]]), torch.tensor([2]), torch.tensor([Kind.TEACHER])
        assert Sequences(tokens, lengths, kinds, 1).sources is kinds
        assert Sequences(tokens=tokens, lengths=lengths, kinds=kinds).sources is kinds
        assert ScoredTokens(ids=tokens[0], kinds=kinds).sources is kinds
        assert Sequences.of([[1]], kind=Kind.TEACHER).sources.tolist() == [Source.TEACHER]
        rewritten = Sequences.of([[1]], Kind.TEACHER).rewritten(tokens[:, :1], kind=Kind.IMPERFECT)
        assert rewritten.sources.tolist() == [Source.IMPERFECT]

    @pytest.mark.parametrize("name", ["kinds", "sources"])
    def test_either_is_replaced(self, name):
        y = Sequences.of([[1, 2], [3]], Source.STUDENT)
        changed = torch.tensor([Source.TEACHER, Source.IMPERFECT])
        replaced = dataclasses.replace(y, **{name: changed})
        assert replaced.sources is changed
        assert replaced.tokens is y.tokens
