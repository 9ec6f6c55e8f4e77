"""How student and teacher stand to each other on a step's scored tokens, and how its generated sequences end.

Sums and counts are added up, never means: of chunks, of the parts of a step and of processes. They stay on the device until they
are logged.
"""

from __future__ import annotations

import torch
from torch import Tensor

from kdzoo.methods.sequences import Sequences, Source

# 16 MiB of float32 beside the logits that are at hand.
_PIECE_ELEMENTS = 1 << 22


class Observation:
    """Adds up one batch: float32 [7], the four of the scored tokens and the three of the generated sequences."""

    def __init__(self, device: torch.device) -> None:
        self._of_tokens = torch.zeros(4, device=device)

    @torch.no_grad()
    def compare(self, student_logits: Tensor, teacher_logits: Tensor) -> None:
        """Take the logits [n, V] of both models for n scored tokens. Neither is changed."""
        size = max(1, _PIECE_ELEMENTS // student_logits.shape[-1])
        for start in range(0, len(student_logits), size):
            student, teacher = (logits[start : start + size] for logits in (student_logits, teacher_logits))
            agreeing = (student.argmax(-1) == teacher.argmax(-1)).sum()
            counted = torch.full_like(agreeing, len(student))
            self._of_tokens += torch.stack(
                [counted, agreeing, _entropy(student).sum(), _entropy(teacher).sum()]
            )

    @torch.no_grad()
    def totals(self, sequences: Sequences, end_ids: tuple[int, ...]) -> Tensor:
        """Give all sums: of the tokens compared, and of those of the step's ``sequences`` that a model has generated."""
        by_a_model = (sequences.sources == Source.STUDENT) | (sequences.sources == Source.TEACHER)
        generated = by_a_model & (sequences.lengths > 0)
        last = sequences.tokens.gather(1, (sequences.lengths - 1).clamp_min(0)[:, None])[:, 0]
        has_ended = torch.isin(last, torch.tensor(end_ids, device=last.device))
        of_sequences = [
            generated.sum(),
            (sequences.lengths * generated).sum(),
            (generated & ~has_ended).sum(),
        ]
        return torch.cat([self._of_tokens, torch.stack(of_sequences).to(self._of_tokens)])


def means_of(totals: Tensor) -> dict[str, float]:
    """What is logged of the sums of one optimizer step, over all processes.

    ``agreement`` is the share of scored tokens that both models think most probable alike, ``student_entropy`` and
    ``teacher_entropy`` are in nats per scored token; where no divergence was computed there are none of them. ``generated_length`` is
    in tokens a sequence, the end of sequence included, and ``unfinished`` the share of sequences without one; where none was
    generated, there are neither.
    """
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        totals = totals.clone()
        torch.distributed.all_reduce(totals)
    tokens, agreeing, of_student, of_teacher, sequences, length, unfinished = totals.tolist()
    means = {}
    if tokens:
        means["agreement"] = agreeing / tokens
        means["student_entropy"] = of_student / tokens
        means["teacher_entropy"] = of_teacher / tokens
    if sequences:
        means["generated_length"] = length / sequences
        means["unfinished"] = unfinished / sequences
    return means


def _entropy(logits: Tensor) -> Tensor:
    """-sum p log p of each row of logits [n, V]: float32 [n], in nats."""
    terms: Tensor = torch.special.entr(logits.float().softmax(-1))
    return terms.sum(-1)
