"""What models have answered, as tables in TensorBoard and Weights & Biases, where a recipe's loggers name them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from kdzoo.report.printable import printable
from kdzoo.tasks.example import Example

_ROWS = 50
_LONGEST = 2000
_CUT = "…"
FOLDER = "tensorboard"

# What Markdown takes for more than itself, and HTML; written as a number it is the character alone.
_MARKUP = "\\`*_{}[]()#+-.!|<>~&$:"
_ENTITIES = str.maketrans({**{mark: f"&#{ord(mark)};" for mark in _MARKUP}, "\n": "<br>", "\t": " "})


@dataclass(frozen=True)
class Sample:
    """One question, its gold target, what was answered, and what metrics and judges say of it."""

    question: str
    gold: str
    prediction: str
    verdicts: Mapping[str, Any] = field(default_factory=dict)


def samples_of(
    examples: Sequence[Example], predictions: Sequence[str], lines: Sequence[Mapping[str, Any]]
) -> list[Sample]:
    """What was answered to each example, with what metrics have written beside it, if they have."""
    return [
        Sample(
            example.question or example.prompt,
            example.target,
            prediction,
            {key: value for key, value in line.items() if not isinstance(value, list | dict)},
        )
        for example, prediction, line in zip(
            examples, predictions, lines or [{}] * len(examples), strict=True
        )
    ]


class TextWriter(Protocol):
    """What TensorBoard's SummaryWriter has."""

    def add_text(self, tag: str, text_string: str, global_step: int | None = None) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class SampleTrackers:
    """Sends samples where ``loggers`` say; other loggers than the two show no tables.

    TensorBoard's files come into the stage's ``folder``, or where TENSORBOARD_LOGGING_DIR says, under the names of ``run`` and
    ``stage``. Weights & Biases gets them in the run that is open, else in one of these names.
    """

    loggers: Sequence[str]
    run: str
    stage: str
    folder: Path
    say: Callable[[str], None]

    def show(self, title: str, samples: Sequence[Sample], step: int | None = None) -> None:
        """Send a table of at most 50 samples, from the first to the last and evenly between.

        What a tracker refuses is told, and nothing else: the scores do not depend on it.
        """
        chosen = [samples[place] for place in spread(len(samples), _ROWS)]
        for logger, send in (("tensorboard", self._to_tensorboard), ("wandb", self._to_wandb)):
            if logger in self.loggers and chosen:
                try:
                    send(title, chosen, step)
                except Exception as error:  # each has errors of its own, those of its network among them
                    reason = " ".join(str(error).split()) or type(error).__name__
                    self.say(f"{title}: samples are not sent to {logger}: {reason}")

    def _to_tensorboard(self, title: str, samples: Sequence[Sample], step: int | None) -> None:
        given = os.environ.get("TENSORBOARD_LOGGING_DIR")
        folder = self.folder / FOLDER if given is None else Path(given).expanduser() / self.run / self.stage
        writer = summary_writer(folder)
        try:
            writer.add_text(title, markdown_table(samples), step)
        finally:
            writer.close()

    def _to_wandb(self, title: str, samples: Sequence[Sample], step: int | None) -> None:
        wandb = import_module("wandb")
        columns, rows = table_of(samples)
        with _wandb_run(wandb, f"{self.run}/{self.stage}") as run:
            when = {} if step is None else {"train/global_step": step}
            run.log({title: wandb.Table(columns=columns, data=rows), **when})


def summary_writer(folder: Path) -> TextWriter:
    """TensorBoard's writer of files into a folder, of the package that transformers' logger uses."""
    try:
        package = import_module("torch.utils.tensorboard")
    except ImportError:
        package = import_module("tensorboardX")
    writer: TextWriter = package.SummaryWriter(log_dir=str(folder))
    return writer


@contextmanager
def _wandb_run(wandb: Any, name: str) -> Iterator[Any]:
    """The run that the training's logger has begun, or one for the block."""
    if wandb.run is not None:
        yield wandb.run
        return
    run = wandb.init(project=os.environ.get("WANDB_PROJECT", "huggingface"), name=name)
    try:
        yield run
    finally:
        run.finish()


def table_of(samples: Sequence[Sample]) -> tuple[list[str], list[list[str]]]:
    """Names of columns, and a row of texts for each sample; verdicts that only some have are empty for the others."""
    verdicts = list(dict.fromkeys(name for sample in samples for name in sample.verdicts))
    rows = [
        [
            *map(_cut, (sample.question, sample.gold, sample.prediction)),
            *(_verdict(sample.verdicts.get(name)) for name in verdicts),
        ]
        for sample in samples
    ]
    return ["question", "gold", "prediction", *verdicts], rows


def markdown_table(samples: Sequence[Sample]) -> str:
    """The table in Markdown; what stands in its cells is text, whatever marks it has."""
    columns, rows = table_of(samples)
    lines = [columns, ["---"] * len(columns), *([_escaped(text) for text in row] for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def spread(count: int, wanted: int) -> list[int]:
    """At most ``wanted`` numbers below ``count``, from the first to the last and evenly between."""
    steps = max(1, wanted - 1)
    return sorted({round(i * (count - 1) / steps) for i in range(wanted)}) if count else []


def _verdict(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "right" if value else "wrong"
    return f"{value:.3f}" if isinstance(value, float) else _cut(str(value))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + _CUT


def _escaped(text: str) -> str:
    return printable(text.replace("\r\n", "\n")).translate(_ENTITIES)
