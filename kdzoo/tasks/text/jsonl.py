"""Any task of prompts and targets: one JSON object a line, with the keys ``prompt`` and ``target``."""

from __future__ import annotations

import json
from pathlib import Path

from kdzoo.errors import UserError
from kdzoo.tasks.config import JsonlData
from kdzoo.tasks.example import Example, Splits
from kdzoo.tasks.text_to_sql.questions import Problems, is_unicode


def load_jsonl(config: JsonlData) -> Splits:
    """Read the training and the evaluation file.

    Raises:
        UserError: a file cannot be read, or a line is wrong and must not be skipped.
    """
    problems = Problems(config.on_error)
    return Splits(
        train=read_jsonl(Path(config.train).expanduser(), problems),
        evaluation=read_jsonl(Path(config.evaluation).expanduser(), problems),
        task="text",
        metric="text",
        report=problems.report,
    )


def read_jsonl(file: Path, problems: Problems) -> list[Example]:
    """Read one file; empty lines are passed over. ``group`` is taken where a line has it.

    Raises:
        UserError: the file cannot be read, or a line is wrong and must not be skipped.
    """
    examples = []
    try:
        # split on line ends alone: JSON text may hold other characters that count as line breaks
        lines = file.read_text(encoding="utf-8-sig").split("\n")
    except FileNotFoundError:
        raise UserError(f"{file}: there is no such file") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{file}: not UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror}") from None
    for number, line in enumerate(lines, start=1):
        if line.strip():
            example = _example(line, f"{file.stem}-{number}", f"{file}:{number}", problems)
            if example is not None:
                examples.append(example)
    return examples


def _example(line: str, name: str, where: str, problems: Problems) -> Example | None:
    try:
        entry = json.loads(line)
    except json.JSONDecodeError as error:
        problems.note(where, f"not valid JSON: {error.msg} (column {error.colno})", "not JSON")
        return None
    except RecursionError:
        problems.note(where, "nested too deeply", "not JSON")
        return None
    except ValueError as error:
        problems.note(where, f"not valid JSON: {error}", "not JSON")
        return None
    if not isinstance(entry, dict):
        problems.note(where, "must be an object with the keys 'prompt' and 'target'", "not an object")
        return None
    for key in ("prompt", "target"):
        if not isinstance(entry.get(key), str) or not entry[key]:
            problems.note(where, f"has no {key} (key {key!r}, text)", f"no {key}")
            return None
        if not entry[key].strip():
            problems.note(where, f"its {key} is blank", f"a blank {key}")
            return None
        if not is_unicode(entry[key]):
            problems.note(where, f"its {key} holds half a character (a lone surrogate)", "half a character")
            return None
    group = entry.get("group")
    return Example(name, entry["prompt"], entry["target"], group=None if group is None else str(group))
