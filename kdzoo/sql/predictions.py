"""Reading files of predicted SQL."""

from __future__ import annotations

import json
from pathlib import Path

from kdzoo.errors import UserError

# The names that a prediction goes by in JSONL files; the first that a line has counts.
_KEYS = ("prediction", "predicted_sql", "sql", "SQL")

_BIRD_SEPARATOR = "\t----- bird -----\t"


def read_predictions(file: Path, count: int) -> list[str]:
    """Read one prediction for each of ``count`` questions, in their order.

    A file holds one SQL query a line, an empty line being an empty prediction; or JSONL: one object a line
    with the key "prediction" (or "predicted_sql", "sql", "SQL").

    Raises:
        UserError: the file cannot be read, a line is not as it should be, or there are too few or many.
    """
    lines = _lines(file)
    is_jsonl = file.suffix.lower() == ".jsonl" or any(line.lstrip()[:1] == "{" for line in lines[:1])
    predictions = _from_jsonl(file, lines) if is_jsonl else lines
    if len(predictions) != count:
        raise UserError(
            f"{file}: has {_counted(len(predictions), 'prediction')} for {_counted(count, 'question')}; "
            "it must hold one a line, in the questions' order, with an empty line for no answer"
        )
    return predictions


def without_database(prediction: str, db_id: str) -> str:
    """A prediction without the database's name that some systems write behind it, after a tab."""
    for separator in (_BIRD_SEPARATOR, "\t"):
        prediction = prediction.removesuffix(separator + db_id)
    return prediction


def _lines(file: Path) -> list[str]:
    try:
        raw = file.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{file}: there is no such file") from None
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror}") from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise UserError(f"{file}:{line}: not UTF-8 text (byte {error.start} of the file)") from None
    if not text:
        return []
    return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]


def _from_jsonl(file: Path, lines: list[str]) -> list[str]:
    predictions = []
    models: dict[str, None] = {}
    for number, line in enumerate(lines, start=1):
        where = f"{file}:{number}"
        try:
            entry = json.loads(line)
        except json.JSONDecodeError as error:
            raise UserError(f"{where}: not valid JSON: {error.msg} (column {error.colno})") from None
        except RecursionError:
            raise UserError(f"{where}: nested too deeply") from None
        key = next((key for key in _KEYS if key in entry), None) if isinstance(entry, dict) else None
        if key is None:
            raise UserError(f'{where}: must be an object with the key "prediction"')
        if not isinstance(entry[key], str):
            raise UserError(f'{where}: "{key}" must be text')
        predictions.append(entry[key])
        if isinstance(entry.get("model"), str):
            models[entry["model"]] = None
    if len(models) > 1:
        raise UserError(
            f"{file}: holds predictions of several models ({', '.join(models)}); keep one's lines"
        )
    return predictions


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
