"""The targets that a teacher generates before a training starts, kept as they come."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kdzoo.engine.measure.beam_search import search_all
from kdzoo.engine.measure.generation import by_prefix, generate_all
from kdzoo.engine.prompts.batches import EncodedExample
from kdzoo.engine.prompts.sampling import SamplingLimits
from kdzoo.methods.method import Decoding
from kdzoo.methods.sequences import Source
from kdzoo.recipe import Training
from kdzoo.runs.context import RunContext
from kdzoo.runs.training.clock import Clock
from kdzoo.runs.training.drawn import drawn

_NAME = "teacher_targets"


def kept_targets(folder: Path) -> dict[int, list[int]]:
    """The token ids that earlier starts of the stage in ``folder`` have generated, by the examples' numbers."""
    kept: dict[int, list[int]] = {}
    for file in sorted(folder.glob(f"{_NAME}*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            try:
                index, ids = json.loads(line)
            except ValueError:
                continue  # the line that was being written when the run was stopped
            kept[index] = ids
    return kept


def _file(folder: Path, process: int) -> Path:
    """Where a process writes what it lets the teacher generate."""
    return folder / (f"{_NAME}-{process}.jsonl" if process else f"{_NAME}.jsonl")


def teacher_targets(
    context: RunContext,
    name: str,
    folder: Path,
    teacher: Any,
    examples: list[EncodedExample],
    limits: SamplingLimits,
    training: Training,
    decoding: Decoding,
    seed: int,
) -> tuple[dict[int, list[int]], float]:
    """Let the teacher generate one target per prompt that is drawn, or continue where an interrupted start stopped.

    Each process has its share of the prompts, and all get all targets. Gives the targets' token ids by the examples' numbers,
    and the seconds that they have taken over all starts.
    """
    done = kept_targets(folder)
    processes = context.processes
    needed = drawn(examples, training, seed)
    missing = processes.share(by_prefix([example for example in needed if example.index not in done]))
    context.reporter.start(f"{name}: teacher generates", len(done) + len(missing), len(done))
    processes.wait()  # until all know what was there before
    clock = Clock(processes.own_folder(folder) / "preparing_seconds")
    try:
        # a line at a time, so that a killed process leaves all but the last one
        with _file(folder, processes.number).open("a", encoding="utf-8", buffering=1) as file:
            file.write("\n")
            for index, ids in _generated(teacher, missing, limits, training, decoding, seed):
                done[index] = ids
                file.write(json.dumps([index, ids]) + "\n")
                context.reporter.advance(len(done))
                clock.keep()
        processes.wait()
    finally:
        seconds = clock.stop()
    context.reporter.stop()
    return (done if processes.count == 1 else kept_targets(folder)), seconds


def _generated(
    teacher: Any,
    examples: list[EncodedExample],
    limits: SamplingLimits,
    training: Training,
    decoding: Decoding,
    seed: int,
) -> Iterator[tuple[int, list[int]]]:
    batch_size = training.batch_size * 2
    if decoding.beams > 1:
        return search_all(
            teacher, examples, limits, role="teacher", beams=decoding.beams, batch_size=batch_size
        )
    return generate_all(
        teacher,
        examples,
        limits,
        source=Source.TEACHER,
        batch_size=batch_size,
        temperature=decoding.temperature,
        seed=seed,
        sharing=training.sharing,
    )
