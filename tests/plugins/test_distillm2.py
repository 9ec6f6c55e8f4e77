"""DistiLLM-2: two divergences on two kinds of sequences, the skew of each sequence, and the weights as training goes on."""

import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from kdzoo.methods.source import Source
from kdzoo.testing import check_method

TARGETS = [[3, 4, 5, 6], [7], [], [8, 9]]
OF_TEACHER = [[8], [9, 9, 9], [3], [4, 5, 6]]
LATE = {"progress": 0.5}


@pytest.fixture
def prepared(hooks, make_step):
    """Make a step that has what the method prepares and keeps."""

    def make(method, state=None, **settings):
        step = make_step(TARGETS, teacher_targets=OF_TEACHER, **settings)
        step.prepared = method.prepare(make_step(TARGETS, step=-1))
        step.state = method.setup() if state is None else state
        return step

    return make


def log_distribution(model, prompt, prefix):
    return model.model.next_logits(prompt, prefix).detach().double().log_softmax(-1).numpy()


def gaps(step, rows):
    """d of every sequence by plain loops: rows of a prompt are the teacher's and the student's."""
    found = []
    for number, row in enumerate(rows):
        means = [
            sum(log_distribution(model, number // 2, row[:t])[token] for t, token in enumerate(row))
            / len(row)
            for model in (step.teacher, step.student)
        ]
        own, other = means if number % 2 == 0 else means[::-1]
        found.append(math.exp(own) - math.exp(other))
    return found


def skews_of_code(gap, base, anchors):
    """alpha_1 and alpha_2 of jongwooko/distillm-2 with update_alpha, for the gaps of one prompt's two sequences."""
    return [
        min(max(1 - (1 - base) * anchor / (d + 1e-5), 1e-2), base)
        for d, anchor in zip(gap, anchors, strict=True)
    ]


def of_paper(step, rows, skews, beta):
    """Equation 2, twice: the mean over the tokens of each kind, by plain sums over the vocabulary."""
    losses = ([], [])
    for number, row in enumerate(rows):
        a = skews[number]
        for t in range(len(row)):
            q, p = (np.exp(log_distribution(m, number // 2, row[:t])) for m in (step.student, step.teacher))
            if number % 2 == 0:
                losses[0].append((p * np.log(p / (a * p + (1 - a) * q))).sum())
            else:
                losses[1].append((q * np.log(q / ((1 - a) * p + a * q))).sum())
    return (1 - beta) * np.mean(losses[0]) + beta * np.mean(losses[1])


def loss_of(method, step):
    """The core's mean of the divergence over all scored tokens."""
    made = step.training_sequence
    student, teacher = (model.logits(made)[made.mask].detach() for model in (step.student, step.teacher))
    return method.divergence(student, teacher, made.scored, step).mean().item()


@pytest.mark.parametrize(
    "options",
    [{}, {"curriculum_start": 0}, {"update_alpha": False, "gradual_beta": False, "base_alpha": 0.3}],
)
def test_it_keeps_the_rules(options):
    check_method("distillm2", options)


class TestSequences:
    def test_the_student_s_are_those_that_it_has_generated_before_training(self, hooks, make_step, prepared):
        method = hooks("distillm2", temperature=0.7)
        step = prepared(method)
        rows = method.rows(step)
        generated = make_step(TARGETS, step=-1).student.generate(temperature=0.7)
        lengths = generated.lengths.tolist()
        own = [row[:length] for row, length in zip(generated.tokens.tolist(), lengths, strict=True)]
        assert rows[1::2] == own
        assert rows[::2] == [[*row, 2] for row in OF_TEACHER]
        assert step.training_sequence.sources.tolist() == [Source.TEACHER, Source.STUDENT] * len(TARGETS)

    def test_both_models_sample_as_in_its_code(self, hooks):
        options = hooks("distillm2").options
        assert options.temperature == options.teacher_target_decoding.temperature == 0.8
        assert options.needs_teacher_target


class TestLoss:
    def test_at_the_beginning_it_is_the_paper_s_with_one_skew(self, hooks, prepared):
        method = hooks("distillm2")
        step = prepared(method)
        rows = method.rows(step)
        assert loss_of(method, step) == pytest.approx(of_paper(step, rows, [0.1] * 8, 0.5), rel=1e-5)

    @pytest.mark.parametrize("base", [0.1, 0.9])
    def test_later_every_sequence_has_the_skew_of_the_paper_s_code(self, hooks, prepared, base):
        method = hooks("distillm2", base_alpha=base)
        state = method.setup()
        state.sums[:] = torch.tensor([0.8, 0.2])
        state.count.fill_(8.0)
        step = prepared(method, state, **LATE)
        rows = method.rows(step)
        found = gaps(step, rows)
        skews = [
            alpha
            for prompt in range(len(TARGETS))
            for alpha in skews_of_code(found[2 * prompt : 2 * prompt + 2], base, (0.1, 0.025))
        ]
        assert any(0.01 < alpha < base for alpha in skews) == (base == 0.9)
        assert len(set(skews)) > 1
        assert loss_of(method, step) == pytest.approx(of_paper(step, rows, skews, 0.75), rel=1e-4)

    def test_without_its_updates_it_is_what_the_code_as_published_gives(self, hooks, prepared):
        method = hooks("distillm2", update_alpha=False, gradual_beta=False)
        step = prepared(method, state=torch.nn.Module(), **LATE)
        rows = method.rows(step)
        assert method.setup() is None
        assert loss_of(method, step) == pytest.approx(of_paper(step, rows, [0.1] * 8, 0.5), rel=1e-5)

    @pytest.mark.parametrize(
        ("progress", "beta"), [(0, 0.5), (0.25, 0.625), (0.5, 0.75), (0.8, 0.75), (1, 0.75)]
    )
    def test_beta_grows_over_the_first_half_as_in_its_code(self, hooks, progress, beta):
        """There the weights are 2 - b and b, b = 1 + 0.5 min(1, 2 step / steps): twice these."""
        assert hooks("distillm2").options.beta(progress) == pytest.approx(beta)
        assert hooks("distillm2", gradual_beta=False).options.beta(progress) == 0.5

    def test_it_has_no_auxiliary_loss(self, hooks, prepared):
        method = hooks("distillm2")
        assert method.aux_loss(prepared(method)) is None


class TestAnchors:
    def means(self, state):
        return (state.sums / state.count).tolist()

    def test_they_are_the_means_of_what_was_found_until_the_curriculum_starts(self, hooks, prepared):
        method = hooks("distillm2")
        state, found = method.setup(), []
        for number, progress in enumerate((0.0, 0.3, 0.34, 0.9)):
            step = prepared(method, state, step=number, progress=progress)
            rows = method.rows(step)
            method.after_step(step)
            if progress < 1 / 3:
                found.append(np.reshape(gaps(step, rows), (-1, 2)))
            step.student.model.table.data.mul_(1.1)  # it learns
        assert self.means(state) == pytest.approx(np.concatenate(found).mean(0).tolist(), rel=1e-4)

    def test_the_first_step_s_serve_where_it_starts_at_once(self, hooks, prepared):
        method = hooks("distillm2", curriculum_start=0, base_alpha=0.9)
        state = method.setup()
        first = prepared(method, state)
        expected = np.reshape(gaps(first, method.rows(first)), (-1, 2)).mean(0).tolist()
        assert first.training_sequence.values["skew"].unique().tolist() == pytest.approx([0.9])
        method.after_step(first)
        method.after_step(first)
        assert self.means(state) == pytest.approx(expected, rel=1e-4)
        state.sums.abs_()  # random models may find what they have said improbable
        second = prepared(method, state)
        found = gaps(second, method.rows(second))
        skews = [skews_of_code(pair, 0.9, self.means(state)) for pair in np.reshape(found, (-1, 2))]
        assert len(np.unique(skews)) > 1
        given = second.training_sequence.values["skew"][:, 0]
        np.testing.assert_allclose(given.numpy(), np.ravel(skews), rtol=1e-4)


@pytest.mark.parametrize(
    "options", [{"base_alpha": 0}, {"base_alpha": 1}, {"curriculum_start": 1.5}, {"beta": 0.5}]
)
def test_options_out_of_range_are_errors(hooks, options):
    with pytest.raises(ValidationError):
        hooks("distillm2", **options)
