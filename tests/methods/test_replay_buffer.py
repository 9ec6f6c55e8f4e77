"""A replay buffer keeps each prompt's last sequence, up to its capacity, and is saved and read as it was."""

import io

import pytest
import torch

from kdzoo import ReplayBuffer, Sequences, Source


def rows_of(sequences):
    return [row[:n] for row, n in zip(sequences.tokens.tolist(), sequences.lengths.tolist(), strict=True)]


def filled(capacity, *puts):
    buffer = ReplayBuffer(capacity)
    for examples, rows in puts:
        buffer.put(examples, Sequences.of(rows, Source.STUDENT))
    return buffer


def test_what_was_put_for_a_prompt_is_got_for_it():
    buffer = filled(10, ([7, 3], [[5, 6, 2], [4]]))
    assert buffer.has([3, 5, 7]).tolist() == [True, False, True]
    found = buffer.get([3, 5, 7])
    assert rows_of(found) == [[4], [], [5, 6, 2]]
    assert found.sources.tolist() == [Source.STUDENT] * 3
    assert found.tokens.dtype == torch.int64


def test_the_last_of_a_prompt_s_sequences_counts():
    buffer = filled(10, ([1, 2], [[5], [6]]), ([2], [[7, 8]]))
    assert (rows_of(buffer.get([1, 2])), len(buffer)) == ([[5], [7, 8]], 2)


def test_only_chosen_rows_are_put():
    buffer = ReplayBuffer(10)
    buffer.put([1, 2], Sequences.of([[5], [6]], Source.STUDENT), where=torch.tensor([False, True]))
    assert buffer.has([1, 2]).tolist() == [False, True]


def test_beyond_its_capacity_those_put_longest_ago_go():
    buffer = filled(3, ([1, 2, 3], [[5], [6], [7]]), ([1], [[8]]), ([4], [[9]]))
    assert buffer.has([1, 2, 3, 4]).tolist() == [True, False, True, True]
    buffer.put([5, 6], Sequences.of([[1], [1]], Source.STUDENT))
    assert buffer.has([1, 3, 4, 5, 6]).tolist() == [False, False, True, True, True]


def test_it_keeps_its_own_copy():
    sequences = Sequences.of([[5, 6]], Source.STUDENT)
    buffer = ReplayBuffer(1)
    buffer.put([1], sequences)
    sequences.tokens.zero_()
    assert rows_of(buffer.get([1])) == [[5, 6]]


class TestSaved:
    puts = ([9, 4, 6], [[5, 6, 2], [150_000], [7] * 100]), ([4], [[3, 2]])

    def test_it_goes_on_as_it_was(self):
        buffer, file = filled(3, *self.puts), io.BytesIO()
        torch.save(buffer.state_dict(), file)
        file.seek(0)
        other = filled(3, ([1], [[1]]))
        other.load_state_dict(torch.load(file, weights_only=True))
        assert rows_of(other.get([1, 9, 4, 6])) == [[], [5, 6, 2], [3, 2], [7] * 100]
        for one in (buffer, other):
            one.put([8, 7], Sequences.of([[2], [2]], Source.STUDENT))
        # 9 and then 6 were put before 4 was put again
        assert buffer.has([9, 6, 4, 8, 7]).tolist() == [False, False, True, True, True]
        assert torch.equal(other.has([9, 6, 4, 8, 7]), buffer.has([9, 6, 4, 8, 7]))

    def test_four_bytes_a_token_and_sixteen_a_sequence(self):
        state = filled(3, *self.puts).get_extra_state()
        size = sum(value.numel() * value.element_size() for value in state.values())
        assert size == 4 * (3 + 2 + 100) + 16 * 3

    def test_an_empty_one_too(self):
        other = filled(3, ([1], [[1]]))
        other.load_state_dict(ReplayBuffer(3).state_dict())
        assert len(other) == 0


def test_a_capacity_of_nothing_and_several_sequences_a_prompt_are_errors():
    with pytest.raises(ValueError, match="capacity of at least 1, not 0"):
        ReplayBuffer(0)
    with pytest.raises(ValueError, match="one sequence a prompt, not 2 for 1 prompts"):
        filled(1, ([1], [[1], [2]]))
