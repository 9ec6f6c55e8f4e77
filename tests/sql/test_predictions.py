"""Reading files of predictions."""

import json

import pytest

from kdzoo.errors import UserError
from kdzoo.sql.gold_file import GoldFile
from kdzoo.sql.predictions import read_predictions, without_database


@pytest.fixture
def file(tmp_path):
    def write(content, name="predictions.txt"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.mark.parametrize(
    ("content", "predictions"),
    [
        ("SELECT 1\nSELECT 2\n", ["SELECT 1", "SELECT 2"]),
        ("SELECT 1\nSELECT 2", ["SELECT 1", "SELECT 2"]),
        ("SELECT 1\r\nSELECT 2\r\n", ["SELECT 1", "SELECT 2"]),
        ("\n\n", ["", ""]),
        ("\ufeffSELECT 1\n\n", ["SELECT 1", ""]),
        # only a line feed ends a line
        ("SELECT '\x0b\x85\u2028'\nSELECT 2\n", ["SELECT '\x0b\x85\u2028'", "SELECT 2"]),
        ("[1]\n{x\n", ["[1]", "{x"]),
        ("{x\n[1]\n", ["{x", "[1]"]),
        # an empty line is an answer too, but not when there are enough
        ("SELECT 1\n\n\n \n", ["SELECT 1", ""]),
        ("SELECT 1;\tshop\n  SELECT 2 -- é\n", ["SELECT 1;\tshop", "SELECT 2 -- é"]),
    ],
)
def test_one_query_a_line(file, content, predictions):
    assert read_predictions(file(content), GoldFile(2)) == predictions


@pytest.mark.parametrize("name", ["predictions.jsonl", "predictions.txt"])
def test_jsonl(file, name):
    lines = [{"prediction": "SELECT 1\nFROM t"}, {"sql": "SELECT '}'", "model": "a"}, {"predicted_sql": ""}]
    content = "".join(json.dumps(line) + "\n" for line in lines)
    assert read_predictions(file(content, name), GoldFile(3)) == ["SELECT 1\nFROM t", "SELECT '}'", ""]


def test_empty_lines_of_jsonl_mean_nothing(file):
    content = '{"sql": "a"}\n\n{"sql": "b"}\r\n\n'
    assert read_predictions(file(content, "p.jsonl"), GoldFile(2)) == ["a", "b"]


@pytest.mark.parametrize("indent", [None, 4])
def test_birds_numbered_predictions(file, indent):
    numbered = {"1": "SELECT 2\nFROM t\t----- bird -----\tshop", "0": "SELECT 1", "2": 0}
    expected = ["SELECT 1", "SELECT 2\nFROM t\t----- bird -----\tshop", ""]
    assert read_predictions(file(json.dumps(numbered, indent=indent), "predict_dev.json"), GoldFile(3)) == expected


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ("SELECT 1\n", "p.sql", r"p\.sql: has 1 prediction for 2 questions; .* one a line"),
        ("a\nb\nc\n", "p.sql", r"p\.sql: has 3 predictions for 2 questions"),
        ("", "p.jsonl", r"has 0 predictions"),
        ("", "p.sql", r"has 0 predictions"),
        ('{"0": "a", "2": "b"}', "p.json", r'p\.json: has no prediction "1"; its keys must be 0 to 1'),
        ('{"0": "a", "1": "b", "2": "c"}', "p.json", r"p\.json: has 3 predictions for 2 questions"),
        ('{"0": "a",\n "1": "b"', "p.json", r"p\.json:1: not valid JSON"),
        ("{}", "p.json", r'has no prediction "0"'),
        ('{"prediction": "a"}\n' + "[" * 100_000, "p.jsonl", r"p\.jsonl:2: nested too deeply"),
        (b"a\nb\xff\n", "p.sql", r"p\.sql:2: not UTF-8 text \(byte 3 of the file\)"),
        ('{"prediction": "a"}\n{"predic', "p.jsonl", r"p\.jsonl:2: not valid JSON"),
        (
            '{"prediction": "a"}\n{"answer": "b"}\n',
            "p.jsonl",
            r'p\.jsonl:2: must be an object with the key "pred',
        ),
        ('{"prediction": "a"}\n["b"]\n', "p.jsonl", r"p\.jsonl:2: must be an object"),
        ('{"prediction": "a"}\n{"prediction": null}\n', "p.jsonl", r'p\.jsonl:2: "prediction" must be text'),
        (
            '{"model": "x", "prediction": "a"}\n{"model": "y", "prediction": "a"}\n',
            "p.jsonl",
            r"several models \(x, y\)",
        ),
    ],
)
def test_a_mistake_is_told_with_file_and_line(file, content, name, message):
    with pytest.raises(UserError, match=message):
        read_predictions(file(content, name), GoldFile(2))


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(UserError, match="missing: there is no such file"):
        read_predictions(tmp_path / "missing", GoldFile(2))
    with pytest.raises(UserError, match="cannot be read: Is a directory"):
        read_predictions(tmp_path, GoldFile(2))


@pytest.mark.parametrize(
    ("line", "prediction"),
    [
        ("SELECT 1\tshop", "SELECT 1"),
        ("SELECT 1\t----- bird -----\tshop", "SELECT 1"),
        ("SELECT 1;\tshop \r", "SELECT 1;"),
        ("SELECT 1\tother", "SELECT 1\tother"),
        ("SELECT 1 FROM shop", "SELECT 1 FROM shop"),
        ("SELECT\t1", "SELECT\t1"),
    ],
)
def test_the_databases_name_behind_a_query_is_dropped(line, prediction):
    assert without_database(line, "shop") == prediction
