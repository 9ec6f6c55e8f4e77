"""Prompts are grouped by what they share, and nothing of them is lost."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kdzoo.engine.prompts.prefix_groups import group_by_sizes, group_prefixes, order_by_prefix


def rebuilt(groups):
    """Put every prompt together again from the pieces of its groups."""
    prompts, row = [], 0
    for group, size in enumerate(groups.sizes):
        beginning = groups.beginning[group, : groups.beginning_lengths[group]].tolist()
        for _ in range(size):
            rest = groups.rest[row, : groups.rest_lengths[row]].tolist()
            prompts.append([*beginning, *rest, int(groups.last[row])])
            row += 1
    return prompts


token = st.integers(1, 3)
shared = st.lists(token, min_size=0, max_size=40)


@st.composite
def batches(draw):
    beginnings = draw(st.lists(shared, min_size=1, max_size=3))
    return draw(
        st.lists(
            st.builds(
                lambda beginning, own, last: [*beginning, *own, last],
                st.sampled_from(beginnings),
                st.lists(token, max_size=6),
                token,
            ),
            min_size=1,
            max_size=9,
        )
    )


@given(batches(), st.booleans())
def test_the_pieces_make_up_the_prompts(prompts, share):
    prompts = [prompts[i] for i in order_by_prefix(prompts)]
    assert rebuilt(group_prefixes(prompts, share_beginnings=share)) == prompts


@given(batches())
def test_sharing_never_computes_more_tokens(prompts):
    prompts = [prompts[i] for i in order_by_prefix(prompts)]
    groups = group_prefixes(prompts, share_beginnings=True)
    computed = int(groups.beginning_lengths.sum() + groups.rest_lengths.sum())
    assert computed <= sum(len(prompt) - 1 for prompt in prompts)


def test_prompts_with_a_common_beginning_form_one_group():
    beginning = list(range(20))
    prompts = [[*beginning, 100], [*beginning, 101, 102], [*beginning, 101, 103, 104], [7] * 20]
    groups = group_prefixes(prompts, share_beginnings=True)
    assert groups.sizes == (3, 1)
    assert groups.beginning_lengths.tolist() == [20, 19]
    assert groups.rest_lengths.tolist() == [0, 1, 2, 0]


def test_a_short_common_beginning_is_not_worth_a_group():
    prompts = [[1, 2, 3, *range(10, 60)], [1, 2, 3, *range(60, 110)]]
    assert group_prefixes(prompts, share_beginnings=True).sizes == (1, 1)


def test_groups_that_are_asked_for_are_made_whatever_they_share():
    prompts = [[1, 2, 3], [1, 2, 4, 5], [6]]
    groups = group_by_sizes(prompts, (2, 1))
    assert rebuilt(groups) == prompts
    assert (groups.sizes, groups.width) == ((2, 1), 2 + 1)
    assert groups.beginning_lengths.tolist() == [2, 0]


def test_an_empty_prompt_is_refused():
    with pytest.raises(ValueError, match="at least one token"):
        group_prefixes([[1], []], share_beginnings=False)


def test_rows_of_groups_get_their_groups_values_and_gradients_sum_back():
    groups = group_prefixes(
        [[*range(20), i] for i in range(2)] + [[*range(5, 30), i] for i in range(3)], share_beginnings=True
    )
    assert groups.sizes == (2, 3)
    grouped = torch.tensor([[1.0], [2.0]], requires_grad=True)
    rows = groups.per_row(grouped)
    assert rows.flatten().tolist() == [1, 1, 2, 2, 2]
    rows.sum().backward()
    assert grouped.grad.flatten().tolist() == [2, 3]


def test_prompts_that_share_nothing_can_be_given_rests_of_padding():
    groups = group_prefixes([[1, 2, 3], [4, 5]], share_beginnings=True)
    assert groups.rest.shape == (2, 0)
    padded = groups.with_rests()
    assert padded.rest.shape == (2, 1)
    assert padded.rest_lengths.tolist() == [0, 0]
    assert torch.equal(padded.lengths, groups.lengths)
    assert padded.with_rests() is padded
