"""What several processes do together is divided into neighbours, of which each has as many as any other or one more."""

from hypothesis import given
from hypothesis import strategies as st

from kdzoo.engine.prompts.shares import share_of


@given(st.lists(st.integers(), max_size=40), st.integers(1, 9))
def test_the_shares_in_turn_are_the_whole(items, processes):
    shares = [share_of(items, process, processes) for process in range(processes)]
    assert [item for share in shares for item in share] == items


@given(st.integers(0, 40), st.integers(1, 9))
def test_no_process_has_much_more_than_another(count, processes):
    sizes = [len(share_of(range(count), process, processes)) for process in range(processes)]
    assert max(sizes) - min(sizes) <= 1


def test_the_first_have_one_more():
    assert [share_of("abcdefgh", process, 3) for process in range(3)] == [
        list("abc"),
        list("def"),
        list("gh"),
    ]
