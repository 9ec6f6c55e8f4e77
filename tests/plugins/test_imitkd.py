"""ImitKD: how often the ground truth is taken, and what replaces it."""

import pytest
import torch
from pydantic import ValidationError

from kdzoo import divergences
from kdzoo.methods.source import Source
from kdzoo.testing import check_method

TARGETS = [[3, 4, 5, 6], [7], [], [8, 9]]


@pytest.mark.parametrize("mix", ["request", "batch"])
@pytest.mark.parametrize("schedule", ["constant", "exponential", "linear"])
def test_it_keeps_the_rules(schedule, mix):
    check_method("imitkd", {"schedule": schedule, "mix": mix})


@pytest.mark.parametrize(
    ("options", "progress", "probability"),
    [
        ({}, 0.0, 0.5),
        ({}, 1.0, 0.5),
        ({"constant": 0.8}, 0.3, 0.8),
        ({"schedule": "exponential"}, 0.0, 1.0),
        ({"schedule": "exponential"}, 0.5, 0.0707107),  # 1 / sqrt(200)
        ({"schedule": "exponential"}, 1.0, 0.005),
        ({"schedule": "exponential", "base": 4}, 0.5, 0.5),
        ({"schedule": "linear"}, 0.0, 1.0),
        ({"schedule": "linear"}, 0.25, 0.75),
        ({"schedule": "linear"}, 1.0, 0.0),
    ],
)
def test_the_probability_of_the_ground_truth_follows_its_schedule(hooks, options, progress, probability):
    imitkd = hooks("imitkd", **options)
    assert imitkd.options.ground_truth_probability(progress) == pytest.approx(probability, rel=1e-5)


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_each_example_is_chosen_by_itself(hooks, make_step, probability):
    imitkd = hooks("imitkd", constant=probability)
    sources = torch.cat([imitkd.sequences(make_step(TARGETS, step=n)).sources for n in range(100)])
    truths = (sources == Source.GROUND_TRUTH).float().mean().item()
    # 400 draws: five standard deviations, and none at the ends
    assert abs(truths - probability) <= 5 * (probability * (1 - probability) / 400) ** 0.5
    assert set(sources.tolist()) <= {Source.GROUND_TRUTH, Source.STUDENT}


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_or_a_batch_is_chosen_as_one(hooks, make_step, probability):
    imitkd = hooks("imitkd", constant=probability, mix="batch")
    truths = 0
    for number in range(300):
        step, other = (make_step(TARGETS, step=number) for _ in range(2))
        (source,) = set(imitkd.sequences(step).sources.tolist())
        truths += source == Source.GROUND_TRUTH
        if source == Source.GROUND_TRUTH:
            assert step.training_sequence is step.target
        else:
            other.generator.per_batch()  # the decision comes first
            assert torch.equal(step.training_sequence.tokens, other.student.generate().tokens)
    assert abs(truths / 300 - probability) <= 5 * (probability * (1 - probability) / 300) ** 0.5


def test_a_batch_s_choice_follows_the_schedule_too(hooks, make_step):
    imitkd = hooks("imitkd", schedule="linear", mix="batch")
    for number in range(20):
        first, last = (make_step(TARGETS, step=number, progress=p) for p in (0.0, 1.0))
        assert set(imitkd.sequences(first).sources.tolist()) == {Source.GROUND_TRUTH}
        assert set(imitkd.sequences(last).sources.tolist()) == {Source.STUDENT}


def test_a_row_is_its_ground_truth_or_what_the_student_generates_for_it(hooks, make_step):
    generated = hooks("imitkd", constant=0).rows(make_step(TARGETS, step=1))
    step = make_step(TARGETS, step=1)
    imitkd = hooks("imitkd")
    rows, sources = imitkd.rows(step), step.training_sequence.sources.tolist()
    assert set(sources) == {Source.GROUND_TRUTH, Source.STUDENT}
    for row, source, own, target in zip(rows, sources, generated, TARGETS, strict=True):
        assert row == ([*target, 2] if source == Source.GROUND_TRUTH else own)


def test_only_the_rows_that_need_it_are_generated(hooks, make_step, monkeypatch):
    step = make_step(TARGETS, step=1)
    asked = []
    generate = step.student.generate
    monkeypatch.setattr(
        step.student, "generate", lambda **settings: asked.append(settings) or generate(**settings)
    )
    sources = hooks("imitkd", temperature=0.7).sequences(step).sources
    (settings,) = asked
    assert set(sources.tolist()) == {Source.GROUND_TRUTH, Source.STUDENT}
    assert torch.equal(settings["rows"], sources == Source.STUDENT)
    assert settings["temperature"] == 0.7


def test_a_generated_row_ends_with_its_first_end_of_sequence(hooks, make_step):
    for number in range(20):
        for row in hooks("imitkd", constant=0).rows(make_step(TARGETS, step=number)):
            assert 2 not in row[:-1]
            assert row[-1] == 2 or len(row) == 8  # the output limit


def test_its_divergence_is_the_forward_kl(hooks, logits):
    assert torch.equal(hooks("imitkd").divergence(*logits), divergences.forward_kl(*logits))


def test_it_has_no_auxiliary_loss_and_no_need_of_the_teacher_s_generations(hooks, make_step):
    assert hooks("imitkd").aux_loss(make_step(TARGETS)) is None
    assert not hooks("imitkd").options.needs_teacher_target


@pytest.mark.parametrize(
    "options", [{"constant": 1.1}, {"base": 1}, {"schedule": "cosine"}, {"b": 0.5}, {"mix": "both"}]
)
def test_options_out_of_range_are_errors(hooks, options):
    with pytest.raises(ValidationError):
        hooks("imitkd", **options)
