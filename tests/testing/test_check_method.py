"""``check_method`` passes every method that keeps the rules, and names each rule that another breaks."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import heavy_method
import pytest
import torch
from broken_methods import aux_loss, breaks, described, divergence, failures, module
from pydantic import Field, ValidationError

from kdzoo import Options, Sequences, Source, UserError, divergences, hookimpl
from kdzoo.methods import registry
from kdzoo.methods.entry_points import Broken
from kdzoo.testing import MethodCheckError, Outcome, check_method, checks, method_checks, method_report
from kdzoo.testing.checks import _CHECKS


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

        breaks(
            divergence,
            by="divergence_is_smallest_at_the_teacher",
            words="not smallest where the student agrees with the teacher",
        )
        with pytest.warns(DeprecationWarning, match=r"Method\.expected_failed_checks"):
            check_method(module(divergence), zero_at_teacher=False)

    def test_an_aux_loss_may_be_none_at_times(self) -> None:
        def aux_loss(step: Any) -> torch.Tensor | None:
            return step.student.cross_entropy(step.target) if step.progress > 0.25 else None

        check_method(module(divergence, aux_loss))

    def test_a_method_that_is_not_installed_is_the_caller_s_mistake(self) -> None:
        with pytest.raises(UserError, match="no method 'kidd' is installed"):
            check_method("kidd")


class Untold(Options):
    secret: float = Field(0.5, exclude=True)


class Lenient(Options, extra="ignore"):
    pass


class Idle(Options):
    share: float = 0.5


class Promising(Options):
    @property
    def keeps_target_lengths(self) -> bool:
        return True


class Averaging(Options):
    @property
    def average_decay(self) -> float:
        return 1.5


class CountingCalls:
    """Sequences that differ from call to call."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, step: Any) -> Sequences:
        self.calls += 1
        return step.target.rewritten((step.target.tokens + self.calls) % 5, Source.IMPERFECT)


def changed_in_place(step: Any) -> Sequences:
    copy = step.target.rewritten(step.target.tokens.clone(), Source.GROUND_TRUTH)
    step.target.tokens[0, 0] += 1
    return copy


def flipped(step: Any) -> Sequences:
    return step.target.rewritten(step.target.tokens.flip(0), Source.IMPERFECT)


def drawn(step: Any) -> Sequences:
    torch.rand(())
    return step.target


def halved_in_place(q: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
    return divergences.forward_kl(q.mul_(0.5), p)


def of_the_whole_chunk(q: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
    losses = divergences.forward_kl(q, p)
    return losses * losses.detach().mean()


def plain_kl(q: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
    return (p.softmax(-1) * (p.log_softmax(-1) - q.log_softmax(-1))).sum(-1)


class Kept(torch.nn.Module):
    """A buffer that checkpoints carry, and a number that they do not."""

    def __init__(self, value: float = 1.0) -> None:
        super().__init__()
        self.register_buffer("value", torch.tensor(value))
        self.steps = 0


NUMBERS = itertools.count()


def setup() -> Kept:
    return Kept()


def hook(name: str, function: Any) -> Any:
    function.__name__ = name
    return function


def counted(step: Any) -> None:
    step.state.steps += 1


def method_with(
    sequences: Any = None, loss: Any = None, auxiliary: Any = None, hooks: Any = (), **changes: Any
) -> Any:
    """A method that keeps the rules, but for what is given."""

    def make_training_sequence(step: Any) -> Any:
        return (sequences or (lambda step: step.target))(step)

    def divergence(student_logits: torch.Tensor, teacher_logits: torch.Tensor, options: Any) -> Any:
        if isinstance(options, Untold):
            assert options.secret
        return (loss or divergences.forward_kl)(student_logits, teacher_logits)

    def aux_loss(step: Any) -> Any:
        return (auxiliary or (lambda step: step.student.cross_entropy(step.target)))(step)

    return module(make_training_sequence, divergence, aux_loss, *hooks, method=described(**changes))


def unmarked() -> Any:
    made = module(divergence)
    made.aux_loss = lambda step: None
    return made


# For each check a method with the one fault that the check is named after.
BROKEN = {
    "plugin_can_be_read": lambda: module(divergence, method="mine"),
    "expected_failures_are_checks": lambda: method_with(expected_failed_checks={"divergence_is_fine": "So."}),
    "description_is_complete": lambda: method_with(paper=""),
    "description_needs_no_torch": lambda: heavy_method,
    "hooks_are_marked": unmarked,
    "there_is_a_loss": lambda: module(),
    "teacher_is_declared": lambda: method_with(uses_teacher=False),
    "models_can_be_had": lambda: method_with(options=Averaging),
    "setup_gives_a_module_or_none": lambda: method_with(hooks=[hook("setup", lambda: 0.5)]),
    "setup_depends_on_the_seed_alone": lambda: method_with(
        hooks=[hook("setup", lambda: Kept(next(NUMBERS)))]
    ),
    "prepare_gives_a_row_for_each_prompt": lambda: method_with(
        hooks=[hook("prepare", lambda: {"a": torch.ones(1)})]
    ),
    "prepare_draws_from_the_step": lambda: method_with(
        hooks=[hook("prepare", lambda step: {"a": torch.rand(len(step.examples))})]
    ),
    "prepared_rows_do_not_depend_on_other_rows": lambda: method_with(
        hooks=[hook("prepare", lambda step: {"a": step.target.lengths.float() - step.target.lengths.max()})]
    ),
    "sequences_are_made": lambda: method_with(lambda step: step.target.tokens),
    "after_step_keeps_numbers": lambda: method_with(
        hooks=[setup, hook("after_step", lambda step: step.state.value.fill_(float("nan")))]
    ),
    "state_survives_a_checkpoint": lambda: method_with(hooks=[setup, hook("after_step", counted)]),
    "sequences_leave_the_target_alone": lambda: method_with(changed_in_place),
    "sequences_fit_their_prompts": lambda: method_with(lambda step: replace(step.target, per_prompt=2)),
    "sequences_are_of_the_vocabulary": lambda: method_with(
        lambda step: replace(step.target, tokens=step.target.tokens + 9)
    ),
    "sequences_name_their_source": lambda: method_with(
        lambda step: replace(step.target, sources=step.target.sources + 7)
    ),
    "sequences_come_from_the_declared_sources": lambda: method_with(
        lambda step: step.target.rewritten(step.target.tokens, Source.STUDENT)
    ),
    "sequences_keep_the_lengths_that_options_promise": lambda: method_with(
        lambda step: step.target.beside(step.target), options=Promising
    ),
    "random_choices_come_from_the_step": lambda: method_with(drawn),
    "the_same_step_gives_the_same_sequences": lambda: method_with(
        CountingCalls(), sources=(Source.IMPERFECT,)
    ),
    "sequences_do_not_depend_on_other_rows": lambda: method_with(flipped, sources=(Source.IMPERFECT,)),
    "divergence_gives_a_tensor": lambda: method_with(loss=lambda q, p: 0.5),
    "divergence_gives_one_number_per_token": lambda: method_with(
        loss=lambda q, p: plain_kl(q, p.detach()).mean()
    ),
    "divergence_is_finite": lambda: method_with(loss=lambda q, p: plain_kl(q, p.detach()) / 0),
    "divergence_trains_the_student": lambda: method_with(loss=lambda q, p: plain_kl(q, p).detach()),
    "divergence_has_a_finite_gradient": lambda: method_with(loss=lambda q, p: (q - q).abs().sqrt().sum(-1)),
    "divergence_does_not_train_the_teacher": lambda: method_with(loss=plain_kl),
    "divergence_leaves_the_logits_alone": lambda: method_with(loss=halved_in_place),
    "divergence_does_not_depend_on_other_tokens": lambda: method_with(loss=of_the_whole_chunk),
    "divergence_is_smallest_at_the_teacher": lambda: method_with(
        loss=lambda q, p: -divergences.forward_kl(q, p)
    ),
    "aux_loss_gives_a_tensor_or_none": lambda: method_with(auxiliary=lambda step: 0.5),
    "aux_loss_is_one_number": lambda: method_with(
        auxiliary=lambda step: step.student.cross_entropy(step.target).expand(2)
    ),
    "aux_loss_is_finite": lambda: method_with(
        auxiliary=lambda step: step.student.cross_entropy(step.target) * float("inf")
    ),
    "aux_loss_trains_the_student": lambda: method_with(
        auxiliary=lambda step: step.student.cross_entropy(step.target).detach()
    ),
    "aux_loss_adds_up": lambda: method_with(
        auxiliary=lambda step: step.student.cross_entropy(step.target) * step.target.lengths.sum()
    ),
    "options_survive_a_recipe": lambda: method_with(options=Untold),
    "options_refuse_other_names": lambda: method_with(options=Lenient),
    "options_are_read": lambda: method_with(options=Idle),
}


class TestEveryCheck:
    @pytest.mark.parametrize("name", BROKEN)
    def test_catches_the_method_with_its_fault_and_is_the_only_one(self, name: str) -> None:
        options = {"secret": 0.25} if name == "options_survive_a_recipe" else {}
        assert list(failures(BROKEN[name](), options=options)) == [name]

    def test_has_such_a_method_here(self) -> None:
        assert [result.name for result in method_report(method_with())] == list(BROKEN)

    def test_is_passed_by_what_the_broken_ones_are_made_from(self) -> None:
        check_method(method_with())


class TestTwoFaults:
    @pytest.mark.parametrize(
        ("made", "names"),
        [
            (
                lambda: method_with(paper="", options=Lenient),
                ["description_is_complete", "options_refuse_other_names"],
            ),
            (
                lambda: method_with(
                    flipped,
                    auxiliary=lambda step: step.student.cross_entropy(step.target).detach(),
                    sources=(Source.IMPERFECT,),
                ),
                ["sequences_do_not_depend_on_other_rows", "aux_loss_trains_the_student"],
            ),
            (
                lambda: method_with(loss=plain_kl, auxiliary=lambda step: 0.5),
                ["divergence_does_not_train_the_teacher", "aux_loss_gives_a_tensor_or_none"],
            ),
            (
                lambda: method_with(drawn, loss=lambda q, p: plain_kl(q, p).mean(), options=Idle),
                [
                    "random_choices_come_from_the_step",
                    "divergence_gives_one_number_per_token",
                    "divergence_does_not_train_the_teacher",
                    "options_are_read",
                ],
            ),
        ],
    )
    def test_are_both_reported(self, made: Any, names: list[str]) -> None:
        assert list(failures(made())) == names

    def test_are_both_in_the_message_with_their_reasons(self) -> None:
        with pytest.raises(MethodCheckError) as caught:
            check_method(method_with(paper="", loss=plain_kl))
        assert str(caught.value).splitlines() == [
            f"mine: 2 of {len(BROKEN)} checks did not pass:",
            "  description_is_complete: Method.paper is empty",
            "  divergence_does_not_train_the_teacher: mine: divergence gives the teacher a gradient; "
            "use teacher_logits.detach()",
        ]


class TestReport:
    def test_of_a_method_that_keeps_the_rules_says_which_these_are(self) -> None:
        results = method_report("kid")
        assert all(result.passed for result in results)
        assert {result.name: result.reason for result in results}["divergence_is_finite"] == (
            "No loss is infinite or not a number."
        )

    def test_every_reason_is_one_line(self) -> None:
        for made in (
            method_with(),
            module(divergence, method="mine"),
            method_with(lambda step: step.nothing),
        ):
            assert all(result.reason and "\n" not in result.reason for result in method_report(made))

    def test_a_check_that_could_not_run_says_because_of_which(self) -> None:
        results = {result.name: result for result in method_report(method_with(lambda step: step.nothing))}
        made = results["sequences_are_made"]
        assert not made.passed
        assert made.reason.startswith("mine: AttributeError: 'TableStep' object has no attribute 'nothing' (")
        assert f"({__file__}:" in made.reason
        split = results["sequences_fit_their_prompts"]
        assert not split.passed
        assert split.reason == "not run: it needs sequences_are_made, which did not pass"
        assert results["options_refuse_other_names"].passed

    def test_a_module_that_cannot_be_read_leaves_all_else_untried(self) -> None:
        first, *others = method_report(module(divergence, method="mine"))
        assert (first.name, first.outcome) == ("plugin_can_be_read", Outcome.FAILED)
        assert {result.reason for result in others} == {
            "not run: it needs plugin_can_be_read, which did not pass"
        }

    def test_a_module_whose_description_raises_is_reported(self) -> None:
        made = module(divergence)
        made.register_method = hookimpl(lambda: {}["paper"])
        assert method_report(made)[0].reason == "KeyError: 'paper'"

    def test_checks_of_a_hook_that_the_method_does_not_have_do_not_apply(self) -> None:
        reasons = {result.name: (result.passed, result.reason) for result in method_report("sft")}
        assert reasons["divergence_is_finite"] == (True, "does not apply to this method")
        assert reasons["aux_loss_is_finite"][1] != "does not apply to this method"

    def test_what_a_hook_raised_is_the_error_s_cause(self) -> None:
        def lost(step: Any) -> Any:
            raise LookupError("lost")

        with pytest.raises(MethodCheckError) as caught:
            check_method(method_with(lost))
        assert isinstance(caught.value.__cause__, LookupError)

    def test_options_that_the_method_does_not_have_are_the_caller_s_mistake(self) -> None:
        with pytest.raises(ValidationError, match="alpha"):
            method_report("rkd", {"alpha": 1})


RESTS = "divergence_is_smallest_at_the_teacher"


def declaring(expected: Any, loss: Any = lambda q, p: divergences.entropy(q), **changes: Any) -> Any:
    return method_with(loss=loss, expected_failed_checks=expected, **changes)


class TestExpectedFailures:
    """A method declares which rules its idea breaks."""

    def test_are_no_failures(self) -> None:
        made = declaring({RESTS: "Entropy is a confidence penalty."})
        check_method(made)
        (result,) = (result for result in method_report(made) if not result.passed)
        assert (result.name, result.outcome) == (RESTS, Outcome.EXPECTED_FAILURE)
        assert result.reason.startswith(
            "Entropy is a confidence penalty. (mine: divergence is not smallest where the student agrees"
        )

    def test_may_depend_on_the_options(self) -> None:
        class Switch(Options):
            penalty: bool = False

        def divergence(
            student_logits: torch.Tensor, teacher_logits: torch.Tensor, options: Switch
        ) -> torch.Tensor:
            if options.penalty:
                return divergences.entropy(student_logits)
            return divergences.forward_kl(student_logits, teacher_logits)

        def expected(options: Options) -> dict[str, str]:
            assert isinstance(options, Switch)
            return {RESTS: "A penalty."} if options.penalty else {}

        made = module(divergence, method=described(options=Switch, expected_failed_checks=expected))
        check_method(made)
        check_method(made, {"penalty": True})

    def test_one_that_passes_is_itself_an_error(self) -> None:
        found = failures(declaring({RESTS: "Once."}, loss=divergences.forward_kl))
        assert found == {RESTS: "is declared in expected_failed_checks, but it passes: take it out there"}

    @pytest.mark.parametrize(
        ("expected", "words"),
        [
            ({"divergence_is_finit": "So."}, 'did you mean "divergence_is_finite"?'),
            ({"plugin_can_be_read": "So."}, "which is no check that can be expected to fail"),
            ({"expected_failures_are_checks": "So."}, "which is no check that can be expected to fail"),
            ({RESTS: " "}, "needs a reason"),
            ({RESTS: None}, "needs a reason in words"),
            ([RESTS], "must be reasons by the names of checks, not ['divergence_is"),
            (lambda options: options.nothing, "AttributeError"),
        ],
    )
    def test_one_that_cannot_be_is_told(self, expected: Any, words: str) -> None:
        found = failures(declaring(expected))
        assert words in found["expected_failures_are_checks"]


class TestChecksAsTests:
    def test_there_is_one_for_each_check_that_applies_named_after_it(self) -> None:
        names = [str(check) for check in method_checks(module(divergence))]
        of_other_hooks = ("aux_loss_", "setup_", "prepare", "after_step_", "state_")
        assert names == [name for name in BROKEN if not name.startswith(of_other_hooks)]

    def test_each_passes_or_raises_with_its_own_reason(self) -> None:
        checks = {str(check): check for check in method_checks(method_with(paper=""))}
        checks["divergence_is_finite"]()
        with pytest.raises(MethodCheckError, match=r"description_is_complete: Method\.paper is empty"):
            checks["description_is_complete"]()

    def test_an_expected_failure_is_one_to_pytest(self) -> None:
        checks = {str(check): check for check in method_checks(declaring({RESTS: "A penalty."}))}
        with pytest.raises(pytest.xfail.Exception, match="A penalty"):
            checks[RESTS]()

    def test_one_that_passes_fails(self) -> None:
        made = declaring({RESTS: "Once."}, loss=divergences.forward_kl)
        checks = {str(check): check for check in method_checks(made)}
        with pytest.raises(MethodCheckError, match="take it out there"):
            checks[RESTS]()

    def test_what_cannot_be_run_is_skipped(self) -> None:
        checks = {str(check): check for check in method_checks(method_with(lambda step: step.nothing))}
        with pytest.raises(pytest.skip.Exception, match="it needs sequences_are_made"):
            checks["sequences_fit_their_prompts"]()

    def test_a_module_that_cannot_be_read_has_one_that_fails(self) -> None:
        (check,) = method_checks(module(divergence, method="mine"))
        with pytest.raises(MethodCheckError, match=r"plugin_can_be_read: .* must give a kdzoo\.Method"):
            check()

    def test_what_is_not_installed_is_told_when_tests_are_collected(self) -> None:
        with pytest.raises(UserError, match='did you mean "kid"'):
            method_checks("kidd")


def test_an_installed_method_that_cannot_be_loaded_is_a_failure_with_its_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    zoo = registry.Zoo({}, [Broken("mine", "outside", "SyntaxError: invalid syntax")])
    for where in (registry, checks):
        monkeypatch.setattr(where, "discover", lambda: zoo)
    first, *others = method_report("mine")
    assert (first.name, first.outcome) == ("plugin_can_be_read", Outcome.FAILED)
    assert "(package outside) cannot be loaded: SyntaxError: invalid syntax" in first.reason
    assert {result.outcome for result in others} == {Outcome.NOT_RUN}


def test_a_check_stands_behind_those_that_it_needs() -> None:
    names = list(BROKEN)
    for check in _CHECKS:
        assert all(names.index(needed.__name__) < names.index(check.name) for needed in check.needs)
