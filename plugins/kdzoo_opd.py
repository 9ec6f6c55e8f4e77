"""OPD: on-policy distillation by policy gradient (Thinking Machines Lab 2025, "On-Policy Distillation").

The student generates, and the teacher says of each token y that was generated how probable it is. The token's advantage is
A = log p(y) - log q(y); its loss is that of importance sampling, -A q(y) / q_old(y). Each sample is used for one optimizer
step, so that q_old is q: the gradient is that of -A log q(y), A constant, and the value is log q(y) - log p(y), whose mean
is the reverse KL. The advantages of later tokens count nothing, as in the authors' code (thinking-machines-lab/tinker-cookbook,
``kl_discount_factor = 0``). Samples are drawn at temperature 1 from the whole vocabulary: those of another distribution
would give another gradient.

Qwen3's report (arXiv 2505.09388) compares whole distributions on what the student generates. That is GKD: with the reverse
KL its gradient is the mean of this one's over the token that is sampled, at the same cost here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kdzoo import Method, StepCost, divergences, hookimpl

if TYPE_CHECKING:
    from torch import Tensor

    from kdzoo import ScoredTokens, Sequences, Step


@hookimpl
def register_method() -> Method:
    return Method(
        name="opd",
        summary="Policy gradient on the student's samples, each token's advantage being its log ratio p/q.",
        paper="Thinking Machines Lab 2025, On-Policy Distillation (thinkingmachines.ai/blog/on-policy-distillation)",
        training_data="student-generated",
        divergence="log q(y) - log p(y), by policy gradient",
        aux_loss="-",
        cost=StepCost(student=1, teacher=1, generation=1),
        expected_failed_checks={
            "divergence_is_smallest_at_the_teacher": "the log ratio of a single sample may be negative elsewhere"
        },
    )


@hookimpl
def make_training_sequence(step: Step) -> Sequences:
    return step.student.generate(temperature=1.0)


@hookimpl
def divergence(student_logits: Tensor, teacher_logits: Tensor, tokens: ScoredTokens) -> Tensor:
    return divergences.sampled_reverse_kl(student_logits, teacher_logits, tokens.ids)
