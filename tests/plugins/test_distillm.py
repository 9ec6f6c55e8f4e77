"""DistiLLM: skewed divergences, and sequences of the ground truth, of the student, and of the student some time ago."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from kdzoo.methods.source import Source
from kdzoo.testing import check_method

TARGETS = [[3, 4, 5], [], [6, 7]]
ALWAYS = {"init_threshold": 1}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"divergence": "sfkl", "mle_weight": 0.5, "init_threshold": 0.5, "replay_ratio": "constant"},
        {**ALWAYS, "replay_ratio": "increasing", "capacity": 3, "skew_alpha": 0},
    ],
)
def test_it_keeps_the_rules(options):
    check_method("distillm", options)


class TestDivergence:
    @staticmethod
    def of_paper(student, teacher, divergence, alpha):
        q, p = (np.exp(logits) / np.exp(logits).sum() for logits in (student, teacher))
        if divergence == "sfkl":
            return (p * np.log(p / (alpha * p + (1 - alpha) * q))).sum()
        return (q * np.log(q / ((1 - alpha) * p + alpha * q))).sum()

    @staticmethod
    def of_code(student, teacher, divergence, alpha):
        """losses.py of jongwooko/distillm: of the forward one, the cross entropy."""
        q, p = student.softmax(-1), teacher.softmax(-1)
        if divergence == "sfkl":
            return -(p * (alpha * p + (1 - alpha) * q).log()).sum(-1)
        return -(q * ((1 - alpha) * p + alpha * q).log()).sum(-1) + (q * q.log()).sum(-1)

    @pytest.mark.parametrize("divergence", ["srkl", "sfkl"])
    @pytest.mark.parametrize("alpha", [0.1, 0.5])
    def test_it_is_the_paper_s_and_has_the_code_s_gradient(self, hooks, logits, divergence, alpha):
        distillm = hooks("distillm", divergence=divergence, skew_alpha=alpha, kd_weight=2)
        student, teacher = logits
        pairs = zip(*(side.double().numpy() for side in logits), strict=True)
        expected = [2 * self.of_paper(s, t, divergence, alpha) for s, t in pairs]
        leaf, wide = student.clone().requires_grad_(), student.double().requires_grad_()
        given = distillm.divergence(leaf, teacher)
        np.testing.assert_allclose(given.detach().numpy(), expected, rtol=5e-5, atol=1e-6)
        of_code = 2 * self.of_code(wide, teacher.double(), divergence, alpha)
        gradients = [
            torch.autograd.grad(losses.sum(), z)[0] for losses, z in ((given, leaf), (of_code, wide))
        ]
        torch.testing.assert_close(gradients[0].double(), gradients[1], rtol=1e-4, atol=1e-6)

    def test_its_defaults_are_those_of_most_scripts_of_its_code(self, hooks):
        options = hooks("distillm").options
        assert (options.divergence, options.skew_alpha) == ("srkl", 0.1)
        assert (options.init_threshold, options.replay_ratio) == (0.0, "decreasing")


class TestShares:
    @pytest.mark.parametrize(
        ("ratio", "progress", "anew", "generated"),
        [
            ("decreasing", 0.0, 0.2, 0.2),
            ("decreasing", 0.25, 0.3, 0.4),
            ("decreasing", 1.0, 0.0, 1.0),
            ("constant", 0.25, 0.2, 0.4),
            ("increasing", 0.25, 0.1, 0.4),
            ("increasing", 1.0, 1.0, 1.0),
        ],
    )
    def test_they_follow_the_progress(self, hooks, ratio, progress, anew, generated):
        options = hooks("distillm", init_threshold=0.2, replay_ratio=ratio).options
        assert options.thresholds(progress) == pytest.approx((anew, generated))

    def test_it_begins_with_the_ground_truth_alone(self, hooks, make_step):
        distillm = hooks("distillm")
        for number in range(5):
            step = make_step(TARGETS, state=distillm.setup(), step=number)
            assert distillm.sequences(step) is step.target

    def test_they_are_the_steps_shares_of_a_training(self, hooks, make_step):
        distillm = hooks("distillm", init_threshold=0.6, final_threshold=0.6, replay_ratio="constant")
        kept, count = distillm.setup(), 600
        kept.put([0], make_step([[7, 7, 7]]).target)
        found = {"ground truth": 0, "replayed": 0, "anew": 0}
        for number in range(count):
            step = make_step([[3]], state=kept, step=number, progress=0.5, output_limit=2)
            row = distillm.rows(step)[0]
            source = step.training_sequence.sources.item()
            replayed = row == [7, 7, 7, 2]  # longer than what is generated here
            found["ground truth" if source == 0 else "replayed" if replayed else "anew"] += 1
        for name, share in (("ground truth", 0.4), ("replayed", 0.3), ("anew", 0.3)):
            assert found[name] / count == pytest.approx(share, abs=0.06)


class TestReplay:
    @staticmethod
    def generated(step):
        """What the student generates in a step that has drawn its kind of data before."""
        step.generator.per_batch()
        generated = step.student.generate(temperature=1.0)
        lengths = generated.lengths.tolist()
        return [row[:length] for row, length in zip(generated.tokens.tolist(), lengths, strict=True)]

    def test_what_was_generated_for_a_prompt_is_trained_on_again(self, hooks, make_step):
        distillm = hooks("distillm", **ALWAYS)
        state = distillm.setup()
        step = make_step(TARGETS, state=state)
        first = distillm.rows(step)
        assert first == self.generated(make_step(TARGETS))
        distillm.after_step(step)
        later = make_step(TARGETS, state=state, step=5, progress=1.0)
        assert distillm.rows(later) == first
        assert set(later.training_sequence.sources.tolist()) == {Source.STUDENT}

    def test_for_prompts_without_one_it_is_generated(self, hooks, make_step):
        distillm = hooks("distillm", **ALWAYS, replay_ratio="increasing")
        state = distillm.setup()
        state.put([1], make_step([[9] * 12]).target)
        step = make_step(TARGETS, state=state, step=3)
        rows = distillm.rows(step)
        anew = self.generated(make_step(TARGETS, step=3))
        assert rows == [anew[0], [9] * 12 + [2], anew[2]]
        assert set(step.training_sequence.sources.tolist()) == {Source.STUDENT}
        distillm.after_step(step)
        assert state.has([0, 1, 2]).all()

    def test_the_ground_truth_is_not_kept(self, hooks, make_step):
        distillm = hooks("distillm")
        state = distillm.setup()
        step = make_step(TARGETS, state=state)
        distillm.sequences(step)
        distillm.after_step(step)
        assert len(state) == 0

    def test_no_more_prompts_than_its_capacity(self, hooks, make_step):
        distillm = hooks("distillm", **ALWAYS, capacity=2)
        state = distillm.setup()
        step = make_step(TARGETS, state=state, examples=[7, 3, 5])
        distillm.sequences(step)
        distillm.after_step(step)
        assert state.has([3, 5, 7]).tolist() == [False, True, True]


@pytest.mark.parametrize("options", [{}, ALWAYS])
def test_mle_is_that_of_the_ground_truth_if_it_is_asked_for(hooks, make_step, mean_nll, options):
    weighted, with_end = hooks("distillm", mle_weight=0.5, **options), [[*row, 2] for row in TARGETS]
    step = make_step(TARGETS, state=weighted.setup())
    weighted.sequences(step)
    assert weighted.aux_loss(step).item() == pytest.approx(0.5 * mean_nll(step, with_end, with_end), rel=1e-5)
    assert hooks("distillm", **options).aux_loss(step) is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"skew_alpha": 1}, "less than 1"),
        ({"capacity": 0}, "greater than or equal to 1"),
        ({"replay_ratio": "linear"}, "replay_ratio"),
        ({"init_threshold": 0.5, "final_threshold": 0.4}, "final_threshold must be at least init_threshold"),
        ({"temperature": 0.001}, "at least 0.01"),
    ],
)
def test_options_out_of_range_are_errors(hooks, options, words):
    with pytest.raises(ValidationError, match=words):
        hooks("distillm", **options)
