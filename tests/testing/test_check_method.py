"""``check_method`` passes every method that keeps the rules, and names the rule that another breaks."""

from __future__ import annotations

import random
import types
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from pydantic import BaseModel, Field

from kdzoo import Kind, Method, Options, Sequences, StepCost, UserError, divergences, hookimpl
from kdzoo.methods import registry
from kdzoo.testing import check_method

Hook = Callable[..., Any]


def described(**changes: Any) -> Method:
    right = Method("mine", "A method of a test.", "-", "ground truth", "KL(p‖q)", "-", StepCost())
    return replace(right, **changes)


def module(*hooks: Hook, method: Any = None) -> types.ModuleType:
    """A plugin with these hooks, named as they are."""
    made = types.ModuleType("mine")

    def register_method() -> Any:
        return described() if method is None else method

    made.register_method = hookimpl(register_method)
    for hook in hooks:
        setattr(made, hook.__name__, hookimpl(hook))
    return made


def divergence(student_logits: torch.Tensor, teacher_logits: torch.Tensor) -> torch.Tensor:
    return divergences.forward_kl(student_logits, teacher_logits)


def aux_loss(step: Any) -> torch.Tensor:
    return step.student.cross_entropy(step.target)


def breaks(*hooks: Hook, words: str, method: Any = None, **settings: Any) -> None:
    """The check of a method with these hooks fails, and says these words."""
    with pytest.raises(AssertionError) as caught:
        check_method(module(*hooks, method=method), **settings)
    assert words in str(caught.value)


class TestWhatPasses:
    @pytest.mark.parametrize("name", ["sft", "fkd", "rkd", "fdistill", "imitkd", "gkd", "kid"])
    def test_the_built_in_methods(self, name: str) -> None:
        assert registry.find(name).package == "kdzoo"
        check_method(name)

    def test_a_module_that_is_not_installed(self) -> None:
        check_method(module(divergence, aux_loss))

    def test_a_loss_that_means_to_be_otherwise_where_the_models_agree(self) -> None:
        def divergence(student_logits: torch.Tensor) -> torch.Tensor:
            return divergences.entropy(student_logits)

        breaks(divergence, words="not smallest where the student agrees with the teacher")
        check_method(module(divergence), zero_at_teacher=False)

    def test_an_aux_loss_may_be_none_at_times(self) -> None:
        def aux_loss(step: Any) -> torch.Tensor | None:
            return step.student.cross_entropy(step.target) if step.progress > 0.25 else None

        check_method(module(divergence, aux_loss))

    def test_a_method_that_is_not_installed_is_the_caller_s_mistake(self) -> None:
        with pytest.raises(UserError, match="no method 'kidd' is installed"):
            check_method("kidd")


class TestDescription:
    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"summary": " "}, "Method.summary is empty"),
            ({"paper": None}, "Method.paper must be a text, not None"),
            ({"cost": StepCost(generation=-1)}, "cost.generation is negative"),
            ({"options": BaseModel}, "options must derive from kdzoo.Options"),
        ],
    )
    def test_every_part_must_be_there(self, changes: dict[str, Any], words: str) -> None:
        breaks(divergence, method=described(**changes), words=words)

    def test_it_must_be_a_method(self) -> None:
        breaks(divergence, method="mine", words="must give a kdzoo.Method, not 'mine'")

    def test_it_must_not_import_torch(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "heavy_method.py").write_text(
            "import torch\nfrom kdzoo import Method, StepCost, hookimpl\n\n@hookimpl\ndef register_method():\n"
            "    return Method('heavy', 's', '-', '-', '-', '-', StepCost())\n\n"
            "@hookimpl\ndef divergence(student_logits, teacher_logits):\n    return student_logits.sum(-1)\n"
        )
        monkeypatch.syspath_prepend(tmp_path)
        import heavy_method  # type: ignore[import-not-found]

        with pytest.raises(AssertionError, match="heavy_method imports torch before a hook needs it"):
            check_method(heavy_method)

    def test_a_method_without_a_teacher_has_no_use_for_a_divergence(self) -> None:
        breaks(divergence, method=described(uses_teacher=False), words="a divergence needs uses_teacher=True")

    def test_nor_for_a_teacher_s_generations(self) -> None:
        class Greedy(Options):
            @property
            def needs_teacher_target(self) -> bool:
                return True

        method = described(uses_teacher=False, options=Greedy)
        breaks(aux_loss, method=method, words="teacher targets need uses_teacher=True")


class TestOptions:
    def test_every_one_needs_a_default(self) -> None:
        class Demanding(Options):
            alpha: float

        breaks(divergence, method=described(options=Demanding), words="every option needs a default")

    def test_an_unknown_name_must_be_refused(self) -> None:
        class Lenient(Options, extra="ignore"):
            alpha: float = 0.5

        breaks(divergence, method=described(options=Lenient), words="accept any name")

    def test_they_must_survive_a_recipe(self) -> None:
        class Forgetful(Options):
            secret: float = Field(0.5, exclude=True)

        method = described(options=Forgetful)
        breaks(divergence, method=method, words="do not survive being written", options={"secret": 0.25})

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


class TestHooks:
    def test_an_argument_that_does_not_exist(self) -> None:
        def divergence(student_logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            return student_logits.sum(-1) + labels

        breaks(divergence, words="labels")

    def test_a_function_that_looks_like_a_hook_and_is_not_marked(self) -> None:
        made = module(aux_loss)
        made.divergence = lambda student_logits: student_logits.sum(-1)
        with pytest.raises(AssertionError, match=r"divergence is not marked with @kdzoo\.hookimpl"):
            check_method(made)

    def test_nothing_to_learn_from(self) -> None:
        def make_training_sequence(step: Any) -> Sequences:
            return step.target

        breaks(make_training_sequence, words="neither a divergence nor an aux_loss")


class TestTrainingSequence:
    def check(self, make: Callable[[Any], Any], words: str) -> None:
        def make_training_sequence(step: Any) -> Any:
            return make(step)

        breaks(make_training_sequence, divergence, words=words)

    def test_it_must_be_sequences(self) -> None:
        self.check(lambda step: step.target.tokens, "gave Tensor, not kdzoo.Sequences")

    def test_it_must_leave_the_target_alone(self) -> None:
        def make(step: Any) -> Sequences:
            step.target.tokens[0, 0] += 1
            return step.target

        self.check(make, "changed step.target")

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (lambda y: replace(y, per_prompt=2), "5 sequences for 5 prompts, 2 each"),
            (lambda y: replace(y, tokens=y.tokens.int()), "tokens must be int64"),
            (lambda y: replace(y, kinds=y.kinds.float()), "kinds must be int64"),
            (lambda y: replace(y, kinds=y.kinds[:1]), "kinds must have shape [5]"),
            (lambda y: replace(y, lengths=y.lengths + 1), "lengths must lie between 0 and"),
            (lambda y: replace(y, lengths=y.lengths - 2), "lengths must lie between 0 and"),
            (lambda y: replace(y, tokens=y.tokens + 9), "a token id outside the vocabulary"),
            (lambda y: replace(y, kinds=y.kinds + 7), "kinds must be values of kdzoo.Kind"),
        ],
    )
    def test_its_parts_must_fit(self, change: Callable[[Sequences], Sequences], words: str) -> None:
        self.check(lambda step: change(step.target), words)

    @pytest.mark.parametrize(
        "draw",
        [
            lambda: torch.rand(()).item(),
            random.random,
            lambda: np.random.rand(),
        ],
        ids=["torch", "random", "numpy"],
    )
    def test_its_random_choices_must_come_from_the_step(self, draw: Callable[[], float]) -> None:
        def make(step: Any) -> Sequences:
            assert draw() < 1
            return step.target

        self.check(make, "draws from a global generator; use step.generator")

    def test_it_must_give_the_same_for_the_same_step(self) -> None:
        calls: list[int] = []

        def make(step: Any) -> Sequences:
            calls.append(1)
            return step.target.rewritten((step.target.tokens + len(calls)) % 5, Kind.IMPERFECT)

        self.check(make, "two results for the same step")

    def test_a_row_must_not_depend_on_the_rows_beside_it(self) -> None:
        def make(step: Any) -> Sequences:
            y = step.target
            return y.rewritten(y.tokens.flip(0), Kind.IMPERFECT) if len(y.lengths) > 1 else y

        self.check(make, "other sequences when a batch is split or reordered")

    def test_a_teacher_s_generations_must_be_asked_for_in_the_options(self) -> None:
        self.check(lambda step: step.teacher_target, "needs Options.needs_teacher_target to be True")

    def test_it_is_not_there_before_it_is_made(self) -> None:
        self.check(lambda step: step.training_sequence, "not there before it is made")


class TestDivergence:
    def check(self, loss: Callable[[torch.Tensor, torch.Tensor], Any], words: str, **settings: Any) -> None:
        def divergence(student_logits: torch.Tensor, teacher_logits: torch.Tensor) -> Any:
            return loss(student_logits, teacher_logits)

        breaks(divergence, words=words, **settings)

    def test_it_must_be_a_tensor(self) -> None:
        self.check(lambda q, p: 0.5, "must give a tensor, not float")

    def test_it_must_have_one_number_for_each_token(self) -> None:
        self.check(lambda q, p: divergences.forward_kl(q, p).mean(), "must give one number per token")

    def test_it_must_be_finite(self) -> None:
        def naive(q: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
            # -inf where a probability is 0 in bfloat16's range
            return ((50 * q).softmax(-1).to(torch.bfloat16).log() * 0.0).sum(-1) + q.sum(-1)

        self.check(naive, "is not finite on logits of")

    def test_its_gradient_must_be_finite(self) -> None:
        self.check(lambda q, p: (q - q).abs().sqrt().sum(-1), "has a gradient that is not finite")

    @pytest.mark.parametrize(
        "loss", [lambda q, p: p.sum(-1), lambda q, p: divergences.forward_kl(q.detach(), p.detach())]
    )
    def test_it_must_train_the_student(self, loss: Callable[..., torch.Tensor]) -> None:
        self.check(loss, "gives the student no gradient")

    def test_it_must_not_train_the_teacher(self) -> None:
        def both(q: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
            return (p.softmax(-1) * (p.log_softmax(-1) - q.log_softmax(-1))).sum(-1)

        self.check(both, "gives the teacher a gradient; use teacher_logits.detach()")

    @pytest.mark.parametrize("which", ["student_logits", "teacher_logits"])
    def test_it_must_leave_the_logits_as_they_are(self, which: str) -> None:
        def loss(q: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
            (q if which == "student_logits" else p).mul_(0.5)
            return divergences.forward_kl(q, p)

        self.check(loss, f"changes {which} in place")

    def test_a_token_s_must_not_depend_on_the_others(self) -> None:
        def centred(q: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
            losses = divergences.forward_kl(q, p)
            return losses * losses.detach().mean()

        self.check(centred, "depends on the other tokens that it is computed with")

    def test_it_must_be_smallest_where_the_models_agree(self) -> None:
        self.check(lambda q, p: -divergences.forward_kl(q, p), "is not smallest where the student agrees")

    def test_it_must_rest_where_the_models_agree(self) -> None:
        def sharp(q: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
            return (q - p.detach()).relu().sum(-1) + (p.detach() - q).clamp_min(-0.0).sum(-1) + 1e-3 * q[:, 0]

        self.check(sharp, "has a gradient where the student agrees")


class TestAuxLoss:
    def check(self, loss: Callable[[Any], Any], words: str) -> None:
        def aux_loss(step: Any) -> Any:
            return loss(step)

        breaks(divergence, aux_loss, words=words)

    def test_it_must_be_a_tensor_or_none(self) -> None:
        self.check(lambda step: 0.5, "must give a tensor or None, not 0.5")

    def test_it_must_be_one_number(self) -> None:
        self.check(lambda step: step.student.logits(step.target)[:, 0, 0], "must give one number, not [5]")

    def test_it_must_be_finite(self) -> None:
        self.check(lambda step: step.student.cross_entropy(step.target) * float("nan"), "aux_loss gave nan")

    @pytest.mark.parametrize("model", ["student", "teacher"])
    def test_it_must_train_the_student(self, model: str) -> None:
        def loss(step: Any) -> torch.Tensor:
            return getattr(step, model).cross_entropy(step.target).detach()

        self.check(loss, "aux_loss gives the student no gradient")

    def test_it_must_be_a_mean_over_the_target_s_tokens(self) -> None:
        def sum_of_tokens(step: Any) -> torch.Tensor:
            return step.student.cross_entropy(step.target) * step.target.lengths.sum()

        self.check(sum_of_tokens, "the aux_loss of a split batch")
