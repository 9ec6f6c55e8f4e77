"""Any task as JSONL: one object a line with a prompt and a target."""

import json

import pytest

from kdzoo.errors import UserError
from kdzoo.tasks.load import load
from kdzoo.tasks.text.jsonl import JSONL, JsonlData


@pytest.fixture
def read(tmp_path):
    """Write the bytes of a training file beside a good evaluation file, and load both."""

    def give(content, on_error="raise"):
        (tmp_path / "train.jsonl").write_bytes(content)
        (tmp_path / "test.jsonl").write_text('{"prompt": "2 + 2 =", "target": "4"}\n', encoding="utf-8")
        train, test = (str(tmp_path / name) for name in ("train.jsonl", "test.jsonl"))
        config = JsonlData(kind="jsonl", train=train, evaluation=test, on_error=on_error)
        return load(config, cache=tmp_path / "cache")

    return give


def lines(*entries):
    return "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries).encode()


def test_lines_become_examples(read):
    splits = read(lines({"prompt": "a", "target": "b"}, {"prompt": "é\u2028", "target": "ü", "group": 7}))
    first, second = splits.train
    assert (first.id, first.prompt, first.target, first.group) == ("train-1", "a", "b", None)
    assert (second.id, second.prompt, second.target, second.group) == ("train-2", "é\u2028", "ü", "7")
    assert first.database is None
    assert first.shorten is None
    assert [(e.id, e.prompt, e.target) for e in splits.evaluation] == [("test-1", "2 + 2 =", "4")]


def test_it_is_a_task_of_text(read):
    splits = read(lines({"prompt": "a", "target": "b"}))
    assert (splits.sql_rule, splits.report) == (None, {})


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_empty_lines_are_passed_over_and_lines_are_counted_with_them(read, end):
    splits = read(b"\xef\xbb\xbf" + end * 2 + b'{"prompt": "a", "target": "b"}' + end + b"  " + end)
    assert [e.id for e in splits.train] == ["train-3"]


BAD = [
    ('{"prompt": "a", "targ', r"not valid JSON: .* \(column 17\)", "not JSON"),
    ("prompt", "not valid JSON", "not JSON"),
    ("[" * 100_000, "nested too deeply", "not JSON"),
    ("9" * 5000, "not valid JSON", "not JSON"),
    ('["a", "b"]', "must be an object with the keys 'prompt' and 'target'", "not an object"),
    ('{"target": "b"}', "has no prompt", "no prompt"),
    ('{"prompt": "a"}', "has no target", "no target"),
    ('{"prompt": "", "target": "b"}', "has no prompt", "no prompt"),
    ('{"prompt": "a", "target": null}', "has no target", "no target"),
    ('{"prompt": "a", "target": " \\n\\t"}', "its target is blank", "a blank target"),
    ('{"prompt": "\\u3000", "target": "b"}', "its prompt is blank", "a blank prompt"),
    ('{"prompt": ["a"], "target": "b"}', "has no prompt", "no prompt"),
    ('{"prompt": "\\ud800", "target": "b"}', "prompt holds half a character", "half a character"),
]


@pytest.mark.parametrize(("line", "message", "kind"), BAD)
def test_a_wrong_line_is_an_error_or_is_left_out_and_counted(read, line, message, kind):
    good = '{"prompt": "a", "target": "b"}\n'
    with pytest.raises(UserError, match=r"train\.jsonl:2: .*" + message):
        read((good + line + "\n").encode())
    splits = read((good + line + "\n" + good).encode(), on_error="skip")
    assert [e.id for e in splits.train] == ["train-1", "train-3"]
    assert splits.report == {f"entries left out: {kind}": 1}


def test_a_file_that_cannot_be_read_is_named(read, tmp_path):
    with pytest.raises(UserError, match=r"train\.jsonl:1: not UTF-8 text \(byte 1 of the file\)"):
        read(b"a\xff")
    for name, reason in (("missing.jsonl", "there is no such file"), (".", "is a folder, not a file")):
        path = str(tmp_path / name)
        with pytest.raises(UserError, match=reason):
            load(JsonlData(kind="jsonl", train=path, evaluation=path), cache=tmp_path)


def test_one_file_is_read_where_only_one_part_is_wanted(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"prompt": "a", "target": "b"}\n')
    file = str(tmp_path / "a.jsonl")
    both = JsonlData(kind="jsonl", train=file, evaluation=str(tmp_path / "none.jsonl"))
    train = JSONL.part_of(both, "train")
    assert list(JSONL.missing(train)) == []
    splits = load(train, cache=tmp_path)
    assert (len(splits.train), splits.evaluation) == (1, [])
    assert [key for key, _ in JSONL.missing(JSONL.part_of(both, "evaluation"))] == ["evaluation"]


def test_a_part_that_is_not_named_is_none():
    assert JSONL.part_of(JsonlData(kind="jsonl", train="a"), "evaluation") is None
    assert JSONL.part_of(JsonlData(kind="jsonl", evaluation="a"), "train") is None
