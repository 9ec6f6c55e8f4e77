"""Reading files of predicted SQL."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from kdzoo.errors import UserError

# The names that a prediction goes by in JSONL files; the first that a line has counts.
_KEYS = ("prediction", "predicted_sql", "sql", "SQL")

# What no SQL begins with.
_JSON_OBJECT = re.compile(r"""\s*\{\s*["}]""")

_BIRD_SEPARATOR = "\t----- bird -----\t"


def read_predictions(file: Path, count: int) -> list[str]:
    """Read one prediction for each of ``count`` questions, in their order.

    A file holds one SQL query a line, an empty line being an empty prediction; or JSONL: one object a line
    with the key "prediction" (or "predicted_sql", "sql", "SQL"); or, as BIRD has it, one JSON object with the
    predictions under their numbers: {"0": "SELECT ..."}. Empty lines at the end do not matter.

    Raises:
        UserError: the file cannot be read, a line is not as it should be, or there are too few or many.
    """
    text = _text(file)
    is_json = _JSON_OBJECT.match(text) is not None
    if is_json and (numbered := _numbered(text)) is not None:
        return _in_order(file, numbered, count)
    lines = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")] if text else []
    if is_json or file.suffix.lower() == ".jsonl":
        predictions = _from_jsonl(file, lines)
    else:
        while len(lines) > count and not lines[-1].strip():
            lines.pop()
        predictions = lines
    if len(predictions) != count:
        raise UserError(
            f"{file}: has {_counted(len(predictions), 'prediction')} for {_counted(count, 'question')}; "
            "it must hold one a line, in the questions' order, with an empty line for no answer"
        )
    return predictions


def without_database(prediction: str, db_id: str) -> str:
    """A prediction without the database's name that some systems write behind it, after a tab."""
    for separator in (_BIRD_SEPARATOR, "\t"):
        prediction = prediction.rstrip().removesuffix(separator + db_id)
    return prediction


def _text(file: Path) -> str:
    try:
        raw = file.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{file}: there is no such file") from None
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror}") from None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise UserError(f"{file}:{line}: not UTF-8 text (byte {error.start} of the file)") from None


def _numbered(text: str) -> dict[str, Any] | None:
    """The predictions of one JSON object whose keys are numbers, or None where a text is something else."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return None
    is_numbered = isinstance(content, dict) and all(key.isdecimal() for key in content)
    return content if is_numbered else None


def _in_order(file: Path, numbered: dict[str, Any], count: int) -> list[str]:
    predictions = []
    for number in range(count):
        if str(number) not in numbered:
            raise UserError(f'{file}: has no prediction "{number}"; its keys must be 0 to {count - 1}')
        prediction = numbered[str(number)]
        # a system that gave up leaves something else: no prediction
        predictions.append(prediction if isinstance(prediction, str) else "")
    if len(numbered) > count:
        raise UserError(f"{file}: has {len(numbered)} predictions for {_counted(count, 'question')}")
    return predictions


def _from_jsonl(file: Path, lines: list[str]) -> list[str]:
    predictions = []
    models: dict[str, None] = {}
    for number, line in enumerate(lines, start=1):
        where = f"{file}:{number}"
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except json.JSONDecodeError as error:
            raise UserError(f"{where}: not valid JSON: {error.msg} (column {error.colno})") from None
        except RecursionError:
            raise UserError(f"{where}: nested too deeply") from None
        except ValueError as error:
            raise UserError(f"{where}: not valid JSON: {error}") from None
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
