"""RS-KD: what is drawn from the teacher before training, with which weights, and the loss that is taken on it."""

import math
from collections import Counter

import pytest
import torch
from pydantic import ValidationError

from kdzoo.engine.training.chosen_method import choose_method
from kdzoo.methods import registry
from kdzoo.testing import TableModel, check_method

TARGETS = [[3, 4, 5, 6], [], [6, 7]]


@pytest.mark.parametrize("options", [{}, {"rounds": 3, "temperature": 2, "mle_weight": 0.5}])
def test_it_keeps_the_rules(options):
    check_method("rskd", options)


def prepared(rskd, make_step, targets=TARGETS, **settings):
    """A step with what was prepared for it, as the core does."""
    given = rskd.prepare(make_step(targets, step=-1, **settings))
    return make_step(targets, prepared=given, **settings)


def kept(step, row, position):
    """The tokens that are kept at one target token, with their weights."""
    tokens, weights = (step.prepared[name][row, position].tolist() for name in ("tokens", "weights"))
    return {token: weight for token, weight in zip(tokens, weights, strict=True) if weight}


def probabilities(step, row, position):
    prefix = step.target.tokens[row, :position].tolist()
    return step.teacher.model.next_logits(step.examples[row], prefix).double().softmax(-1)


def positions(step):
    return step.target.mask.nonzero().tolist()


class TestSamples:
    def test_the_weights_are_shares_of_the_draws(self, hooks, make_step):
        """The same draws by hand: the first token at which the sum of probabilities is beyond the number."""
        rounds = 7
        rskd = hooks("rskd", rounds=rounds)
        step, again = prepared(rskd, make_step), make_step(TARGETS, step=-1)
        width = step.target.tokens.shape[1]
        uniform = again.generator.per_row(width * rounds).reshape(len(TARGETS), width, rounds)
        for row, position in positions(step):
            sums = probabilities(step, row, position).cumsum(-1).tolist()
            numbers = uniform[row, position].tolist()
            counts = Counter(next(i for i, total in enumerate(sums) if total > u) for u in numbers)
            expected = {token: count / rounds for token, count in counts.items()}
            assert kept(step, row, position) == pytest.approx(expected)

    def test_there_is_a_place_for_as_many_tokens_as_are_kept_of_one(self, hooks, make_step):
        step = prepared(hooks("rskd", rounds=50), make_step)
        most = max(len(kept(step, *where)) for where in positions(step))
        assert step.prepared["tokens"].shape == (*step.target.tokens.shape, most)
        assert most < 12
        assert step.prepared["tokens"].dtype == torch.int32
        assert not step.prepared["weights"][~step.target.mask].any()

    @pytest.mark.parametrize("temperature", [1.0, 2.0, 0.5])
    def test_many_draws_give_the_teacher_s_distribution(self, hooks, make_step, temperature):
        rskd = hooks("rskd", rounds=10_000, temperature=temperature)
        step = prepared(rskd, make_step, teacher=TableModel(5, trains=False))
        for row, position in positions(step):
            p, found = probabilities(step, row, position), kept(step, row, position)
            r = p ** (1 / temperature) / (p ** (1 / temperature)).sum()
            for token in range(12):
                deviation = math.sqrt(p[token] ** 2 / r[token] / 10_000)
                assert abs(found.get(token, 0.0) - p[token]) < 5 * deviation

    def test_drawn_at_another_temperature_a_token_weighs_p_over_r(self, hooks, make_step):
        rounds = 4
        step = prepared(hooks("rskd", rounds=rounds, temperature=2), make_step)
        for row, position in positions(step):
            p = probabilities(step, row, position)
            r = p.sqrt() / p.sqrt().sum()
            for token, weight in kept(step, row, position).items():
                count = weight * rounds * r[token].item() / p[token].item()
                assert count == pytest.approx(round(count), rel=1e-5)
                assert 1 <= round(count) <= rounds

    def test_an_impossible_token_is_never_drawn(self, hooks, make_step):
        teacher = TableModel(2, trains=False)
        teacher.table[:, [0, 5, 11]] = -torch.inf
        step = prepared(hooks("rskd", rounds=200), make_step, teacher=teacher)
        for where in positions(step):
            found = kept(step, *where)
            assert not {0, 5, 11} & found.keys()
            assert sum(found.values()) == pytest.approx(1)


class TestLoss:
    def test_it_is_the_cross_entropy_with_the_samples(self, hooks, make_step):
        rskd = hooks("rskd", rounds=5, kd_weight=2)
        step = prepared(rskd, make_step)
        sequences = rskd.sequences(step)
        assert sequences is step.target
        student = step.student.logits(sequences)[sequences.mask]
        losses = rskd.divergence(student, None, sequences.scored, step=step)
        expected = []
        for row, position in positions(step):
            prefix = step.target.tokens[row, :position].tolist()
            log_q = step.student.model.next_logits(row, prefix).detach().double().log_softmax(-1)
            expected.append(-2 * sum(w * log_q[i].item() for i, w in kept(step, row, position).items()))
        assert losses.tolist() == pytest.approx(expected, rel=1e-5)

    def test_its_gradient_is_that_of_the_kl_divergence_with_the_samples(self, hooks, make_step):
        """The paper's loss, in float64: KL(t‖q), t the shares of the draws."""
        rskd = hooks("rskd", rounds=20)
        step = prepared(rskd, make_step)
        tokens = step.target.scored
        student = step.student.logits(step.target)[step.target.mask].detach()
        leaf, wide = student.clone().requires_grad_(), student.double().requires_grad_()
        shares = torch.zeros(student.shape, dtype=torch.float64)
        for n, where in enumerate(positions(step)):
            for token, weight in kept(step, *where).items():
                shares[n, token] = weight
        kl = (torch.xlogy(shares, shares) - shares * wide.log_softmax(-1)).sum()
        (found,) = torch.autograd.grad(rskd.divergence(leaf, None, tokens, step=step).sum(), leaf)
        (expected,) = torch.autograd.grad(kl, wide)
        torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-6)

    def test_part_of_the_tokens_find_their_own_samples(self, hooks, make_step):
        rskd = hooks("rskd", rounds=5)
        step = prepared(rskd, make_step)
        tokens, student = step.target.scored, step.student.logits(step.target)[step.target.mask]
        whole = rskd.divergence(student, None, tokens, step=step)
        part = rskd.divergence(student[3:], None, tokens[3:], step=step)
        torch.testing.assert_close(part, whole[3:])

    def test_mle_is_added_if_it_is_asked_for(self, hooks, make_step, mean_nll):
        step, with_end = make_step(TARGETS), [[*row, 2] for row in TARGETS]
        assert hooks("rskd").aux_loss(step) is None
        weighted = hooks("rskd", mle_weight=0.5).aux_loss(step).item()
        assert weighted == pytest.approx(0.5 * mean_nll(step, with_end, with_end), rel=1e-5)


def test_the_teacher_prepares_and_is_not_run_in_training(hooks):
    method = choose_method("rskd", hooks("rskd").options)
    assert registry.find("rskd").method.uses_teacher
    assert (method.prepares, method.compares) == (True, False)


@pytest.mark.parametrize("options", [{"rounds": 0}, {"temperature": 0}, {"temperature": 11}])
def test_options_out_of_range_are_errors(hooks, options):
    with pytest.raises(ValidationError):
        hooks("rskd", **options)
