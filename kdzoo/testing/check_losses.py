"""Checks of ``divergence`` and ``aux_loss``."""

from __future__ import annotations

import torch
from torch import Tensor

from kdzoo.testing.case import SEEDS, Case
from kdzoo.testing.table_model import RandomBatch, TableStep


def check_divergence(case: Case, dtype: torch.dtype) -> None:
    """One finite number for each token, gradients to the student only, inputs untouched."""
    for step in case.steps():
        tokens = case.make(step).scored
        leaves = [logits.to(dtype).requires_grad_() for logits in _logits(step)]
        # clones, as autograd itself refuses changes in place of leaves, in words of its own
        student, teacher = (leaf.clone() for leaf in leaves)
        losses = case.divergence(step, student, teacher, tokens)
        what = f"{case.name}: divergence"
        assert isinstance(losses, Tensor), f"{what} must give a tensor, not {type(losses).__name__}"
        assert losses.shape == (len(tokens),), (
            f"{what} must give one number per token, [{len(tokens)}], not {list(losses.shape)}"
        )
        assert bool(losses.isfinite().all()), f"{what} is not finite on logits of {dtype}"
        assert losses.requires_grad, f"{what} gives the student no gradient"
        assert torch.equal(student, leaves[0]), f"{what} changes student_logits in place"
        assert torch.equal(teacher, leaves[1]), f"{what} changes teacher_logits in place"
        of_student, of_teacher = torch.autograd.grad(losses.sum(), leaves, allow_unused=True)
        assert of_student is not None, f"{what} gives the student no gradient"
        assert bool(of_student.isfinite().all()), f"{what} has a gradient that is not finite"
        assert of_teacher is None or not bool(of_teacher.any()), (
            f"{what} gives the teacher a gradient; use teacher_logits.detach()"
        )


def check_chunks(case: Case) -> None:
    """A token's loss does not depend on the tokens beside it."""
    for step in case.steps():
        tokens = case.make(step).scored
        student, teacher = _logits(step)
        parts = [slice(start, start + 3) for start in range(0, len(tokens), 3)]
        with torch.no_grad():
            whole = case.divergence(step, student, teacher, tokens)
            chunks = [case.divergence(step, student[p], teacher[p], tokens[p]) for p in parts]
        torch.testing.assert_close(
            torch.cat(chunks),
            whole,
            rtol=1e-4,
            atol=1e-6,
            msg=f"{case.name}: a token's divergence depends on the other tokens that it is computed with",
        )


def check_minimum(case: Case) -> None:
    """The loss is smallest, and without gradient, where student and teacher agree."""
    hint = "where the student agrees with the teacher (zero_at_teacher=False if that is meant)"
    for step in case.steps():
        tokens = case.make(step).scored
        student, teacher = _logits(step)
        same = teacher.clone().requires_grad_()
        at_teacher = case.divergence(step, same, teacher, tokens)
        (gradient,) = torch.autograd.grad(at_teacher.sum(), same)
        elsewhere = case.divergence(step, student, teacher, tokens)
        assert bool((at_teacher <= elsewhere + 1e-5).all()), f"{case.name}: divergence is not smallest {hint}"
        assert gradient.abs().max().item() < 1e-4, f"{case.name}: divergence has a gradient {hint}"


def check_aux_loss(case: Case) -> None:
    """A finite number with gradients, which adds up over the parts of a split batch."""
    for seed in SEEDS:
        batch = RandomBatch(seed=seed, dtype=torch.float64)
        whole, _ = _aux_loss(case, case.step(batch))
        if whole is None:
            continue
        assert bool(whole.isfinite()), f"{case.name}: aux_loss gave {whole.item()}"
        assert whole.requires_grad, f"{case.name}: aux_loss gives the student no gradient"
        (gradient,) = torch.autograd.grad(whole, batch.student.table, allow_unused=True)
        assert gradient is not None, f"{case.name}: aux_loss gives the student no gradient"
        parts = [_aux_loss(case, case.step(batch, rows)) for rows in ([0, 1], [2, 3, 4])]
        count = sum(tokens for _, tokens in parts)
        summed = sum(loss.item() * tokens for loss, tokens in parts if loss is not None) / count
        assert abs(summed - whole.item()) <= 1e-6 * max(1.0, abs(whole.item())), (
            f"{case.name}: the aux_loss of a split batch, weighted by the targets' tokens, does not add up "
            "to that of the whole: it must be a mean over the ground truth's tokens"
        )


def _aux_loss(case: Case, step: TableStep) -> tuple[Tensor | None, int]:
    case.make(step)
    loss: Tensor | None = case.hooks.aux_loss(step=step, options=case.options)
    if loss is not None:
        assert isinstance(loss, Tensor), f"{case.name}: aux_loss must give a tensor or None, not {loss!r}"
        assert loss.numel() == 1, f"{case.name}: aux_loss must give one number, not {list(loss.shape)}"
        loss = loss.reshape(())
    return loss, int(step.target.lengths.sum())


def _logits(step: TableStep) -> tuple[Tensor, Tensor]:
    """Student's and teacher's logits of the scored tokens, [N, V], without gradients."""
    sequences = step.training_sequence
    with torch.no_grad():
        student, teacher = step.student.logits(sequences), step.teacher.logits(sequences)
    return student[sequences.mask], teacher[sequences.mask]
