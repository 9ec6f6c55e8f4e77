"""Data that the ``datasets`` library reads: by a hub name, or from a local folder or file, in the field's usual forms."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from kdzoo.errors import UserError
from kdzoo.spelling import did_you_mean
from kdzoo.tasks.dataset import DataConfig, Dataset, Inputs, OnError, Part
from kdzoo.tasks.example import Example, Splits
from kdzoo.tasks.text.rows import Turn, WrongRows, conversation_of, pair_of, split_text
from kdzoo.tasks.text.splits import Table, read_split

# The columns of each form, in the order in which they are looked for.
_FORMS = (("messages",), ("prompt", "completion"), ("prompt", "target"), ("text",))


class Columns(BaseModel):
    """What the data call their columns, where that is not the field's usual name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    messages: str | None = Field(None, description="conversations: lists of messages with role and content")
    prompt: str | None = Field(None, description="prompts, as text or as messages")
    completion: str | None = Field(None, description="what follows a prompt, as text or as messages")
    target: str | None = Field(None, description="the same, as text")
    text: str | None = Field(None, description="prompt, separator and target in one text")
    group: str | None = Field(
        None, description="what examples share the beginning of their prompts with, for group_by"
    )


class HuggingFaceData(DataConfig):
    """Data that the datasets library reads, in the field's usual forms."""

    kind: Literal["hf"]
    path: str = Field(
        description="a hub name, or a local folder or file: Parquet, JSON lines, CSV, Arrow, or what save_to_disk has left"
    )
    subset: str | None = Field(None, description="a configuration of the dataset, where it has several")
    revision: str | None = Field(None, description="the revision of a hub name, so that data stay the same")
    train: str | None = Field(
        "train",
        description="the split that is trained on, or a part of it: train[:90%]. A single file is the split train",
    )
    evaluation: str | None = Field(None, description="the split that is evaluated on, or a part of it")
    columns: Columns | None = Field(
        None,
        description="names of columns by what they hold: messages, prompt, completion, target, text, group; unless given, "
        "these very names. The forms are messages, prompt and completion, prompt and target, and text",
    )
    separator: str | None = Field(
        None, min_length=1, description="of the form text: the last one in a text ends its prompt"
    )
    turns: Literal["last", "all"] = Field(
        "last",
        description="which of the assistant's turns in a conversation are learnt; each of all is an example of its own, "
        "after what was said before it. Evaluation asks for the last",
    )
    max_train: int | None = Field(None, ge=1, description="the first so many rows of train; all unless given")
    max_evaluation: int | None = Field(
        None, ge=1, description="the first so many rows of evaluation; all unless given"
    )
    on_error: OnError = Field("raise", description="skip: leave rows that cannot be used out, and count them")


def load_hugging_face(config: HuggingFaceData, cache: Path) -> Splits:
    """Read the splits that are named. What the library makes of local files is kept below ``cache``.

    Raises:
        UserError: the library is missing, the data or a split or a column of theirs, or rows cannot be used and must not be
            skipped: how many, why, and which.
    """
    report: dict[str, int] = {}
    parts: dict[str, list[Example]] = {}
    for part, split, most in (
        ("train", config.train, config.max_train),
        ("evaluation", config.evaluation, config.max_evaluation),
    ):
        parts[part] = []
        if split is not None:
            table = read_split(config.path, config.subset, config.revision, split, f"data.{part}", cache)
            wrong = WrongRows(f"{config.path}, split {split}", config.on_error)
            parts[part] = list(_examples(config, table, split, part == "train", most, wrong))
            for reason, count in wrong.finish().items():
                report[reason] = report.get(reason, 0) + count
    return Splits(parts["train"], parts["evaluation"], report=report)


def _examples(
    config: HuggingFaceData, table: Table, split: str, trained: bool, most: int | None, wrong: WrongRows
) -> Iterator[Example]:
    form, names = _form(config, table, split)
    group = _named(config, "group", table, split)
    for number, row in enumerate(table.rows([*names, *([group] if group else [])], most)):
        found = _turns(config, form, [row[column] for column in names], trained)
        if isinstance(found, str):
            wrong.note(number, found)
            continue
        for place, turn in enumerate(found):
            several = form == ("messages",) and config.turns == "all" and trained
            yield Example(
                f"{split}-{number}-{place}" if several else f"{split}-{number}",
                turn.prompt,
                turn.target,
                # the turns of one conversation begin alike
                group=str(row[group]) if group else f"{split}-{number}" if several else None,
                earlier=turn.earlier,
            )


def _turns(
    config: HuggingFaceData, form: tuple[str, ...], values: list[Any], trained: bool
) -> list[Turn] | str:
    """What of a row is asked and learnt, or why it cannot be used."""
    if form == ("messages",):
        return conversation_of(values[0], all_turns=trained and config.turns == "all")
    if form == ("text",):
        assert config.separator is not None
        return split_text(values[0], config.separator)
    return pair_of(*values)


def _form(config: HuggingFaceData, table: Table, split: str) -> tuple[tuple[str, ...], list[str]]:
    """The form of the rows, and the columns that hold its parts.

    Raises:
        UserError: a column is not there, or none of the forms is.
    """
    given = {what for what, column in config.columns or Columns() if column is not None and what != "group"}
    named = {what: _named(config, what, table, split) for form in _FORMS for what in form}
    for form in _FORMS:
        if given <= set(form) and all(named[what] for what in form):
            if form == ("text",) and config.separator is None:
                raise UserError(
                    f"{config.path}: the column {named['text']!r} holds prompt and target in one text; add separator, what "
                    'stands between them, for example separator = "### Answer:\\n"'
                )
            return form, [str(named[what]) for what in form]
    columns = ", ".join(table.columns)
    raise UserError(
        f"{config.path}: the split {split} has the columns {columns}, and none of the forms: messages; prompt and completion; "
        "prompt and target; text. data.columns names them, for example columns = { prompt = "
        f'"{table.columns[0]}", target = "{table.columns[-1]}" }}'
    )


def _named(config: HuggingFaceData, what: str, table: Table, split: str) -> str | None:
    """The column of that meaning; None where none is named and none is called so."""
    named = getattr(config.columns, what, None)
    if named is None:
        return what if what in table.columns else None
    if named not in table.columns:
        raise UserError(
            f"{config.path}: data.columns.{what}: the split {split} has no column {named!r}{did_you_mean(named, table.columns)}; it has "
            f"{', '.join(table.columns)}"
        )
    return str(named)


def _part(config: HuggingFaceData, part: Part) -> HuggingFaceData | None:
    if getattr(config, part) is None:
        return None
    other = {"train": "evaluation", "evaluation": "train"}[part]
    others: dict[str, Any] = {other: None, f"max_{other}": None}
    if part == "evaluation":
        others["turns"] = "last"
    return config.model_copy(update=others)


def _inputs(config: HuggingFaceData) -> Inputs:
    """Local files; what a hub name gives depends on its revision."""
    path = Path(config.path).expanduser()
    if path.is_dir():
        return Inputs([file for file in path.rglob("*") if file.is_file()])
    return Inputs([path] if path.is_file() else [])


HUGGING_FACE = Dataset(
    name="hf",
    summary="data that the datasets library reads, from a hub or local files, in the field's usual forms",
    config=HuggingFaceData,
    load=load_hugging_face,
    metrics=("exact_match", "rouge_l", "exaccerr"),
    default_metrics=("exact_match", "rouge_l"),
    hub_keys=("path",),
    part=_part,
    inputs=_inputs,
    code=("kdzoo.tasks.entries",),
    little={"max_train": 64, "max_evaluation": 8},
)
