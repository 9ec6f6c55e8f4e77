"""Mistakes in what a conditioned model is asked for are named before anything is computed."""

import pytest
import torch

from kdzoo import Sequences, Source
from kdzoo.errors import RunError
from kdzoo.methods.model_arguments import check_chosen, check_generate_arguments, check_labels


def check(**arguments):
    plain = {"temperature": 1.0, "prefix": None, "beside": None, "choose": None, "draws": 1}
    check_generate_arguments(prompts=2, output_limit=4, **{**plain, **arguments})


def of(*rows):
    return Sequences.of(list(rows), Source.TEACHER)


def pick(own, other, uniform):
    return own.argmax(-1)


@pytest.mark.parametrize(
    "right",
    [
        {},
        {"temperature": 0},
        {"prefix": of([], [3, 4, 5, 6])},
        {"beside": object(), "choose": pick, "draws": 3},
        {"choose": pick, "prefix": of([3], [4])},
    ],
)
def test_what_may_be_asked_for(right):
    check(**right)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"beside": object()}, "beside and draws are for choose"),
        ({"draws": 2}, "beside and draws are for choose"),
        ({"choose": pick, "draws": 0}, "draws must be 1 or more, not 0"),
        ({"choose": pick, "temperature": 0.7}, "temperature has no effect"),
        ({"prefix": of([3])}, "each of 2 prompts; it has 1, with per_prompt=1"),
        ({"prefix": of([3], [4]).beside(of([3], [4]))}, "it has 4, with per_prompt=2"),
        ({"prefix": of([], [3, 4, 5, 6, 7])}, "a sequence of 5 tokens, and the output limit.* is 4"),
    ],
)
def test_what_may_not(wrong, message):
    with pytest.raises(RunError, match=message):
        check(**wrong)


def test_a_choice_is_a_token_of_each_row():
    check_chosen(torch.tensor([3, 4]), 2)
    for wrong in (torch.tensor([3]), torch.tensor([[3], [4]]), torch.tensor([3.0, 4.0])):
        with pytest.raises(RunError, match="for each of 2 rows"):
            check_chosen(wrong, 2)


def test_there_is_a_label_for_each_token():
    check_labels(of([3, 4], [5]), of([6, 7], [8]))
    for wrong in (of([3, 4], []), of([3], [4]), of([3], [4, 5]), of([3, 4, 5], [6])):
        with pytest.raises(RunError, match="labels must have the lengths"):
            check_labels(of([3, 4], [5]), wrong)
