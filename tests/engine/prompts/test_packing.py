"""Sequences that are packed into one row see exactly what they would see alone."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from kdzoo.engine.prompts.packing import pack
from kdzoo.methods.sequences import Sequences, Source

# few tokens, so that sequences often begin alike
token = st.integers(1, 2)
sequence = st.lists(token, max_size=5)


@st.composite
def groups(draw):
    """Rows of prompts, each with several sequences; some batches have two sequences per prompt."""
    prompts = draw(st.integers(1, 3))
    batch = st.lists(sequence, min_size=prompts, max_size=prompts)
    last = draw(st.lists(st.integers(7, 9), min_size=prompts, max_size=prompts))
    members = []
    for pairs in draw(st.lists(st.booleans(), min_size=1, max_size=3)):
        one = Sequences.of(draw(batch), Source.GROUND_TRUTH)
        members.append(one.beside(Sequences.of(draw(batch), Source.STUDENT)) if pairs else one)
    return last, members


def seen_by(packing, row, column):
    """The tokens that a packed token attends to, itself included, in the order of their positions."""
    columns = packing.visible[row, column].nonzero().flatten().tolist()
    seen = sorted((int(packing.offsets[row, c]), int(packing.inputs[row, c])) for c in columns)
    assert [offset for offset, _ in seen] == list(range(len(seen)))
    return [token for _, token in seen]


@given(groups())
def test_each_token_is_predicted_after_what_stands_before_it(drawn):
    last, members = drawn
    packing = pack(torch.tensor(last), members)
    width = packing.inputs.shape[1]
    for sequences, sources in zip(members, packing.places, strict=True):
        assert sources.shape == sequences.tokens.shape
        for r, length in enumerate(sequences.lengths.tolist()):
            tokens = sequences.tokens[r, :length].tolist()
            prompt = r // sequences.per_prompt
            for t in range(length):
                row, column = divmod(int(sources[r, t]), width)
                assert row == prompt
                assert seen_by(packing, row, column) == [last[prompt], *tokens[:t]]


@given(groups())
def test_every_token_sees_itself_so_that_no_attention_is_empty(drawn):
    last, members = drawn
    packing = pack(torch.tensor(last), members)
    assert packing.visible.diagonal(dim1=1, dim2=2).all()


@given(groups())
def test_no_position_is_beyond_those_of_the_rows_own_sequences(drawn):
    last, members = drawn
    packing = pack(torch.tensor(last), members)
    assert packing.offsets.min() >= 0
    for row in range(len(last)):
        own = [s.lengths[row * s.per_prompt : (row + 1) * s.per_prompt] for s in members]
        assert packing.offsets[row].max() < max(1, int(torch.cat(own).max()))


def test_what_sequences_have_in_common_stands_once():
    last = torch.tensor([9])
    first = Sequences.of([[1, 2, 3, 4]], Source.IMPERFECT)
    other = Sequences.of([[1, 2, 5, 4]], Source.GROUND_TRUTH)
    packing = pack(last, [first, other])
    assert packing.inputs.tolist() == [[9, 1, 2, 3, 5]]
    assert packing.offsets.tolist() == [[0, 1, 2, 3, 3]]
    assert packing.places[1].tolist() == [[0, 1, 2, 4]]
    equal = pack(last, [first, first.rewritten(first.tokens, Source.GROUND_TRUTH)])
    assert equal.inputs.tolist() == [[9, 1, 2, 3]]
