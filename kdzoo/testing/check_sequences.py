"""Checks of ``make_training_sequence``."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from kdzoo.methods.sequences import Sequences
from kdzoo.methods.source import Source
from kdzoo.testing.case import SEEDS, Case
from kdzoo.testing.check import Check
from kdzoo.testing.check_state import after_step_keeps_numbers, sequences_are_made
from kdzoo.testing.conditioned_table import VOCABULARY
from kdzoo.testing.global_generators import global_generators, global_generators_kept
from kdzoo.testing.table_model import RandomBatch


def sequences_leave_the_target_alone(case: Case) -> None:
    """The ground truth is not changed in place."""
    for step in case.steps():
        before = step.target.tokens.clone(), step.target.lengths.clone(), step.target.sources.clone()
        case.make(step)
        now = step.target.tokens, step.target.lengths, step.target.sources
        assert all(map(torch.equal, now, before)), f"{case.name}: make_training_sequence changed step.target"


def sequences_fit_their_prompts(case: Case) -> None:
    """Every prompt has its sequences, with legal shapes, types and lengths."""
    where = f"{case.name}: make_training_sequence:"
    for step in case.steps():
        sequences = case.make(step)
        rows, width = sequences.tokens.shape
        assert rows == step.target.tokens.shape[0] * sequences.per_prompt, (
            f"{where} {rows} sequences for {step.target.tokens.shape[0]} prompts, {sequences.per_prompt} each"
        )
        for field in ("tokens", "lengths", "sources"):
            assert getattr(sequences, field).dtype == torch.int64, f"{where} {field} must be int64"
        assert sequences.lengths.shape == (rows,), f"{where} lengths must have shape [{rows}]"
        assert sequences.sources.shape == (rows,), f"{where} sources must have shape [{rows}]"
        assert bool(((sequences.lengths >= 0) & (sequences.lengths <= width)).all()), (
            f"{where} lengths must lie between 0 and {width}, the width of tokens"
        )


def sequences_are_of_the_vocabulary(case: Case) -> None:
    """Every token id is one of the vocabulary's."""
    for step in case.steps():
        ids = case.make(step).scored.ids
        assert bool(((ids >= 0) & (ids < VOCABULARY)).all()), (
            f"{case.name}: make_training_sequence: a token id outside the vocabulary"
        )


def sequences_name_their_source(case: Case) -> None:
    """The sources are values of kdzoo.Source."""
    for step in case.steps():
        assert set(case.make(step).sources.tolist()) <= set(Source), (
            f"{case.name}: make_training_sequence: sources must be values of kdzoo.Source"
        )


def sequences_come_from_the_declared_sources(case: Case) -> None:
    """With the default options every sequence is of a source that the method's description names."""
    method = case.plugin.method
    # what is not declared is derived, and the ground truth may stand beside what the teacher or the student generates
    derived = {Source.GROUND_TRUTH} if method.sources is None else set()
    for step in case.steps():
        found = {Source(source) for source in case.make(step).sources.tolist()}
        others = sorted(found - set(method.usual_sources) - derived)
        assert not others, (
            f"{case.name}: make_training_sequence gives sequences of {_named(others)}, but the description says "
            f"{_named(method.usual_sources)}: let Method.sources name all that it may give, or rewritten() "
            "say another source"
        )


def sequences_keep_the_lengths_that_options_promise(case: Case) -> None:
    """Where the options say keeps_target_lengths, each prompt's one sequence is as long as its target."""
    for step in case.steps():
        sequences = case.make(step)
        kept = sequences.per_prompt == 1 and torch.equal(sequences.lengths, step.target.lengths)
        assert kept or not case.options.keeps_target_lengths, (
            f"{case.name}: make_training_sequence gives other lengths than the target's, "
            "but the options say keeps_target_lengths"
        )


def random_choices_come_from_the_step(case: Case) -> None:
    """No global generator moves."""
    for seed in SEEDS:
        step = case.step(RandomBatch(seed=seed))
        with global_generators_kept():
            before = global_generators()
            case.make(step)
            assert global_generators() == before, (
                f"{case.name}: make_training_sequence draws from a global generator; use step.generator"
            )


def the_same_step_gives_the_same_sequences(case: Case) -> None:
    """Nothing that is kept from call to call counts."""
    for seed in SEEDS:
        batch = RandomBatch(seed=seed)
        first, again = (_rows(case.make(case.step(batch))) for _ in range(2))
        assert first == again, f"{case.name}: make_training_sequence gives two results for the same step"


def sequences_do_not_depend_on_other_rows(case: Case) -> None:
    """A row's sequences are the same however a batch is split or reordered."""
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


def _named(sources: Iterable[Source]) -> str:
    return " and ".join(f"Source.{source.name}" for source in sources)


def _has_default_options(case: Case) -> bool:
    return case.options == type(case.options)()


def _rows(sequences: Sequences) -> list[tuple[int, list[int]]]:
    """Each sequence's source and tokens, without padding."""
    return [
        (source, tokens[:length])
        for source, tokens, length in zip(
            sequences.sources.tolist(), sequences.tokens.tolist(), sequences.lengths.tolist(), strict=True
        )
    ]


_MADE = (sequences_are_made, after_step_keeps_numbers)
_LEGAL = (*_MADE, sequences_fit_their_prompts)

CHECKS = [
    Check(sequences_leave_the_target_alone, needs=_MADE),
    Check(sequences_fit_their_prompts, needs=_MADE),
    Check(sequences_are_of_the_vocabulary, needs=_LEGAL),
    Check(sequences_name_their_source, needs=_LEGAL),
    Check(
        sequences_come_from_the_declared_sources,
        needs=(*_LEGAL, sequences_name_their_source),
        applies=_has_default_options,
        otherwise="does not apply to other options than the defaults",
    ),
    Check(sequences_keep_the_lengths_that_options_promise, needs=_LEGAL),
    Check(random_choices_come_from_the_step, needs=_MADE),
    # what is drawn elsewhere differs from call to call, and from row to row
    Check(the_same_step_gives_the_same_sequences, needs=(*_LEGAL, random_choices_come_from_the_step)),
    Check(sequences_do_not_depend_on_other_rows, needs=(*_LEGAL, the_same_step_gives_the_same_sequences)),
]
