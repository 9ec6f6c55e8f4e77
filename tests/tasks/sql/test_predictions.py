"""Reading files of predictions."""

import json

import pytest

from kdzoo.errors import UserError
from kdzoo.tasks.sql.gold_file import GoldFile
from kdzoo.tasks.sql.predictions import read_predictions, without_database


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
    assert (
        read_predictions(file(json.dumps(numbered, indent=indent), "predict_dev.json"), GoldFile(3))
        == expected
    )


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
    with pytest.raises(UserError, match="is a folder, not a file"):
        read_predictions(tmp_path, GoldFile(2))


@pytest.mark.parametrize(
    ("line", "prediction"),
    [
        ("SELECT 1\tshop", "SELECT 1"),
        ("SELECT 1\t----- bird -----\tshop", "SELECT 1"),
        ("SELECT 1;\tshop \r", "SELECT 1;"),
        ("SELECT 1\tnowhere", "SELECT 1\tnowhere"),
        ("SELECT\t1\tFROM\tother", "SELECT\t1\tFROM\tother"),
        ("SELECT 1\u00a0", "SELECT 1\u00a0"),
        ("SELECT 1 FROM shop", "SELECT 1 FROM shop"),
        ("SELECT\t1", "SELECT\t1"),
    ],
)
def test_the_databases_name_behind_a_query_is_dropped(line, prediction):
    assert without_database("p:1", line, "shop", {"shop", "other"}) == prediction


@pytest.mark.parametrize(
    "line", ["SELECT 1\tother", "SELECT 1\t----- bird -----\tother", "a\t----- bird -----\t?"]
)
def test_the_name_of_another_database_is_told(line):
    with pytest.raises(UserError, match=r"p:1: is for the database '(other|\?)' and the question for 'shop'"):
        without_database("p:1", line, "shop", {"shop", "other"})


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ('["a", "b"]', "p.json", "is a JSON list; write one query a line"),
        ('[\n{"sql": "a"},\n{"sql": "b"}\n]', "p.txt", "is a JSON list"),
        ('["a",\n"b"', "p.json", r"p\.json:2: not valid JSON"),
        ("question_id,prediction\n0,SELECT 1\n", "p.txt", r"is a table \(CSV\)"),
        ('"sql"\nSELECT 1\nSELECT 2\n', "p.txt", r"is a table \(CSV\)"),
        ('{"predictions":\n ["a", "b"]}', "p.json", "is one JSON object, and its keys are not numbers"),
        ("0,SELECT 1\n1,SELECT 2\n", "p.csv", r"is a table \(CSV\)"),
        ("id\tprediction\n0\tSELECT 1\n", "p.tsv", r"is a table \(CSV\)"),
        ("SELECT 1\rSELECT 2\r", "p.sql", "its lines end in a carriage return alone"),
        ('{"sql": "a"}\r{"sql": "b"}', "p.jsonl", "its lines end in a carriage return alone"),
        ("SELECT 1\nSELECT 2\n".encode("utf-16"), "p.sql", "is UTF-16 text"),
    ],
)
def test_a_file_of_another_kind_is_called_by_its_name(file, content, name, message):
    with pytest.raises(UserError, match=message):
        read_predictions(file(content, name), GoldFile(2))


@pytest.mark.parametrize("key", ["sql", "SQL"])
def test_a_key_that_the_gold_file_has_is_refused(file, key):
    gold = GoldFile.of([{"db_id": "shop", "SQL": "SELECT 1"}], ["dev-0"])
    with pytest.raises(UserError, match=f'p.jsonl:1: "{key}" is a key of the gold file'):
        read_predictions(file(json.dumps({key: "SELECT 1"}), "p.jsonl"), gold)
    both = json.dumps({key: "gold", "prediction": "SELECT 1"})
    assert read_predictions(file(both, "p.jsonl"), gold) == ["SELECT 1"]


def test_birds_numbers_may_be_question_ids(file):
    gold = GoldFile.of([{"question_id": 31}, {"question_id": 7}], ["31", "7"])
    assert read_predictions(file('{"7": "b", "31": "a"}', "p.json"), gold) == ["a", "b"]
    assert read_predictions(file('{"1": "b", "0": "a"}', "p.json"), gold) == ["a", "b"]
    unclear = GoldFile.of([{"question_id": 1}, {"question_id": 0}], ["1", "0"])
    with pytest.raises(UserError, match="its numbers may be places or question_ids"):
        read_predictions(file('{"1": "b", "0": "a"}', "p.json"), unclear)


class TestIds:
    """Predictions are given to the questions that they name, or the file is refused."""

    @pytest.fixture
    def read(self, file):
        def read(gold_ids, key, ids, gold_key="question_id"):
            entries = [{gold_key: number, "query": "?"} for number in gold_ids]
            gold = GoldFile.of(entries, [f"dev-{n}" for n in range(len(gold_ids))])
            lines = [json.dumps({key: number, "prediction": f"for {number}"}) for number in ids]
            return read_predictions(file("\n".join(lines), "p.jsonl"), gold)

        return read

    @pytest.mark.parametrize(
        ("gold_key", "gold_ids", "key", "ids", "expected"),
        [
            ("question_id", [5, 3, 9], "question_id", [9, 5, 3], ["for 5", "for 3", "for 9"]),
            ("question_id", [5, 3, 9], "question_id", ["9", "5", "3"], ["for 5", "for 3", "for 9"]),
            ("question_id", [5, 3, 9], "id", [3, 9, 5], ["for 5", "for 3", "for 9"]),
            ("id", ["a", "b"], "id", ["b", "a"], ["for a", "for b"]),
            # a file without ids: the names that its questions get, or their places
            ("db_id", ["x", "y"], "id", ["dev-1", "dev-0"], ["for dev-0", "for dev-1"]),
            ("db_id", ["x", "y"], "id", [1, 0], ["for 0", "for 1"]),
            # ids that repeat say nothing but that the order is the same
            ("question_id", [7, 7], "question_id", [7, 7], ["for 7", "for 7"]),
        ],
    )
    def test_that_fit(self, read, gold_key, gold_ids, key, ids, expected):
        assert read(gold_ids, key, ids, gold_key) == expected

    @pytest.mark.parametrize(
        ("gold_ids", "ids", "message"),
        [
            ([5, 3], [5, 4], r'p\.jsonl:2: no question has the question_id "4" \(they have "5" to "3"\)'),
            ([5, 3], [5, 5], r'p\.jsonl:2: a second prediction with the question_id "5"'),
            ([5, 3], [5], r'p\.jsonl: has no prediction with the question_id "3"'),
            ([5, 3], [0, 1], r'p\.jsonl:1: no question has the question_id "0"'),
            ([5, 3], [5, None], r'p\.jsonl:2: has no "question_id"'),
            ([7, 7, 8], [7, 8, 7], r"p\.jsonl:3: a second prediction"),
        ],
    )
    def test_that_do_not_fit(self, read, gold_ids, ids, message):
        with pytest.raises(UserError, match=message):
            read(gold_ids, "question_id", ids)
