"""The error of a student at every step after a teacher's or its own prefixes: what ExAccErr is put together from.

For the teacher p, the student q and a prompt x, the error of step t after the prefix y_<t is KL_t = KL(p(.|x, y_<t) ‖
q(.|x, y_<t)), over the whole vocabulary and in nats. The first step is the one that predicts the first token after the
prompt; a sequence's end is a step like any other, and none comes after it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from peft import PeftModel
from torch import Tensor
from transformers import PreTrainedModel

from kdzoo.engine.losses.scored_hidden_states import CHUNK_ELEMENTS, map_tokens
from kdzoo.engine.models.decoder_and_head import shared_vocabulary, vocabulary_of
from kdzoo.engine.prompts.batches import EncodedExample, make_batch
from kdzoo.engine.prompts.conditioned_model import ModelOnPrompts, condition
from kdzoo.engine.prompts.prefix_groups import order_by_prefix
from kdzoo.engine.prompts.probe.choice import choose_way
from kdzoo.engine.prompts.sampling import SamplingLimits
from kdzoo.engine.prompts.way import PrefixCached, Sharing
from kdzoo.methods.divergences import forward_kl
from kdzoo.methods.randomness import StepGenerator
from kdzoo.methods.sequences import Sequences, Source

OraclePrefix = Literal["teacher", "gold"]

# A model that cannot share its prompts gives the logits of all their positions at once: so many at the most.
_ORDINARY_ELEMENTS = 8 * CHUNK_ELEMENTS


@dataclass(frozen=True, eq=False)
class StepErrors:
    """The errors of some sequences after one prompt, step by step.

    ``sums`` float64 [L]: the sum of KL_t, in nats, over the sequences that have a step t. ``going`` float64 [L]: how many
    do. ``sequences``: how many there are. L is the output limit.
    """

    sums: Tensor
    going: Tensor
    sequences: int


@dataclass(frozen=True, eq=False)
class PromptErrors:
    """The errors after one prompt, whose number is ``index``, by whose prefixes they were taken after."""

    index: int
    after_student: StepErrors
    after_oracle: StepErrors


def measure_errors(
    student: PreTrainedModel | PeftModel,
    teacher: PreTrainedModel | PeftModel,
    examples: Sequence[EncodedExample],
    limits: SamplingLimits,
    *,
    prefix: OraclePrefix,
    samples: int,
    batch_size: int,
    seed: int = 0,
    sharing: Sharing = "on",
) -> Iterator[PromptErrors]:
    """Measure the errors after every prompt, in the order that shares most, for ``limits.output`` steps.

    From each prompt ``samples`` sequences are sampled at temperature 1 from the student and, unless the oracle's
    prefixes are the examples' targets (cut to the output limit), from the teacher. Both models are put in eval mode and
    must be on one device. Logits are cut to the vocabulary that the two share, for sampling as for the KL.

    The numbers depend on the seed and the examples' indices alone, not on batches or their order. Student and
    teacher draw their sequences with the same random numbers: neither expectation changes, and where the models
    agree the noise of the two does too, and cancels in the excess.
    """
    student.eval()
    teacher.eval()
    limits = replace(limits, vocabulary=shared_vocabulary(student, teacher))
    rows = [replace(example, target=example.target[: limits.output]) for example in examples]
    prompt = max((len(row.prompt) for row in rows), default=0)
    student_way, teacher_way = (
        choose_way(
            model,
            role,
            prompt=prompt,
            output=limits.output,
            sharing=sharing,
        )
        for model, role in ((student, "student"), (teacher, "teacher"))
    )
    shares = [isinstance(way, PrefixCached) for way in (student_way, teacher_way)]
    if not all(shares):
        elements = (prompt + limits.output) * max(vocabulary_of(student), vocabulary_of(teacher))
        batch_size = min(batch_size, max(1, _ORDINARY_ELEMENTS // elements))
    order = order_by_prefix([row.prompt for row in rows])
    for start in range(0, len(order), batch_size):
        batch = make_batch(
            [rows[i] for i in order[start : start + batch_size]],
            share_beginnings=any(shares),
        ).to(next(student.parameters()).device)
        # a source for each model: the k-th sequences of both are drawn with the same numbers
        own, others = (StepGenerator(seed, 0, batch.examples) for _ in range(2))
        yield from _batch_errors(
            batch.examples,
            condition(student, batch, limits, own, source=Source.STUDENT, way=student_way),
            condition(teacher, batch, limits, others, source=Source.TEACHER, way=teacher_way),
            batch.target if prefix == "gold" else None,
            samples,
        )


def _batch_errors(
    examples: Sequence[int],
    student: ModelOnPrompts,
    teacher: ModelOnPrompts,
    gold: Sequences | None,
    samples: int,
) -> Iterator[PromptErrors]:
    """The errors after each prompt of a batch, one sequence per prompt at a time."""
    with torch.no_grad():
        own = [_kl_by_step(student, teacher, student.generate()) for _ in range(samples)]
        if gold is not None:
            oracle = [_kl_by_step(student, teacher, gold)]
        else:
            oracle = [_kl_by_step(student, teacher, teacher.generate()) for _ in range(samples)]
    return map(PromptErrors, examples, _by_prompt(own), _by_prompt(oracle))


def _by_prompt(samples: list[tuple[Tensor, Tensor]]) -> Iterator[StepErrors]:
    """Add up, for each prompt, what one sequence a prompt has given at a time."""
    sums, going = (torch.stack(some).sum(0) for some in zip(*samples, strict=True))
    return (StepErrors(*both, len(samples)) for both in zip(sums, going.double(), strict=True))


def _kl_by_step(
    student: ModelOnPrompts, teacher: ModelOnPrompts, sequences: Sequences
) -> tuple[Tensor, Tensor]:
    """Float64 [B, L] and bool [B, L] on the CPU: KL_t at each step of each sequence, 0 after its end; and where it goes."""
    of_student, of_teacher = student.eval_states(sequences), teacher.eval_states(sequences)

    known = slice(student.limits.vocabulary)

    def kl(logits: Tensor, part: slice) -> Tensor:
        return forward_kl(logits[:, known], of_teacher.logits(part)[:, known])

    steps = map_tokens(of_student, kl).cpu().double()
    mask = sequences.mask.cpu()
    mask = torch.nn.functional.pad(mask, (0, student.limits.output - mask.shape[1]))
    return steps.new_zeros(mask.shape).masked_scatter(mask, steps), mask
