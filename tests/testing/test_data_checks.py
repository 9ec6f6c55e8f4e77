"""Datasets and metrics are checked by name, with what a recipe would say of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from kdzoo import UserError
from kdzoo.tasks import registry
from kdzoo.tasks.load import load
from kdzoo.testing import Outcome, check_dataset, check_metric, dataset_report

LITTLE = {"questions": 50, "test_questions": 10, "databases": 2}


@pytest.fixture
def jsonl(tmp_path: Path) -> dict[str, str]:
    """The table of a JSONL dataset."""
    for name in ("train", "evaluation"):
        lines = [json.dumps({"prompt": f"say {n}", "target": f"{name} {n}"}) for n in range(3)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))
    return {name: str(tmp_path / f"{name}.jsonl") for name in ("train", "evaluation")}


class TestKdzooSOwn:
    def test_jsonl(self, jsonl: dict[str, str]) -> None:
        check_dataset("jsonl", jsonl)
        check_dataset("jsonl", {"evaluation": jsonl["evaluation"]})

    def test_the_embedded_benchmark_and_the_metric_of_its_queries(self, tmp_path: Path) -> None:
        check_dataset("embedded", LITTLE)
        table = registry.datasets.find("embedded").config(kind="embedded", **LITTLE)
        check_metric("ex", load(table, cache=tmp_path))

    def test_a_description_is_checked_as_its_name_is(self, jsonl: dict[str, str]) -> None:
        by_name = dataset_report("jsonl", jsonl)
        assert dataset_report(registry.datasets.find("jsonl"), jsonl) == by_name
        assert {result.outcome for result in by_name} == {Outcome.PASSED}


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (lambda: check_dataset("jsnl"), "no dataset 'jsnl' is installed; did you mean \"jsonl\""),
        (lambda: check_metric("exact_mach"), "no metric 'exact_mach' is installed"),
        (lambda: check_dataset("jsonl", {"train": "none"}), "dataset jsonl: train: there is no none"),
    ],
)
def test_what_is_not_there_is_the_caller_s_mistake(check: Callable[[], None], words: str) -> None:
    with pytest.raises(UserError, match=words):
        check()


def test_a_key_that_the_table_does_not_have_is_too() -> None:
    with pytest.raises(ValidationError, match="trian"):
        check_dataset("jsonl", {"trian": "none"})
