"""Any task of prompts and targets: one JSON object a line, with ``prompt`` and ``target``."""

from __future__ import annotations

import json
from pathlib import Path

from kdzoo.data.config import JsonlData
from kdzoo.data.example import Example, Splits
from kdzoo.errors import UserError


def load_jsonl(config: JsonlData) -> Splits:
    """Read both files.

    Raises:
        UserError: a file is missing or a line is not as it should be; the message names file and line.
    """
    return Splits(
        read_lines(Path(config.train)), read_lines(Path(config.evaluation)), task="text", metric="text"
    )


def read_lines(path: Path) -> list[Example]:
    """Read one file; empty lines are passed over."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    examples = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            prompt, target = _fields(path, number, line)
            examples.append(Example(f"{path.stem}-{number}", prompt, target, question=prompt))
    if not examples:
        raise UserError(f"{path}: holds no example")
    return examples


def _fields(path: Path, number: int, line: str) -> tuple[str, str]:
    try:
        content = json.loads(line)
    except json.JSONDecodeError as error:
        raise UserError(f"{path}:{number}: not valid JSON: {error.msg}") from None
    if not isinstance(content, dict):
        raise UserError(f'{path}:{number}: must be an object with "prompt" and "target"')
    values = []
    for key in ("prompt", "target"):
        value = content.get(key)
        if not isinstance(value, str) or not value:
            raise UserError(f'{path}:{number}: has no text under "{key}"')
        values.append(value)
    return values[0], values[1]
