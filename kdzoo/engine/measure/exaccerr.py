"""ExAccErr, the excess accumulated error: how much a student errs because it continues from its own tokens.

Arora et al. 2022, "Why Exposure Bias Matters", with a teacher as the oracle as in Gu et al. 2023 (MiniLLM). For the
teacher p, the student q and a prompt x, the error of step t after the prefix y_<t is KL_t = KL(p(.|x, y_<t) ‖
q(.|x, y_<t)), over the whole vocabulary and in nats. Then

    R(l)        = sum over t <= l of E[KL_t], prefixes sampled from the student,
    eps(l)      = 1/l times the sum over t <= l of E[KL_t], prefixes from the oracle (the teacher, or the gold target),
    ExAccErr(l) = 100 (R(l) - l eps(l)) / (l eps(l)), in percent.

Expectations are means over prompts and sampled sequences. The first step is the one that predicts the first token
after the prompt; a sequence's end is a step like any other, and none comes after it.
"""

from __future__ import annotations

import math
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
from kdzoo.engine.prompts.probe.choice import Sharing, choose_way
from kdzoo.engine.prompts.sampling import SamplingLimits
from kdzoo.engine.prompts.way import PrefixCached
from kdzoo.methods.divergences import forward_kl
from kdzoo.methods.randomness import StepGenerator
from kdzoo.methods.sequences import Sequences, Source

OraclePrefix = Literal["teacher", "gold"]

# A model that cannot share its prompts gives the logits of all their positions at once: so many at the most.
_ORDINARY_ELEMENTS = 8 * CHUNK_ELEMENTS


@dataclass(frozen=True)
class PromptErrors:
    """Errors in nats after one prompt: each the mean over its sequences of the sum over t <= l of KL_t."""

    index: int
    after_student: float
    after_oracle: float


@dataclass(frozen=True)
class ExAccErr:
    """The measures of this module's head, over ``prompts`` prompts.

    ``accumulated`` is R(l) in nats, ``per_step`` is eps(l) in nats per step, ``excess`` is R(l) - l eps(l) in nats.
    ``percent`` is ExAccErr(l); None where l eps(l) is 0, which no excess can be measured by. ``standard_error`` is
    that of ``percent``: of a ratio of two means, to first order (the delta method), the prompts drawn independently;
    None for fewer than two.
    """

    accumulated: float
    per_step: float
    excess: float
    percent: float | None
    standard_error: float | None
    prompts: int

    @staticmethod
    def of(errors: Sequence[PromptErrors], limit: int) -> ExAccErr:
        """Put together the errors after all prompts; ``limit`` is l."""
        # in a fixed order, so that the result is the same whatever order the batches came in
        ordered = sorted(errors, key=lambda error: error.index)
        count = len(ordered)
        own = math.fsum(error.after_student for error in ordered) / max(1, count)
        oracle = math.fsum(error.after_oracle for error in ordered) / max(1, count)
        percent = standard_error = None
        if oracle > 0:
            percent = 100 * (own - oracle) / oracle
            if count > 1:
                residuals = (e.after_student - own / oracle * e.after_oracle for e in ordered)
                variance = math.fsum(r * r for r in residuals) / (count * (count - 1))
                standard_error = 100 * math.sqrt(variance) / oracle
        return ExAccErr(own, oracle / limit, own - oracle, percent, standard_error, count)


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
    """Measure the errors after every prompt, in the order that shares most; ``limits.output`` is l.

    From each prompt ``samples`` sequences are sampled at temperature 1 from the student and, unless the oracle's
    prefixes are the examples' targets (their first l tokens), from the teacher. Both models are put in eval mode and
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
        errors = _batch_errors(
            condition(student, batch, limits, own, source=Source.STUDENT, way=student_way),
            condition(teacher, batch, limits, others, source=Source.TEACHER, way=teacher_way),
            batch.target if prefix == "gold" else None,
            samples,
        )
        for index, (after_student, after_oracle) in zip(batch.examples, errors.tolist(), strict=True):
            yield PromptErrors(index, after_student, after_oracle)


def _batch_errors(
    student: ModelOnPrompts, teacher: ModelOnPrompts, gold: Sequences | None, samples: int
) -> Tensor:
    """Float64 [B, 2]: the errors after the student's and the oracle's prefixes, one sequence per prompt at a time."""
    with torch.no_grad():
        own = [_summed_kl(student, teacher, student.generate()) for _ in range(samples)]
        if gold is not None:
            oracle = [_summed_kl(student, teacher, gold)]
        else:
            oracle = [_summed_kl(student, teacher, teacher.generate()) for _ in range(samples)]
    return torch.stack([torch.stack(own).mean(0), torch.stack(oracle).mean(0)], dim=1)


def _summed_kl(student: ModelOnPrompts, teacher: ModelOnPrompts, sequences: Sequences) -> Tensor:
    """Float64 [B] on the CPU: the sum of KL_t over the steps of each sequence."""
    of_student, of_teacher = student.eval_states(sequences), teacher.eval_states(sequences)

    known = slice(student.limits.vocabulary)

    def kl(logits: Tensor, part: slice) -> Tensor:
        return forward_kl(logits[:, known], of_teacher.logits(part)[:, known])

    mask = sequences.mask.cpu()
    steps = map_tokens(of_student, kl).cpu().double()
    return steps.new_zeros(mask.shape).masked_scatter(mask, steps).sum(1)
