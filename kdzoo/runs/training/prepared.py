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
from kdzoo.files import remove_leftovers, temporary_name
from kdzoo.recipe import Training
from kdzoo.runs.context import RunContext
from kdzoo.runs.training.clock import Clock
from kdzoo.runs.training.drawn import drawn

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
    """Let the module's method prepare the examples that are drawn, or continue where an interrupted start stopped.

    Each process has its share of them, and all get all. Gives the examples with what was prepared of them, and the seconds
    that it has taken over all starts.
    """
    kept = kept_tensors(folder / _FOLDER)
    processes = context.processes
    needed = drawn(examples, training, module.seed)
    missing = processes.share(_in_order([example for example in needed if example.index not in kept]))
    context.reporter.start(f"{name}: the method prepares", len(kept) + len(missing), len(kept))
    (folder / _FOLDER).mkdir(exist_ok=True)
    if processes.is_main:
        remove_leftovers(folder / _FOLDER)
    processes.wait()  # until all know what was there before
    clock = Clock(processes.own_folder(folder) / "prepared_seconds")
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
        processes.wait()
    finally:
        seconds = clock.stop()
    context.reporter.stop()
    if processes.count > 1:
        kept = kept_tensors(folder / _FOLDER)
    return [replace(example, prepared=kept.get(example.index)) for example in examples], seconds


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


def _in_order(examples: list[EncodedExample]) -> list[EncodedExample]:
    """Examples whose prompts begin alike are prepared together."""
    return sorted(examples, key=lambda example: (example.prompt, example.index))


def _batches(examples: list[EncodedExample], size: int) -> Iterator[list[EncodedExample]]:
    for start in range(0, len(examples), size):
        yield examples[start : start + size]


def _save(file: Path, rows: Mapping[int, Mapping[str, Tensor]]) -> None:
    tensors = {
        f"{index}{_SEPARATOR}{name}": tensor.contiguous()
        for index, row in rows.items()
        for name, tensor in row.items()
    }
    temporary = temporary_name(file)
    save_file(tensors, temporary)
    temporary.rename(file)
