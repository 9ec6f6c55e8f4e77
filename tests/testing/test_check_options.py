"""Options that a recipe could not use are told of."""

from __future__ import annotations

import types
from typing import Any, Literal

import pytest
import torch
from broken_methods import breaks, described, divergence, module
from pydantic import Field

from kdzoo import Options, Sequences, TeacherDecodingOptions, divergences
from kdzoo.testing import check_method


class TestOptions:
    def test_every_one_needs_a_default(self) -> None:
        class Demanding(Options):
            alpha: float

        breaks(
            divergence,
            method=described(options=Demanding),
            by="plugin_can_be_read",
            words="every option needs a default",
        )

    def test_an_unknown_name_must_be_refused(self) -> None:
        class Lenient(Options, extra="ignore"):
            pass

        breaks(
            divergence,
            method=described(options=Lenient),
            by="options_refuse_other_names",
            words="accept any name",
        )

    def test_they_must_survive_a_recipe(self) -> None:
        class Forgetful(Options):
            secret: float = Field(0.5, exclude=True)

        def divergence(
            student_logits: torch.Tensor, teacher_logits: torch.Tensor, options: Forgetful
        ) -> torch.Tensor:
            return options.secret * divergences.forward_kl(student_logits, teacher_logits)

        breaks(
            divergence,
            method=described(options=Forgetful),
            by="options_survive_a_recipe",
            words="do not survive being written",
            options={"secret": 0.25},
        )

    def test_infinity_survives(self) -> None:
        class Endless(Options):
            limit: float = float("inf")

        def divergence(
            student_logits: torch.Tensor, teacher_logits: torch.Tensor, options: Endless
        ) -> torch.Tensor:
            return divergences.forward_kl(student_logits, teacher_logits).clamp_max(options.limit)

        check_method(module(divergence, method=described(options=Endless)))


class TestUseOfOptions:
    """An option that no hook reads would be accepted in a recipe, and change nothing."""

    class Weighted(Options):
        factor: float = Field(1.0, ge=0)
        kind: Literal["plain", "clipped"] = "plain"
        limit: float = 5.0
        idle: int = 3

    def module(self, *reads: str) -> types.ModuleType:
        """A method that reads these options, and its limit only where it clips."""

        def divergence(
            student_logits: torch.Tensor, teacher_logits: torch.Tensor, options: Any
        ) -> torch.Tensor:
            losses = divergences.forward_kl(student_logits, teacher_logits)
            if options.kind == "clipped":
                losses = losses.clamp_max(options.limit)
            for name in reads:
                getattr(options, name)
            return options.factor * losses

        return module(divergence, method=described(options=self.Weighted))

    @pytest.mark.parametrize("options", [{}, {"kind": "clipped"}, {"idle": 7}])
    def test_none_may_be_idle(self, options: dict[str, Any]) -> None:
        with pytest.raises(AssertionError, match="mine: no hook reads the options idle: "):
            check_method(self.module(), options)

    @pytest.mark.parametrize("options", [{}, {"kind": "clipped"}])
    def test_one_may_count_only_with_another_choice(self, options: dict[str, Any]) -> None:
        check_method(self.module("idle"), options)

    def test_one_may_be_read_with_all_the_others(self) -> None:
        check_method(self.module("model_dump"))

    def test_one_may_be_read_by_the_core_alone(self) -> None:
        class Generated(Options):
            generated: bool = True

            @property
            def needs_teacher_target(self) -> bool:
                return self.generated

        def make_training_sequence(step: Any) -> Sequences:
            return step.teacher_target if step._teacher_target is not None else step.target

        check_method(module(make_training_sequence, divergence, method=described(options=Generated)))

    def test_how_a_teacher_decodes_counts_where_it_may_be_asked_to(self) -> None:
        class Mixed(TeacherDecodingOptions):
            share: float = Field(0.0, ge=0, le=1)
            from_teacher: bool = False

            @property
            def needs_teacher_target(self) -> bool:
                return self.share > 0 and self.from_teacher

        def make_training_sequence(step: Any, options: Mixed) -> Sequences:
            return step.teacher_target if options.needs_teacher_target else step.target

        check_method(module(make_training_sequence, divergence, method=described(options=Mixed)))

    def test_and_nowhere_else(self) -> None:
        with pytest.raises(AssertionError, match="no hook reads the options teacher_decoding, teacher_temp"):
            check_method(module(divergence, method=described(options=TeacherDecodingOptions)))
