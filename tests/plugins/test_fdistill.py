"""f-distill: which sequences each divergence is taken on, and how the two sources are mixed."""

import pytest
import torch
from pydantic import ValidationError

from kdzoo import divergences
from kdzoo.methods.sequences import ScoredTokens
from kdzoo.methods.source import Source
from kdzoo.testing import check_method

TARGETS = [[3, 4], [5], [], [6, 7, 8]]
OF_TEACHER = [[8], [9, 9, 9], [3], []]
OF_TEACHER_WITH_END = [[*row, 2] for row in OF_TEACHER]


@pytest.mark.parametrize("mix", ["batch", "request", "both"])
@pytest.mark.parametrize("divergence", ["tvd", "kl", "rkl", "js"])
def test_it_keeps_the_rules(divergence, mix):
    check_method("fdistill", {"divergence": divergence, "mix": mix})


class TestSequences:
    def test_kl_takes_the_teacher_s(self, hooks, make_step):
        step = make_step(TARGETS, teacher_targets=OF_TEACHER)
        assert hooks("fdistill", divergence="kl").rows(step) == OF_TEACHER_WITH_END

    def test_rkl_takes_the_student_s_and_needs_no_others(self, hooks, make_step):
        fdistill = hooks("fdistill", divergence="rkl")
        assert set(fdistill.sequences(make_step(TARGETS)).sources.tolist()) == {Source.STUDENT}
        assert not fdistill.options.needs_teacher_target

    @pytest.mark.parametrize("divergence", ["tvd", "kl", "js"])
    def test_the_others_need_the_teacher_s(self, hooks, divergence):
        assert hooks("fdistill", divergence=divergence).options.needs_teacher_target

    @pytest.mark.parametrize("divergence", ["tvd", "js"])
    def test_half_of_the_batches_are_each_kind(self, hooks, make_step, divergence):
        fdistill = hooks("fdistill", divergence=divergence)
        online = 0
        for number in range(400):
            rows = fdistill.rows(step := make_step(TARGETS, teacher_targets=OF_TEACHER, step=number))
            (source,) = set(step.training_sequence.sources.tolist())  # chosen per batch
            assert source == Source.STUDENT or rows == OF_TEACHER_WITH_END
            online += source == Source.STUDENT
        assert abs(online / 400 - 0.5) < 5 * (0.25 / 400) ** 0.5

    def test_a_batch_of_the_student_s_is_generated_after_the_decision(self, hooks, make_step):
        fdistill = hooks("fdistill", temperature=0.7)
        steps = [
            (make_step(TARGETS, teacher_targets=OF_TEACHER, step=n), make_step(TARGETS, step=n))
            for n in range(8)
        ]
        for step, other in steps:
            online = other.generator.per_batch() < 0.5
            assert (set(fdistill.sequences(step).sources.tolist()) == {Source.STUDENT}) == online
            if online:
                assert torch.equal(
                    step.training_sequence.tokens, other.student.generate(temperature=0.7).tokens
                )

    @pytest.mark.parametrize("divergence", ["tvd", "js"])
    def test_half_of_the_examples_are_each_kind(self, hooks, make_step, divergence):
        fdistill = hooks("fdistill", divergence=divergence, mix="request")
        steps = [make_step(TARGETS, teacher_targets=OF_TEACHER, step=number) for number in range(100)]
        sources = torch.stack([fdistill.sequences(step).sources for step in steps])
        online = (sources == Source.STUDENT).float()
        assert set(sources.flatten().tolist()) == {Source.STUDENT, Source.TEACHER}
        assert abs(online.mean().item() - 0.5) < 5 * (0.25 / 400) ** 0.5
        assert len(sources.unique(dim=0)) > 2  # chosen per example, not per batch

    def test_a_row_is_the_teacher_s_or_what_the_student_generates_for_it(self, hooks, make_step):
        step = make_step(TARGETS, teacher_targets=OF_TEACHER, step=1)
        fdistill = hooks("fdistill", mix="request", temperature=0.01)
        rows, sources = fdistill.rows(step), step.training_sequence.sources.tolist()
        assert set(sources) == {Source.STUDENT, Source.TEACHER}
        other = make_step(TARGETS, teacher_targets=OF_TEACHER, step=1)
        other.generator.per_row(1)  # the decision comes first
        generated = other.student.generate(temperature=0.01)
        for i, (row, source) in enumerate(zip(rows, sources, strict=True)):
            own = generated.tokens[i, : generated.lengths[i]].tolist()
            assert row == (own if source == Source.STUDENT else OF_TEACHER_WITH_END[i])

    @pytest.mark.parametrize("divergence", ["tvd", "js"])
    def test_both_gives_every_example_one_of_each(self, hooks, make_step, divergence):
        step = make_step(TARGETS, teacher_targets=OF_TEACHER)
        rows = hooks("fdistill", divergence=divergence, mix="both").rows(step)
        assert step.training_sequence.per_prompt == 2
        assert step.training_sequence.sources.tolist() == [Source.TEACHER, Source.STUDENT] * len(TARGETS)
        assert rows[::2] == OF_TEACHER_WITH_END

    def test_only_the_rows_that_need_it_are_generated(self, hooks, make_step, monkeypatch):
        step = make_step(TARGETS, teacher_targets=OF_TEACHER, step=1)
        asked = []
        generate = step.student.generate
        monkeypatch.setattr(
            step.student,
            "generate",
            lambda **settings: asked.append(settings["rows"]) or generate(**settings),
        )
        sources = hooks("fdistill", mix="request").sequences(step).sources
        (rows,) = asked
        assert torch.equal(rows, sources == Source.STUDENT)


class TestDivergence:
    tokens = ScoredTokens(torch.arange(6), torch.tensor([Source.TEACHER, Source.STUDENT] * 3))

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("tvd", divergences.total_variation),
            ("kl", divergences.forward_kl),
            ("rkl", divergences.reverse_kl),
        ],
    )
    def test_one_formula_for_all_tokens(self, hooks, logits, name, expected):
        given = hooks("fdistill", divergence=name).divergence(*logits, self.tokens)
        assert torch.equal(given, expected(*logits))

    @pytest.mark.parametrize("divergence", ["tvd", "js"])
    def test_both_weighs_the_sources_alike_whatever_their_lengths(self, hooks, logits, divergence):
        """The core's mean over all tokens is then the mean of the two sources' means."""
        sources = torch.tensor([Source.TEACHER, *[Source.STUDENT] * 5])
        counts = torch.zeros(len(Source), dtype=torch.long)
        counts[Source.TEACHER], counts[Source.STUDENT] = 1, 5
        given, one_by_one = (
            hooks("fdistill", divergence=divergence, mix=mix).divergence(
                *logits, ScoredTokens(torch.arange(6), sources, counts)
            )
            for mix in ("both", "request")
        )
        expected = (one_by_one[0] + one_by_one[1:].mean()) / 2
        torch.testing.assert_close(given.mean(), expected)

    @pytest.mark.parametrize("divergence", ["kl", "rkl"])
    def test_one_source_has_all_the_weight(self, hooks, logits, divergence):
        both, batch = (
            hooks("fdistill", divergence=divergence, mix=mix).divergence(*logits, self.tokens)
            for mix in ("both", "batch")
        )
        assert torch.equal(both, batch)

    def test_js_takes_each_half_of_the_jsd_on_its_own_kind(self, hooks, logits):
        given = hooks("fdistill", divergence="js").divergence(*logits, self.tokens)
        student, teacher = (side.double().softmax(-1) for side in logits)
        mixture = (student + teacher) / 2
        of_teacher = (teacher * (teacher / mixture).log()).sum(-1)
        of_student = (student * (student / mixture).log()).sum(-1)
        expected = torch.stack([of_teacher, of_student], 1).flatten()[[0, 3, 4, 7, 8, 11]]
        torch.testing.assert_close(given.double(), expected, rtol=1e-5, atol=1e-6)

    def test_js_s_gradient_is_that_of_its_halves(self, hooks, logits):
        student, teacher = logits
        student = student.clone().requires_grad_()
        hooks("fdistill", divergence="js").divergence(student, teacher, self.tokens).sum().backward()
        alone = logits[0].clone().requires_grad_()
        halves = (divergences.teacher_to_mixture_kl, divergences.student_to_mixture_kl)
        sum(halves[i % 2](alone[i, None], teacher[i, None]).sum() for i in range(6)).backward()
        torch.testing.assert_close(student.grad, alone.grad)


def test_it_has_no_auxiliary_loss(hooks, make_step):
    assert hooks("fdistill").aux_loss(make_step(TARGETS)) is None


@pytest.mark.parametrize("options", [{"divergence": "jsd"}, {"mix": "half"}, {"beta": 0.5}])
def test_options_out_of_range_are_errors(hooks, options):
    with pytest.raises(ValidationError):
        hooks("fdistill", **options)
