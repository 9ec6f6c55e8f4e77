"""What a model's positions do not suffice for is told before a run writes anything."""

from __future__ import annotations

from typing import Any

import pytest

Check = Any  # of conftest.py


class TestPositions:
    """Only the models that a stage runs must have room for its prompts and targets."""

    LIMITS = ("training.input_limit=100", "training.output_limit=20")

    @pytest.mark.parametrize(
        ("short", "stages"),
        [
            ("teacher", ["teacher"]),
            ("teacher", ["kid"]),
            ("teacher", ["teacher", "evaluate"]),
            ("student", ["student"]),
            ("student", ["sft"]),
            ("student", ["kid"]),
        ],
    )
    def test_too_few(self, check: Check, short: str, stages: list[str]) -> None:
        check.save_model(short, max_position_embeddings=119)
        assert check.refused(*stages, overrides=self.LIMITS).endswith(
            f"training.input_limit: the {short} has 119 positions, fewer than the 120 of input_limit + output_limit"
        )
        check.save_model(short, max_position_embeddings=120)
        check(*stages, overrides=self.LIMITS)

    def test_too_few_for_scores_while_it_is_trained(self, check: Check) -> None:
        check.save_model("student", max_position_embeddings=129)
        scored = (*self.LIMITS, "evaluation.input_limit=110", "training.evaluate_every=1")
        check("sft", overrides=scored[:3])
        assert check.refused("sft", overrides=scored).endswith(
            "the student has 129 positions, fewer than the 130 of input_limit + output_limit"
        )
        assert "evaluation.input_limit=110" in check.refused("sft", overrides=scored)
        check.save_model("student", max_position_embeddings=130)
        check("sft", overrides=scored)

    @pytest.mark.parametrize(
        ("short", "stages"),
        [("teacher", ["student", "sft", "evaluate"]), ("student", ["teacher", "evaluate"])],
    )
    def test_a_model_that_takes_no_part_may_have_few(
        self, check: Check, short: str, stages: list[str]
    ) -> None:
        check.save_model(short, max_position_embeddings=50)
        check(*stages, overrides=self.LIMITS)

    def test_a_teacher_takes_part_in_the_comparison_with_it(self, check: Check) -> None:
        check.save_model("teacher", max_position_embeddings=50)
        overrides = (*self.LIMITS, "evaluation.metrics=['exaccerr']")
        check("sft", overrides=overrides)
        assert "the teacher has 50 positions" in check.refused("sft", "evaluate", overrides=overrides)

    def test_limits_of_one_evaluation_count_for_it(self, check: Check) -> None:
        limits = (*self.LIMITS, "evaluate.input_limit=5000")
        assert check.refused("sft", "evaluate", overrides=limits).startswith(
            "--set evaluate.input_limit=5000: the student has 2048 positions"
        )

    def test_the_line_of_a_stage_s_own_limit_is_named(self, check: Check) -> None:
        check.save_model("student", max_position_embeddings=119)
        check.save_data("train", [("select", "from")])
        more = "[training]\ninput_limit = 50\noutput_limit = 20\n"
        stage = '[[stage]]\nkind = "distill"\nmethod = "sft"\n[stage.training]\ninput_limit = 100\n'
        assert check.refused(more=more + stage).startswith('./r.toml:16: stage "sft": training.input_limit: ')
