"""A divergence that breaks a rule is told of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from broken_methods import breaks, described, failures, module

from kdzoo import Options, ScoredTokens, Sequences, divergences
from kdzoo.testing import check_method


class TestDivergence:
    def check(
        self, loss: Callable[[torch.Tensor, torch.Tensor], Any], by: str, words: str, **settings: Any
    ) -> None:
        def divergence(student_logits: torch.Tensor, teacher_logits: torch.Tensor) -> Any:
            return loss(student_logits, teacher_logits)

        breaks(divergence, by=by, words=words, **settings)

    def test_it_must_be_a_tensor(self) -> None:
        self.check(lambda q, p: 0.5, "divergence_gives_a_tensor", "must give a tensor, not float")

    def test_it_must_have_one_number_for_each_token(self) -> None:
        self.check(
            lambda q, p: divergences.forward_kl(q, p).mean(),
            "divergence_gives_one_number_per_token",
            "must give one number per token",
        )

    def test_it_must_be_finite(self) -> None:
        def naive(q: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
            # -inf where a probability is 0 in bfloat16's range
            return ((50 * q).softmax(-1).to(torch.bfloat16).log() * 0.0).sum(-1) + q.sum(-1)

        self.check(naive, "divergence_is_finite", "is not finite on logits of")

    def test_its_gradient_must_be_finite(self) -> None:
        self.check(
            lambda q, p: (q - q).abs().sqrt().sum(-1),
            "divergence_has_a_finite_gradient",
            "has a gradient that is not finite",
        )

    def test_it_must_train_the_student(self) -> None:
        self.check(
            lambda q, p: divergences.forward_kl(q.detach(), p.detach()),
            "divergence_trains_the_student",
            "gives the student no gradient",
        )

    def test_what_trains_the_teacher_alone_has_two_faults(self) -> None:
        def divergence(teacher_logits: torch.Tensor) -> torch.Tensor:
            return teacher_logits.sum(-1)

        assert list(failures(module(divergence))) == [
            "divergence_trains_the_student",
            "divergence_does_not_train_the_teacher",
        ]

    def test_it_must_not_train_the_teacher(self) -> None:
        def both(q: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
            return (p.softmax(-1) * (p.log_softmax(-1) - q.log_softmax(-1))).sum(-1)

        self.check(
            both,
            "divergence_does_not_train_the_teacher",
            "gives the teacher a gradient; use teacher_logits.detach()",
        )

    @pytest.mark.parametrize("which", ["student_logits", "teacher_logits"])
    def test_it_must_leave_the_logits_as_they_are(self, which: str) -> None:
        def loss(q: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
            (q if which == "student_logits" else p).mul_(0.5)
            return divergences.forward_kl(q, p)

        self.check(loss, "divergence_leaves_the_logits_alone", f"changes {which} in place")

    def test_a_token_s_must_not_depend_on_the_others(self) -> None:
        def centred(q: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
            losses = divergences.forward_kl(q, p)
            return losses * losses.detach().mean()

        self.check(
            centred,
            "divergence_does_not_depend_on_other_tokens",
            "depends on the other tokens that it is computed with",
        )

    def test_it_must_be_smallest_where_the_models_agree(self) -> None:
        self.check(
            lambda q, p: -divergences.forward_kl(q, p),
            "divergence_is_smallest_at_the_teacher",
            "is not smallest where the student agrees",
        )

    def test_it_must_rest_where_the_models_agree(self) -> None:
        def sharp(q: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
            return (q - p.detach()).relu().sum(-1) + (p.detach() - q).clamp_min(-0.0).sum(-1) + 1e-3 * q[:, 0]

        self.check(sharp, "divergence_is_smallest_at_the_teacher", "has a gradient where the student agrees")


class TestShares:
    """A token's share is known to the core where the sequences are made before they are counted, and nowhere else."""

    class Options(Options):
        kept: bool = False

        @property
        def keeps_target_lengths(self) -> bool:
            return self.kept

    def method(self) -> Any:
        def make_training_sequence(step: Any, options: Any) -> Sequences:
            assert options.kept in (True, False)
            return step.target

        def divergence(
            student_logits: torch.Tensor, teacher_logits: torch.Tensor, tokens: ScoredTokens
        ) -> torch.Tensor:
            return divergences.forward_kl(student_logits, teacher_logits) / tokens.source_shares

        return module(make_training_sequence, divergence, method=described(options=self.Options))

    def test_it_may_be_used(self) -> None:
        check_method(self.method())

    def test_it_may_not_where_lengths_are_promised(self) -> None:
        found = failures(self.method(), options={"kept": True})
        assert "tokens.source_shares is not known" in found["divergence_gives_a_tensor"]
