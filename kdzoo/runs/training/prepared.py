"""What a method prepares of each prompt before a training starts, kept on disk as it comes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from kdzoo.engine.prompts.batches import EncodedExample, make_batch
from kdzoo.engine.training.distillation_module import DistillationModule
from kdzoo.files import temporary_name
from kdzoo.recipe import Training
from kdzoo.runs.context import RunContext
from kdzoo.runs.training.clock import Clock

_FOLDER = "prepared"
_SEPARATOR = "/"


def with_prepared(
    context: RunContext,
    name: str,
    folder: Path,
    module: DistillationModule,
    examples: list[EncodedExample],
    training: Training,
) -> tuple[list[EncodedExample], float]:
    """Let the module's method prepare all examples, or continue where an interrupted start stopped.

    Gives the examples with what was prepared of them, and the seconds that it has taken over all starts.
    """
    kept = kept_tensors(folder / _FOLDER)
    missing = [example for example in examples if example.index not in kept]
    context.reporter.start(f"{name}: the method prepares", len(examples), len(examples) - len(missing))
    (folder / _FOLDER).mkdir(exist_ok=True)
    clock = Clock(folder / "prepared_seconds")
    device = next(module.student.parameters()).device
    try:
        for rows in _batches(missing, training.part_size):
            batch = make_batch(rows, share_beginnings=module.shares_beginnings)
            with torch.autocast(device.type, torch.bfloat16, enabled=training.precision == "bf16"):
                prepared = module.prepare(batch.to(device))
            new = {
                index: {name: tensor[row] for name, tensor in prepared.items()}
                for row, index in enumerate(batch.examples)
            }
            _save(folder / _FOLDER / f"{batch.examples[0]}.safetensors", new)
            kept |= new
            context.reporter.advance(len(kept))
            clock.keep()
    finally:
        seconds = clock.stop()
    context.reporter.stop()
    return [replace(example, prepared=kept[example.index]) for example in examples], seconds


def kept_tensors(folder: Path) -> dict[int, dict[str, Tensor]]:
    """The tensors by name that earlier starts have prepared, by the examples' numbers."""
    kept: dict[int, dict[str, Tensor]] = {}
    for file in sorted(folder.glob("*.safetensors")):
        try:
            tensors = load_file(file)
        except (SafetensorError, OSError):
            continue  # damaged: made again
        for key, tensor in tensors.items():
            index, _, name = key.partition(_SEPARATOR)
            kept.setdefault(int(index), {})[name] = tensor
    return kept


def _batches(examples: list[EncodedExample], size: int) -> Iterator[list[EncodedExample]]:
    """Examples whose prompts begin alike are prepared together."""
    ordered = sorted(examples, key=lambda example: (example.prompt, example.index))
    for start in range(0, len(ordered), size):
        yield ordered[start : start + size]


def _save(file: Path, rows: Mapping[int, Mapping[str, Tensor]]) -> None:
    tensors = {
        f"{index}{_SEPARATOR}{name}": tensor.contiguous()
        for index, row in rows.items()
        for name, tensor in row.items()
    }
    temporary = temporary_name(file)
    save_file(tensors, temporary)
    temporary.rename(file)
