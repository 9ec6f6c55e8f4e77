"""GKD: which batches the student generates, and the divergence among its three."""

import pytest
import torch
from pydantic import ValidationError

from kdzoo import divergences
from kdzoo.methods.source import Source
from kdzoo.testing import check_method

TARGETS = [[3, 4, 5, 6], [7], []]
OF_TEACHER = [[8], [9, 9], [3]]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"lambda": 0.5},
        {"lambda": 0.5, "seq_kd": True},
        {"lambda": 0},
        {"divergence": "fkl"},
        {"divergence": "jsd", "beta": 0.3},
    ],
)
def test_it_keeps_the_rules(options):
    check_method("gkd", options)


class TestLambda:
    def test_every_batch_is_on_policy_unless_told_otherwise(self, hooks, make_step):
        gkd = hooks("gkd")
        assert gkd.options.lambda_ == 1
        for number in range(20):
            assert set(gkd.sequences(make_step(TARGETS, step=number)).sources.tolist()) == {Source.STUDENT}

    def test_none_is_at_0(self, hooks, make_step):
        gkd = hooks("gkd", **{"lambda": 0})
        for number in range(20):
            step = make_step(TARGETS, step=number)
            assert gkd.sequences(step) is step.target

    def test_a_batch_is_decided_as_one(self, hooks, make_step):
        gkd = hooks("gkd", **{"lambda": 0.3})
        sources = [
            set(gkd.sequences(make_step(TARGETS, step=number)).sources.tolist()) for number in range(300)
        ]
        assert all(len(source) == 1 for source in sources)
        on_policy = sum(source == {Source.STUDENT} for source in sources) / 300
        assert abs(on_policy - 0.3) < 5 * (0.3 * 0.7 / 300) ** 0.5

    def test_recipes_write_lambda_and_python_lambda_(self, hooks):
        assert hooks("gkd", **{"lambda": 0.25}).options == hooks("gkd", lambda_=0.25).options
        assert hooks("gkd", lambda_=0.25).options.model_dump(by_alias=True)["lambda"] == 0.25

    def test_the_student_samples_at_the_given_temperature(self, hooks, make_step):
        step = make_step(TARGETS)
        expected = make_step(TARGETS)
        expected.generator.per_batch()  # the decision comes first
        cool = expected.student.generate(temperature=0.01)
        sequences = hooks("gkd", temperature=0.01).sequences(step)
        assert torch.equal(sequences.tokens, cool.tokens)


class TestTeacherGenerated:
    def test_seq_kd_replaces_the_ground_truth(self, hooks, make_step):
        gkd = hooks("gkd", **{"lambda": 0}, seq_kd=True)
        step = make_step(TARGETS, teacher_targets=OF_TEACHER)
        assert gkd.rows(step) == [[*row, 2] for row in OF_TEACHER]
        assert set(step.training_sequence.sources.tolist()) == {Source.TEACHER}

    @pytest.mark.parametrize(
        ("share", "seq_kd", "needed"), [(0.5, True, True), (1, True, False), (0.5, False, False)]
    )
    def test_they_are_asked_for_only_where_they_are_used(self, hooks, share, seq_kd, needed):
        assert hooks("gkd", **{"lambda": share}, seq_kd=seq_kd).options.needs_teacher_target is needed


class TestDivergence:
    def test_it_is_the_reverse_kl_by_default(self, hooks, logits):
        assert torch.equal(hooks("gkd").divergence(*logits), divergences.reverse_kl(*logits))

    def test_or_the_forward_kl(self, hooks, logits):
        given = hooks("gkd", divergence="fkl").divergence(*logits)
        assert torch.equal(given, divergences.forward_kl(*logits))

    @pytest.mark.parametrize("beta", [0.0, 0.2, 0.5, 1.0])
    def test_or_the_generalised_jsd(self, hooks, logits, beta):
        given = hooks("gkd", divergence="jsd", beta=beta).divergence(*logits)
        assert torch.equal(given, divergences.jensen_shannon(*logits, beta=beta))


def test_it_has_no_auxiliary_loss(hooks, make_step):
    assert hooks("gkd").aux_loss(make_step(TARGETS)) is None


@pytest.mark.parametrize("options", [{"lambda": 1.5}, {"lmbda": 1}, {"beta": -0.1}, {"divergence": "tvd"}])
def test_options_out_of_range_are_errors(hooks, options):
    with pytest.raises(ValidationError):
        hooks("gkd", **options)
