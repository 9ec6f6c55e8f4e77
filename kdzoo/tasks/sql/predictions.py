"""Reading files of predicted SQL."""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any

from kdzoo.errors import UserError
from kdzoo.files import NotJSONError, parse_json, read_text
from kdzoo.tasks.sql.gold_file import GoldFile

# The names that a prediction goes by in JSONL files; the first that a line has counts.
_KEYS = ("prediction", "predicted_sql", "sql", "SQL")

# What no SQL begins with.
_JSON_OBJECT = re.compile(r"""\s*\{\s*["}]""")

_BIRD_SEPARATOR = "\t----- bird -----\t"

_CSV_ENDINGS = (".csv", ".tsv")
_CSV_HEADINGS = frozenset(
    {*(key.lower() for key in _KEYS), "query", "question", "question_id", "id", "db_id"}
)
_HEADINGS = re.compile(r"""["']?\w+["']?(?:[,;\t]\s*["']?\w+["']?)*""")

_WHAT_TO_WRITE = (
    'write one query a line, or one JSON object a line with the key "prediction" (and "question_id", if the '
    "gold file has it)"
)


def read_predictions(file: Path, gold: GoldFile) -> list[str]:
    """Read one prediction for each of the gold file's questions; give them in the questions' order.

    A file holds one SQL query a line, in the questions' order, an empty line being an empty prediction; blanks
    around it are dropped, as the official program does. Or JSONL: one object a line with the key "prediction"
    (or "predicted_sql", "sql", "SQL"), in any order if it has "question_id" or "id". Or, as BIRD has it, one
    JSON object with the predictions under their numbers: {"0": "SELECT ..."}. Empty lines at the end do not
    matter.

    Raises:
        UserError: the file cannot be read, is of another kind, a line is not as it should be, it is unclear
            which questions the predictions are for, or there are too few or many.
    """
    text = read_text(file)
    _check_kind(file, text, gold.count)
    is_json = _JSON_OBJECT.match(text) is not None
    if is_json and (numbered := _numbered(text)) is not None:
        return _in_order(file, numbered, gold)
    if is_json or file.suffix.lower() == ".jsonl":
        predictions = _from_jsonl(file, text.split("\n"), gold)
    else:
        predictions = [line.strip() for line in text.removesuffix("\n").split("\n")] if text else []
        while len(predictions) > gold.count and not predictions[-1]:
            predictions.pop()
    if len(predictions) != gold.count:
        raise UserError(
            f"{file}: has {_counted(len(predictions), 'prediction')} for {_counted(gold.count, 'question')}; "
            "it must hold one a line, in the questions' order, with an empty line for no answer"
        )
    return predictions


def without_database(where: str, prediction: str, db_id: str, names: Container[str]) -> str:
    """A prediction without the database's name that some systems write behind it, after a tab.

    ``names`` are those of all databases; what is none of them is part of the query.

    Raises:
        UserError: it is another database's than the question's.
    """
    query, separator, name = prediction.rstrip().rpartition(_BIRD_SEPARATOR)
    if not separator:
        query, separator, name = prediction.rstrip().rpartition("\t")
        if name != db_id and (name not in names or "\t" in query.strip()):
            return prediction
    if separator and name != db_id:
        raise UserError(
            f"{where}: is for the database {name!r} and the question for {db_id!r}; predictions must be in the "
            "questions' order (if the name is part of the query, write a blank before it and not a tab)"
        )
    return query if separator else prediction


def _check_kind(file: Path, text: str, count: int) -> None:
    """Tell what a file is that holds no lines of predictions.

    Raises:
        UserError: it is a table, a JSON list, a JSON object of something else, or has no line feeds.
    """
    first = text.partition("\n")[0].strip()
    headings = {heading.strip("\"' ").lower() for heading in re.split(r"[,;\t]", first)}
    if file.suffix.lower() in _CSV_ENDINGS or (_HEADINGS.fullmatch(first) and headings & _CSV_HEADINGS):
        raise UserError(f"{file}: is a table (CSV); {_WHAT_TO_WRITE}")
    if text.lstrip().startswith("["):
        is_list = file.suffix.lower() == ".json"
        try:
            is_list = isinstance(parse_json(text), list)
        except NotJSONError as error:
            if is_list and error.line is not None:
                raise UserError(f"{file}:{error.line}: {error}") from None
        if is_list:
            raise UserError(f"{file}: is a JSON list; {_WHAT_TO_WRITE}")
    if _JSON_OBJECT.match(text) and "\n" in text.strip() and _is_one_object(text):
        raise UserError(f"{file}: is one JSON object, and its keys are not numbers; {_WHAT_TO_WRITE}")
    if count > 1 and "\r" in text.strip() and "\n" not in text.strip():
        raise UserError(f"{file}: its lines end in a carriage return alone; end them in a line feed")


def _is_one_object(text: str) -> bool:
    try:
        return _numbered(text) is None and isinstance(parse_json(text), dict)
    except NotJSONError:
        return False


def _numbered(text: str) -> dict[str, Any] | None:
    """The predictions of one JSON object whose keys are numbers, or None where a text is something else."""
    try:
        content = parse_json(text)
    except NotJSONError:
        return None
    is_numbered = isinstance(content, dict) and all(key.isdecimal() for key in content)
    return content if is_numbered else None


def _in_order(file: Path, numbered: dict[str, Any], gold: GoldFile) -> list[str]:
    """The numbers are the questions' ids or their places."""
    places = [str(place) for place in range(gold.count)]
    ids = list(gold.ids.get("question_id", places))
    if set(ids) == set(places) and ids != places:
        raise UserError(
            f"{file}: its numbers may be places or question_ids, which differ in the gold file; "
            f"{_WHAT_TO_WRITE}"
        )
    keys = ids if set(ids) == set(numbered) else places
    for key in keys:
        if key not in numbered:
            raise UserError(f'{file}: has no prediction "{key}"; its keys must be 0 to {gold.count - 1}')
    if len(numbered) > gold.count:
        raise UserError(f"{file}: has {len(numbered)} predictions for {_counted(gold.count, 'question')}")
    # a system that gave up leaves something else: no prediction
    return [prediction if isinstance(prediction := numbered[key], str) else "" for key in keys]


def _from_jsonl(file: Path, lines: Sequence[str], gold: GoldFile) -> list[str]:
    entries = [
        (f"{file}:{number}", _entry(f"{file}:{number}", line))
        for number, line in enumerate(lines, start=1)
        if line.strip()
    ]
    predictions = [_prediction(where, entry, gold) for where, entry in entries]
    models = dict.fromkeys(entry["model"] for _, entry in entries if isinstance(entry.get("model"), str))
    if len(models) > 1:
        raise UserError(
            f"{file}: holds predictions of several models ({', '.join(models)}); keep one's lines"
        )
    order = gold.order_of(entries)
    return predictions if order is None else [predictions[place] for place in order]


def _entry(where: str, line: str) -> dict[str, Any]:
    try:
        entry = parse_json(line)
    except NotJSONError as error:
        raise UserError(f"{where}: {error}") from None
    if not isinstance(entry, dict):
        raise UserError(f'{where}: must be an object with the key "prediction"')
    return entry


def _prediction(where: str, entry: dict[str, Any], gold: GoldFile) -> str:
    key = next((key for key in _KEYS if key in entry), None)
    if key is None:
        raise UserError(f'{where}: must be an object with the key "prediction"')
    if key.lower() in gold.text_keys:
        raise UserError(
            f'{where}: "{key}" is a key of the gold file, so this may be its query and no prediction; name the '
            'prediction "prediction"'
        )
    value = entry[key]
    if not isinstance(value, str):
        raise UserError(f'{where}: "{key}" must be text')
    return value


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
