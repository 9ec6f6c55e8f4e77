"""Both KL divergences, weighted by the gaps of head and tail, or entry by entry: against formulas in float64."""

import math

import pytest
import torch
from logits_of_tokens import value_and_gradient

from kdzoo import divergences


def adaptive_kl(mu, head):
    """Wu et al.'s definition with plain loops over the sorted entries; weights are constants."""

    def divergence(student, teacher):
        losses = []
        for p, q in zip(teacher.softmax(-1), student.softmax(-1), strict=True):
            in_head, reached = [], 0.0
            for entry in sorted(range(len(p)), key=lambda i: -p[i].item()):
                reached += p[entry].item()
                if head == "within" and in_head and reached > mu:
                    break
                in_head.append(entry)
                if head == "reaching" and reached >= mu:
                    break
            gap = (p - q).abs().detach()
            of_head = sum(gap[i] for i in in_head) / gap.sum()
            forward, reverse = (p * (p / q).log()).sum(), (q * (q / p).log()).sum()
            losses.append(of_head * forward + (1 - of_head) * reverse)
        return torch.stack(losses)

    return divergence


def adaptive_kl_of_its_code(student, teacher):
    """What the public code of the paper computes (wutaiqiang/LLM_KD_AKL), mu 0.5: cumulated, masked, never the first."""
    p, q = teacher.softmax(-1), student.softmax(-1)
    ranked = p.argsort(-1, descending=True)
    tail = p.gather(-1, ranked).cumsum(-1) > 0.5
    tail[:, 0] = False
    gaps = (p - q).abs().gather(-1, ranked).detach()
    head_gap, tail_gap = (gaps * ~tail).sum(-1), (gaps * tail).sum(-1)
    forward, reverse = (p * (p.log() - q.log())).sum(-1), (q * (q.log() - p.log())).sum(-1)
    return (head_gap * forward + tail_gap * reverse) / (head_gap + tail_gap)


def token_wise(beta):
    """Jung et al.'s sum over the vocabulary (and their public code, jungseongryong/ToDi, at beta 1)."""

    def divergence(student, teacher):
        p, q = teacher.softmax(-1), student.softmax(-1)
        weight = (1 / (1 + (q / p) ** beta)).detach()
        return (weight * p * (p / q).log() + (1 - weight) * q * (q / p).log()).sum(-1)

    return divergence


CASES = {
    **{
        f"head {head} {mu}": (
            lambda s, t, mu=mu, head=head: divergences.head_tail_kl(s, t, mu, head),
            adaptive_kl(mu, head),
        )
        for head in ("reaching", "within")
        for mu in (0.05, 0.5, 0.9)
    },
    "the code of the adaptive KL": (
        lambda s, t: divergences.head_tail_kl(s, t, 0.5, "within"),
        adaptive_kl_of_its_code,
    ),
    **{
        f"sigmoid {beta}": (
            lambda s, t, beta=beta: divergences.sigmoid_weighted_kl(s, t, beta),
            token_wise(beta),
        )
        for beta in (0.0, 0.5, 1.0, 3.0)
    },
}


@pytest.mark.parametrize("scale", [0.1, 1.0, 4.0])
@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient_are_those_of_the_formula(name, scale):
    function, formula = CASES[name]
    torch.manual_seed(0)
    student, teacher = torch.randn(2, 8, 40) * scale
    weights = torch.randn(8)
    value, gradient = value_and_gradient(function, student, teacher, weights)
    expected, slope = value_and_gradient(formula, student.double(), teacher.double(), weights.double())
    torch.testing.assert_close(value.double(), expected, rtol=2e-5, atol=1e-6)
    torch.testing.assert_close(gradient.double(), slope, rtol=1e-4, atol=1e-6)


class TestHeadAndTail:
    """p = (0.4, 0.3, 0.2, 0.1), q = (0.1, 0.3, 0.2, 0.4): gaps of 0.3 at both ends."""

    teacher = torch.tensor([[0.4, 0.3, 0.2, 0.1]]).log()
    student = torch.tensor([[0.1, 0.3, 0.2, 0.4]]).log()

    def share_of_forward(self, student=None, **settings):
        student = self.student if student is None else student
        forward, reverse = (
            f(student, self.teacher).item() for f in (divergences.forward_kl, divergences.reverse_kl)
        )
        value = divergences.head_tail_kl(student, self.teacher, **settings).item()
        return (value - reverse) / (forward - reverse)

    # gaps of 0.1, 0, 0.1 and 0.2
    student_tail = torch.tensor([[0.3, 0.3, 0.1, 0.3]]).log()

    def test_the_gap_of_the_head_weighs_the_forward_kl(self):
        # 0.1 of 0.4 lie in the head of the first two
        assert self.share_of_forward(self.student_tail) == pytest.approx(0.1 / 0.4, abs=1e-5)

    @pytest.mark.parametrize(
        ("mu", "reaching", "within"),
        [(0.05, 0.25, 0.25), (0.39, 0.25, 0.25), (0.5, 0.25, 0.25), (0.75, 0.5, 0.25), (0.95, 1.0, 0.5)],
    )
    def test_the_head_ends_before_or_behind_the_entry_that_passes_mu(self, mu, reaching, within):
        for head, share in (("reaching", reaching), ("within", within)):
            assert self.share_of_forward(self.student_tail, mu=mu, head=head) == pytest.approx(
                share, abs=1e-4
            )

    def test_the_whole_vocabulary_is_the_head_at_mu_1(self):
        teacher = torch.tensor([[0.5, 0.25, 0.125, 0.125]]).log()
        value = divergences.head_tail_kl(self.student, teacher, mu=1.0)
        torch.testing.assert_close(value, divergences.forward_kl(self.student, teacher))

    @pytest.mark.parametrize("mu", [0, -0.1, 1.1, math.nan])
    def test_mu_beyond_its_range_is_an_error(self, mu):
        with pytest.raises(ValueError, match="mu"):
            divergences.head_tail_kl(self.student, self.teacher, mu=mu)


class TestSigmoid:
    def test_by_hand(self):
        # p = (1/2, 1/2), q = (3/4, 1/4): weights p / (p + q) of 2/5 and 2/3
        student, teacher = torch.tensor([[3.0, 1.0]]).log(), torch.tensor([[1.0, 1.0]]).log()
        first = (2 / 5 * 1 / 2 - 3 / 5 * 3 / 4) * math.log(2 / 3)
        second = (2 / 3 * 1 / 2 - 1 / 3 * 1 / 4) * math.log(2)
        value = divergences.sigmoid_weighted_kl(student, teacher).item()
        assert value == pytest.approx(first + second, abs=1e-6)

    def test_beta_0_is_the_mean_of_both(self):
        student, teacher = torch.randn(2, 4, 9)
        both = divergences.forward_kl(student, teacher) + divergences.reverse_kl(student, teacher)
        torch.testing.assert_close(divergences.sigmoid_weighted_kl(student, teacher, 0), both / 2)

    @pytest.mark.parametrize("beta", [-0.1, math.inf, math.nan])
    def test_beta_beyond_its_range_is_an_error(self, beta):
        with pytest.raises(ValueError, match="beta"):
            divergences.sigmoid_weighted_kl(torch.zeros(1, 2), torch.zeros(1, 2), beta)
