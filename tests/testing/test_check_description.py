"""A method that does not describe itself as it should is told so."""

from __future__ import annotations

from typing import Any

import heavy_method
import pytest
import torch
from broken_methods import aux_loss, breaks, described, divergence, failures, module
from pydantic import BaseModel

from kdzoo import Options, Sequences, StepCost
from kdzoo.testing import check_method

READ = "plugin_can_be_read"
COMPLETE = "description_is_complete"


class TestDescription:
    @pytest.mark.parametrize(
        ("changes", "by", "words"),
        [
            ({"summary": " "}, COMPLETE, "Method.summary is empty"),
            ({"paper": None}, COMPLETE, "Method.paper must be a text, not None"),
            ({"cost": StepCost(generation=-1)}, COMPLETE, "cost.generation is negative"),
            ({"options": BaseModel}, READ, "options must derive from kdzoo.Options"),
        ],
    )
    def test_every_part_must_be_there(self, changes: dict[str, Any], by: str, words: str) -> None:
        breaks(divergence, method=described(**changes), by=by, words=words)

    def test_everything_that_is_missing_is_told_at_once(self) -> None:
        method = described(summary="", paper="", cost=StepCost(teacher=-1))
        words = "Method.summary is empty; Method.paper is empty; mine: cost.teacher is negative"
        breaks(divergence, method=method, by=COMPLETE, words=words)

    def test_it_must_be_a_method(self) -> None:
        breaks(divergence, method="mine", by=READ, words="must give a kdzoo.Method, not 'mine'")

    def test_it_must_not_import_torch(self) -> None:
        found = failures(heavy_method)
        assert list(found) == ["description_needs_no_torch"]
        assert "heavy_method imports torch before a hook needs it" in found["description_needs_no_torch"]

    def test_a_method_without_a_teacher_has_no_use_for_a_divergence(self) -> None:
        breaks(
            divergence,
            method=described(uses_teacher=False),
            by="teacher_is_declared",
            words="a divergence needs uses_teacher=True",
        )

    def test_nor_for_a_teacher_s_generations(self) -> None:
        class Greedy(Options):
            @property
            def needs_teacher_target(self) -> bool:
                return True

        method = described(uses_teacher=False, options=Greedy)
        breaks(
            aux_loss, method=method, by="teacher_is_declared", words="teacher targets need uses_teacher=True"
        )


class Named(Options):
    """Options that say of models whatever a test wants."""

    names: tuple[str, ...] = ()
    decay: float | None = None
    template: str | None = None
    teacher: str = "teacher"
    privileged: bool = False

    @property
    def teacher_names(self) -> tuple[str, ...]:
        return self.names

    @property
    def average_decay(self) -> float | None:
        return self.decay

    @property
    def privileged_prompt(self) -> str | None:
        return self.template

    @property
    def teacher_model(self) -> str:
        return self.teacher

    @property
    def teacher_is_privileged(self) -> bool:
        return self.privileged


def learns_from_itself(student_logits: torch.Tensor, teacher_logits: torch.Tensor, options: Any) -> Any:
    assert isinstance(options, Named)
    assert options.model_dump()
    return divergence(student_logits, teacher_logits)


learns_from_itself.__name__ = "divergence"


class TestModels:
    @pytest.mark.parametrize(
        "options",
        [
            {"teacher": "base"},
            {"teacher": "student", "privileged": True, "template": "{prompt} {target}"},
            {"teacher": "average", "decay": 1},
            {"teacher": "wide", "names": ["wide"]},
        ],
    )
    def test_a_method_that_learns_from_another_model_needs_no_teacher(self, options: dict[str, Any]) -> None:
        method = described(uses_teacher=False, options=Named)
        check_method(module(learns_from_itself, method=method), options)

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (
                {"names": ["base", "student"]},
                "teacher_names has 'student', which is no further teacher's name",
            ),
            ({"decay": -0.5}, "average_decay must be from 0 to 1, not -0.5"),
            ({"template": "{target}"}, "privileged_prompt must have {prompt}"),
        ],
    )
    def test_what_options_say_of_models_must_be_possible(self, options: dict[str, Any], words: str) -> None:
        method = described(options=Named)
        breaks(learns_from_itself, method=method, by="models_can_be_had", words=words, options=options)

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"teacher": "average"}, "a teacher_model that is the average needs an average_decay"),
            ({"privileged": True}, "a teacher that is privileged needs a privileged_prompt"),
        ],
    )
    def test_and_so_must_what_they_say_of_the_teacher(self, options: dict[str, Any], words: str) -> None:
        found = failures(module(learns_from_itself, method=described(options=Named)), options=options)
        assert words in found["models_can_be_had"]


class TestHooks:
    def test_an_argument_that_does_not_exist(self) -> None:
        def divergence(student_logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            return student_logits.sum(-1) + labels

        breaks(divergence, by=READ, words="labels")

    def test_a_function_that_looks_like_a_hook_and_is_not_marked(self) -> None:
        made = module(aux_loss)
        made.divergence = lambda student_logits: student_logits.sum(-1)
        found = failures(made)
        assert list(found) == ["hooks_are_marked"]
        assert "divergence is not marked with @kdzoo.hookimpl" in found["hooks_are_marked"]

    def test_all_that_are_not_marked_are_named(self) -> None:
        made = module(divergence)
        made.make_training_sequence = made.aux_loss = lambda step: step.target
        assert list(failures(made).values()) == [
            "mine: make_training_sequence and aux_loss are not marked with @kdzoo.hookimpl, and would never be called"
        ]

    def test_nothing_to_learn_from(self) -> None:
        def make_training_sequence(step: Any) -> Sequences:
            return step.target

        breaks(make_training_sequence, by="there_is_a_loss", words="neither a divergence nor an aux_loss")
