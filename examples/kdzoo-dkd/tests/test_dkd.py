"""The rules of kdzoo's methods, one test each, and DKD's loss computed again in other ways."""

from __future__ import annotations

import math

import kdzoo_dkd
import pytest
import torch

from kdzoo import ScoredTokens, divergences
from kdzoo.testing import MethodCheck, method_checks

N, V = 6, 9


@pytest.mark.parametrize("check", method_checks("dkd"), ids=str)
def test_it_keeps_the_rules(check: MethodCheck) -> None:
    check()


@pytest.fixture
def given() -> tuple[torch.Tensor, torch.Tensor, ScoredTokens]:
    """Both models' logits of N tokens, and the tokens."""
    generator = torch.Generator().manual_seed(0)
    student, teacher = 2 * torch.randn(2, N, V, dtype=torch.float64, generator=generator)
    ids = torch.randint(V, (N,), generator=generator)
    return student, teacher, ScoredTokens(ids, torch.zeros_like(ids))


def loss(given: tuple[torch.Tensor, torch.Tensor, ScoredTokens], **options: float) -> torch.Tensor:
    return kdzoo_dkd.divergence(*given, kdzoo_dkd.DKDOptions(**options))


def test_it_is_the_paper_s_formula_in_float64(given: tuple[torch.Tensor, torch.Tensor, ScoredTokens]) -> None:
    student, teacher, tokens = given
    losses = loss(given, alpha=0.7, beta=3.0, kd_weight=0.5)
    for n, target in enumerate(tokens.ids.tolist()):
        q, p = student[n].softmax(-1).tolist(), teacher[n].softmax(-1).tolist()
        tckd = sum(a * math.log(a / b) for a, b in ((p[target], q[target]), (1 - p[target], 1 - q[target])))
        nckd = sum(
            p[v] / (1 - p[target]) * math.log(p[v] / (1 - p[target]) / (q[v] / (1 - q[target])))
            for v in range(V)
            if v != target
        )
        assert losses[n].item() == pytest.approx(0.5 * (0.7 * tckd + 3.0 * nckd), rel=1e-4)


def test_its_terms_add_up_to_the_forward_kl(
    given: tuple[torch.Tensor, torch.Tensor, ScoredTokens],
) -> None:
    """Equation 6: KL = TCKD + (1 - p of the target) NCKD."""
    student, teacher, tokens = given
    p_of_target = teacher.softmax(-1).gather(1, tokens.ids[:, None])[:, 0]
    decoupled = loss(given, alpha=1, beta=0) + (1 - p_of_target) * loss(given, alpha=0, beta=1)
    torch.testing.assert_close(
        decoupled.float(), divergences.forward_kl(student, teacher), rtol=1e-4, atol=1e-6
    )


def test_a_token_that_cannot_come_does_not_count(
    given: tuple[torch.Tensor, torch.Tensor, ScoredTokens],
) -> None:
    """Logits of minus infinity in both models, as a vocabulary's padding may have, change nothing."""
    student, teacher, tokens = given
    padding = torch.full((N, 2), float("-inf"), dtype=torch.float64)
    wider = tuple(torch.cat([logits, padding], dim=1) for logits in (student, teacher))
    torch.testing.assert_close(loss((*wider, tokens)), loss(given))  # type: ignore[arg-type]


def test_a_teacher_that_is_sure_still_says_how_the_others_are_shared_out() -> None:
    """At the same probability of the target the forward KL vanishes, and DKD does not."""
    teacher = torch.tensor([[12.0, 1.0, 0.0]])
    student = torch.tensor([[12.0, 0.0, 1.0]])
    tokens = ScoredTokens(torch.tensor([0]), torch.tensor([0]))
    assert divergences.forward_kl(student, teacher).item() < 1e-4
    share = math.e / (1 + math.e)
    nckd = (2 * share - 1) * math.log(share / (1 - share))  # of (s, 1 - s) from (1 - s, s)
    assert loss((student, teacher, tokens)).item() == pytest.approx(8 * nckd, rel=1e-4)
