"""Checks of ``make_training_sequence``."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from kdzoo.methods.sequences import Sequences
from kdzoo.methods.source import Kind
from kdzoo.testing.case import SEEDS, Case
from kdzoo.testing.table_model import VOCABULARY, RandomBatch


def check_sequences(case: Case) -> None:
    """The sequences have legal shapes, types, ids and kinds, and the ground truth is untouched."""
    for step in case.steps():
        target = step.target
        before = target.tokens.clone(), target.lengths.clone(), target.kinds.clone()
        sequences = case.make(step)
        now = step.target.tokens, step.target.lengths, step.target.kinds
        assert all(map(torch.equal, now, before)), f"{case.name}: make_training_sequence changed step.target"
        rows, width = sequences.tokens.shape
        where = f"{case.name}: make_training_sequence:"
        assert rows == step.target.tokens.shape[0] * sequences.per_prompt, (
            f"{where} {rows} sequences for {step.target.tokens.shape[0]} prompts, {sequences.per_prompt} each"
        )
        for field in ("tokens", "lengths", "kinds"):
            assert getattr(sequences, field).dtype == torch.int64, f"{where} {field} must be int64"
        assert sequences.lengths.shape == (rows,), f"{where} lengths must have shape [{rows}]"
        assert sequences.kinds.shape == (rows,), f"{where} kinds must have shape [{rows}]"
        assert bool(((sequences.lengths >= 0) & (sequences.lengths <= width)).all()), (
            f"{where} lengths must lie between 0 and {width}, the width of tokens"
        )
        ids = sequences.scored.ids
        assert bool(((ids >= 0) & (ids < VOCABULARY)).all()), f"{where} a token id outside the vocabulary"
        assert set(sequences.kinds.tolist()) <= set(Kind), f"{where} kinds must be values of kdzoo.Kind"


def check_randomness(case: Case) -> None:
    """The same step gives the same sequences, and no global generator moves."""
    for seed in SEEDS:
        batch = RandomBatch(seed=seed)
        with _global_generators_kept():
            before = _global_generators()
            first = _rows(case.make(case.step(batch)))
            assert _global_generators() == before, (
                f"{case.name}: make_training_sequence draws from a global generator; use step.generator"
            )
            again = _rows(case.make(case.step(batch)))
        assert first == again, f"{case.name}: make_training_sequence gives two results for the same step"


def check_split(case: Case) -> None:
    """A row's sequences do not depend on the rows beside it."""
    for seed in SEEDS:
        batch = RandomBatch(seed=seed)
        sequences = case.make(case.step(batch))
        whole = _rows(sequences)
        for parts in ([[0, 1], [2, 3, 4]], [[3], [1, 4, 0], [2]]):
            for part in parts:
                given = _rows(case.make(case.step(batch, part)))
                per_prompt = sequences.per_prompt
                expected = [row for i in part for row in whole[i * per_prompt : (i + 1) * per_prompt]]
                assert given == expected, (
                    f"{case.name}: make_training_sequence gives other sequences "
                    "when a batch is split or reordered"
                )


def _rows(sequences: Sequences) -> list[tuple[int, list[int]]]:
    """Each sequence's kind and tokens, without padding."""
    return [
        (kind, tokens[:length])
        for kind, tokens, length in zip(
            sequences.kinds.tolist(), sequences.tokens.tolist(), sequences.lengths.tolist(), strict=True
        )
    ]


@contextmanager
def _global_generators_kept() -> Iterator[None]:
    torch_state, python_state, numpy_state = torch.get_rng_state(), random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        torch.set_rng_state(torch_state)
        random.setstate(python_state)
        np.random.set_state(numpy_state)


def _global_generators() -> list[str]:
    return [str(torch.get_rng_state().tolist()), str(random.getstate()), str(np.random.get_state())]
