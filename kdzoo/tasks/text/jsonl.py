"""Any task of prompts and targets: one JSON object a line, with the keys ``prompt`` and ``target``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import Field

from kdzoo.files import NotJSONError, parse_json, read_text
from kdzoo.tasks.dataset import DataConfig, Dataset, OnError, Part
from kdzoo.tasks.entries import WrongEntries, is_unicode
from kdzoo.tasks.example import Example, Splits


class JsonlData(DataConfig):
    """Any task of prompts and targets, one JSON object a line."""

    kind: Literal["jsonl"]
    train: str | None = Field(None, description="the file that is trained on")
    evaluation: str | None = Field(None, description="the file that is evaluated on")
    on_error: OnError = Field("raise", description="skip: leave wrong lines out, and count them")


def load_jsonl(config: JsonlData, cache: Path) -> Splits:
    """Read the training and the evaluation file, those that are named. Nothing is cached.

    Raises:
        UserError: a file cannot be read, or a line is wrong and must not be skipped.
    """
    problems = WrongEntries(config.on_error)
    train, evaluation = (
        [] if named is None else read_jsonl(Path(named).expanduser(), problems)
        for named in (config.train, config.evaluation)
    )
    return Splits(train, evaluation, report=problems.report)


def read_jsonl(file: Path, problems: WrongEntries) -> list[Example]:
    """Read one file; empty lines are passed over. ``group`` is taken where a line has it.

    Raises:
        UserError: the file cannot be read, or a line is wrong and must not be skipped.
    """
    examples = []
    # split on line ends alone: JSON text may hold other characters that count as line breaks
    for number, line in enumerate(re.split(r"\r\n?|\n", read_text(file)), start=1):
        if line.strip():
            example = _example(line, f"{file.stem}-{number}", f"{file}:{number}", problems)
            if example is not None:
                examples.append(example)
    return examples


def _example(line: str, name: str, where: str, problems: WrongEntries) -> Example | None:
    try:
        entry = parse_json(line)
    except NotJSONError as error:
        problems.note(where, str(error), "not JSON")
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


def _part(config: JsonlData, part: Part) -> JsonlData | None:
    other = {"train": "evaluation", "evaluation": "train"}[part]
    return None if getattr(config, part) is None else config.model_copy(update={other: None})


JSONL = Dataset(
    name="jsonl",
    summary="prompts and targets from files with one JSON object a line",
    config=JsonlData,
    load=load_jsonl,
    metrics=("exact_match", "rouge_l", "exaccerr"),
    default_metrics=("exact_match", "rouge_l"),
    file_keys=("train", "evaluation"),
    part=_part,
    code=("kdzoo.tasks.entries",),
)
