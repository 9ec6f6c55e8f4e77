"""What is wrong in [datasets] and [evaluation_sets] is told with file, line and key."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Problems = Callable[..., list[str]]

SETS = """\
[datasets.bird]
kind = "bird"
path = "b"

[evaluation_sets.dk]
data = "bird"
evidence = false

[data]
kind = "embedded"
"""

CASES = {
    "unknown dataset": (
        'data = "bird"',
        'data = "brid"',
        'r.toml:6: evaluation_sets.dk.data: there is no [datasets.brid]; did you mean "bird"?',
    ),
    "unknown dataset among none": (
        '[datasets.bird]\nkind = "bird"\npath = "b"\n',
        "",
        "r.toml:3: evaluation_sets.dk.data: there is no [datasets.bird]; leave data out for the dataset of [data], or add "
        "the table",
    ),
    "misspelt key of the dataset": (
        "evidence = false",
        "evidense = false",
        'r.toml:7: evaluation_sets.dk.evidense: data of kind "bird" have no such key; did you mean "evidence"?',
    ),
    "misspelt key of the set": (
        "evidence = false",
        "metrik = 3",
        'r.toml:7: evaluation_sets.dk.metrik: data of kind "bird" have no such key; did you mean "metrics"?',
    ),
    "key of another dataset": (
        "evidence = false",
        "questions = 100",
        'r.toml:7: evaluation_sets.dk.questions: data of kind "bird" have no such key; there are: kind, path, form, '
        "details, values, matching, sql_case, max_train, max_evaluation, on_error, seed, train, evaluation, evidence",
    ),
    "value of the dataset": (
        "evidence = false",
        "evidence = 3",
        "r.toml:7: evaluation_sets.dk.evidence: must be true or false, not 3",
    ),
    "one of several values of the dataset": (
        "evidence = false",
        'train = ["a.json", 3]',
        "r.toml:7: evaluation_sets.dk.train[1]: must be a string, not 3",
    ),
    "value of the set": (
        "evidence = false",
        "max_examples = 0",
        "r.toml:7: evaluation_sets.dk.max_examples: must be at least 1, not 0",
    ),
    "unknown metric": (
        "evidence = false",
        'metrics = ["em"]',
        'r.toml:7: evaluation_sets.dk.metrics[0]: must be "ex", "ex_vote", "exaccerr", "exact_match", "rouge_l" or "ts", not "em"',
    ),
    "metric that does not fit": (
        "evidence = false",
        'metrics = ["ts"]',
        'r.toml:7: evaluation_sets.dk.metrics: "ts" does not fit data of kind "bird", which has ex, ex_vote, exaccerr',
    ),
    "set whose name is no file's": (
        "[evaluation_sets.dk]",
        '[evaluation_sets."d/k"]',
        "r.toml:5: evaluation_sets.d/k: a name must consist of 1 to 80 letters, digits, _ and -, and not begin with -",
    ),
    "two sets of one name": (
        "[evaluation_sets.dk]",
        "[evaluation_sets.DK]\n[evaluation_sets.dk]",
        "r.toml:6: evaluation_sets.dk: another set has this name already, upper and lower case alike",
    ),
    "file of a dataset that holds out training questions": (
        'data = "bird"\nevidence = false\n\n[data]\nkind = "embedded"',
        'evaluation = "dk.json"\n\n[data]\nkind = "spider"\npath = "s"\nsplit = "question"',
        'r.toml:6: evaluation_sets.dk.evaluation: is not read with split = "question", which evaluates on training '
        'questions that it holds out; write split = "official" beside it',
    ),
    "set that is no table": (
        '[evaluation_sets.dk]\ndata = "bird"\nevidence = false',
        "[evaluation_sets]\ndk = 3",
        "r.toml:6: evaluation_sets.dk: must be a table, not 3",
    ),
    "sets that are no table": (
        '[datasets.bird]\nkind = "bird"\npath = "b"\n\n[evaluation_sets.dk]\ndata = "bird"\nevidence = false',
        "evaluation_sets = 3",
        "r.toml:1: evaluation_sets: must be tables by name, [evaluation_sets.NAME], not 3",
    ),
    "dataset without a path": ('path = "b"\n', "", "r.toml:1: datasets.bird.path: is missing"),
    "dataset of no kind": (
        'kind = "bird"',
        'kind = "brid"',
        'r.toml:2: datasets.bird.kind: must be "bird", "embedded", "hf", "jsonl" or "spider", not "brid"; did you mean "bird"?',
    ),
    "key of a dataset": (
        'path = "b"',
        'path = "b"\nevidense = 3',
        'r.toml:4: datasets.bird.evidense: unknown key; did you mean "evidence"?',
    ),
}


@pytest.mark.parametrize(("old", "new", "message"), CASES.values(), ids=CASES)
def test_a_table_or_key(problems: Problems, right: str, old: str, new: str, message: str) -> None:
    text = right.replace('[data]\nkind = "embedded"\n', SETS)
    assert old in text
    assert problems(text.replace(old, new, 1)) == [message]


def test_an_override_is_named_in_the_place_of_a_line(problems: Problems, right: str) -> None:
    text = right.replace('[data]\nkind = "embedded"\n', SETS)
    assert problems(text, "evaluation_sets.dk.data=brid") == [
        '--set evaluation_sets.dk.data=brid: there is no [datasets.brid]; did you mean "bird"?'
    ]
    assert problems(text, "evaluation_sets.dk.evidense=1") == [
        '--set evaluation_sets.dk.evidense=1: data of kind "bird" have no such key; did you mean "evidence"?'
    ]


def test_what_is_wrong_with_a_dataset_is_not_told_again_of_its_sets(problems: Problems, right: str) -> None:
    text = right.replace('[data]\nkind = "embedded"\n', SETS).replace('path = "b"', "path = 3")
    assert problems(text) == ["r.toml:3: datasets.bird.path: must be a string, not 3"]


def test_what_is_wrong_with_a_set_is_told_beside_what_is_wrong_with_its_dataset(
    problems: Problems, right: str
) -> None:
    text = right.replace('[data]\nkind = "embedded"\n', SETS).replace('path = "b"', 'path = "b"\npaht = 3')
    assert problems(text.replace("evidence = false", "evidense = 4")) == [
        'r.toml:4: datasets.bird.paht: unknown key; did you mean "path"?',
        'r.toml:8: evaluation_sets.dk.evidense: data of kind "bird" have no such key; did you mean "evidence"?',
    ]
