"""Privileged prompts that are longer than their reader can read are told before a run writes anything."""

from __future__ import annotations

from typing import Any

import pytest

Check = Any  # of conftest.py

STAGE = """\
[training]
input_limit = 8
output_limit = 6
[[stage]]
kind = "distill"
method = "opsd"
options = { teacher = "average", teacher_prompt = "{prompt} from where from where {target}" }
"""


@pytest.fixture
def lengths(check: Check) -> Check:
    """Training examples whose privileged prompts have 1 + 4 + 1 = 6 and 3 + 4 + 2 = 9 words, and a beginning."""
    check.save_data("train", [("select", "from"), ("select from where", "from where")])
    return check


def test_those_that_are_longer_are_counted_with_the_longest(lengths: Check) -> None:
    lengths.save_model("student", max_position_embeddings=14)
    assert lengths.refused(more=STAGE) == (
        './r.toml:15: stage "opsd": options.teacher_prompt: 1 of 2 privileged prompts have more than the 8 tokens for which '
        "the student has positions before a sequence of output_limit; the longest has 9: a lower input_limit, or a shorter "
        "text, makes them shorter"
    )
    lengths.save_model("student", max_position_embeddings=15)
    assert lengths(more=STAGE) == []


def test_the_reader_is_the_model_that_teaches(lengths: Check) -> None:
    lengths.save_model("teacher", max_position_embeddings=14)
    assert lengths(more=STAGE) == []
    lengths.save_model("student", max_position_embeddings=14)
    assert "for which the student has positions" in lengths.refused(more=STAGE)


def test_prompts_and_targets_that_are_left_out_or_shortened_do_not_count(lengths: Check) -> None:
    lengths.save_data("train", [("select", "from"), ("select from " * 9, "from"), ("select", "from " * 9)])
    lengths.save_model("student", max_position_embeddings=18)
    told = lengths.refused(more=STAGE)
    assert (
        "1 of 3 privileged prompts" in told
    )  # the second is cut to 8 of 18 tokens, and has 13; the third is left out
    leave_out = STAGE.replace("output_limit", 'long_prompts = "leave_out"\noutput_limit')
    assert all("privileged" not in line for line in lengths(more=leave_out))
