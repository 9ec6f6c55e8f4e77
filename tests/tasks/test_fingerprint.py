"""The fingerprint of a dataset follows all that shapes its examples, that of a metric all that shapes its scores."""

import os
import shutil
from dataclasses import replace

import pytest

from kdzoo.recipe import Evaluation
from kdzoo.tasks import registry
from kdzoo.tasks.fingerprint import fingerprint_of_data, fingerprint_of_metric
from kdzoo.tasks.text.jsonl import JsonlData
from kdzoo.tasks.text_to_sql.embedded_benchmark import EmbeddedData
from kdzoo.tasks.text_to_sql.spider import SpiderData


def spider(folder, **settings):
    return fingerprint_of_data(SpiderData(kind="spider", path=str(folder.path), **settings))


def test_settings_count():
    assert fingerprint_of_data(EmbeddedData(kind="embedded")) == fingerprint_of_data(
        EmbeddedData(kind="embedded", seed=0)
    )
    assert fingerprint_of_data(EmbeddedData(kind="embedded")) != fingerprint_of_data(
        EmbeddedData(kind="embedded", seed=1)
    )


@pytest.mark.parametrize("change", [{"values": False}, {"max_train": 5}, {"evaluation": "other.json"}])
def test_settings_of_a_dataset_on_disk_count(folder, change):
    assert spider(folder) == spider(folder)
    assert spider(folder) != spider(folder, **change)


@pytest.mark.parametrize(
    "name",
    [
        "dev.json",
        "tables.json",
        "database/concerts/concerts.sqlite",
        "database/concerts/database_description/a.csv",
    ],
)
def test_files_count(folder, name):
    before = spider(folder)
    file = folder.path / name
    file.parent.mkdir(exist_ok=True)
    with file.open("ab") as out:
        out.write(b" ")
    changed = spider(folder)
    assert changed != before
    os.utime(file, (1, 1))
    assert spider(folder) == changed  # a copy of the same content, made at another time


@pytest.mark.parametrize("name", ["absent.json", "a\0b"])
def test_files_that_cannot_be_there_are_told_elsewhere(folder, name):
    assert spider(folder, evaluation=name) == spider(folder, evaluation=name)


def test_other_files_do_not(folder):
    before = spider(folder)
    (folder.path / "README.txt").write_text("read me", encoding="utf-8")
    assert spider(folder) == before


def test_files_of_jsonl(tmp_path):
    train = tmp_path / "train.jsonl"
    config = JsonlData(kind="jsonl", train=str(train), evaluation=str(train))
    absent = fingerprint_of_data(config)
    train.write_text("{}", encoding="utf-8")
    assert fingerprint_of_data(config) != absent
    shutil.copy(train, tmp_path / "other.jsonl")
    assert fingerprint_of_data(
        config.model_copy(update={"evaluation": str(tmp_path / "other.jsonl")})
    ) != fingerprint_of_data(config)


def test_code_that_a_dataset_shares_with_others_counts(tmp_path, monkeypatch):
    shared = tmp_path / "shared_reader.py"
    shared.write_text("", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    found = registry.datasets.find_with_code("embedded")
    found = replace(found, description=replace(found.description, code=("shared_reader",)))
    monkeypatch.setattr(registry.Registry, "find_with_code", lambda self, name: found)
    before = fingerprint_of_data(EmbeddedData(kind="embedded"))
    shared.write_text("# changed", encoding="utf-8")
    assert fingerprint_of_data(EmbeddedData(kind="embedded")) != before


@pytest.mark.parametrize(
    ("name", "counting"),
    [
        ("ex", {"time_limit"}),
        ("ts", {"time_limit"}),
        ("exact_match", set()),
        (
            "exaccerr",
            {
                "exaccerr_samples",
                "exaccerr_prefix",
                "exaccerr_average",
                "exaccerr_first_token",
                "exaccerr_length",
            },
        ),
    ],
)
def test_settings_of_a_metric_count_and_no_others(name, counting):
    def of(**settings):
        return fingerprint_of_metric(name, Evaluation(input_limit=64, output_limit=64, **settings))

    changes = {
        "time_limit": 3.0,
        "exaccerr_samples": 2,
        "exaccerr_prefix": "gold",
        "exaccerr_average": "unfinished",
        "exaccerr_first_token": False,
        "exaccerr_length": 16,
        "batch_size": 3,
    }
    assert {key for key, value in changes.items() if of(**{key: value}) != of()} == counting


def test_metrics_differ():
    settings = Evaluation(input_limit=64, output_limit=64)
    assert (
        len({fingerprint_of_metric(name, settings) for name in ("ex", "ts", "exact_match", "rouge_l")}) == 4
    )
