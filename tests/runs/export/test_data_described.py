"""Data in a card's words."""

from __future__ import annotations

from kdzoo.runs.export.data_described import hub_name, in_words
from kdzoo.tasks import registry


def table(kind: str, **keys: object):
    return registry.datasets.find(kind).config(kind=kind, **keys)


def test_a_hub_name_is_told() -> None:
    data = table("hf", path="owner/data")
    assert hub_name(data) == "owner/data"
    assert in_words(data).startswith("`hf` (")
    assert in_words(data).endswith("), read from `owner/data`")


def test_of_what_is_local_the_last_name_is() -> None:
    data = table("jsonl", train="/home/me/train.jsonl", evaluation="/home/me/test.jsonl")
    assert hub_name(data) is None
    assert in_words(data).endswith("), read from `train.jsonl`, `test.jsonl`")
    assert hub_name(table("hf", path="/home/me/data")) is None
    several = table("spider", path="/home/me/spider", databases=["/home/me/a/more"])
    assert in_words(several).endswith("), read from `spider`, `more`")


def test_data_that_are_made_are_read_from_nowhere() -> None:
    summary = registry.datasets.find("embedded").summary
    assert in_words(table("embedded")) == f"`embedded` ({summary})"
