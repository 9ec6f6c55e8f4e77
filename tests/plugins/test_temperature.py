"""The sampling temperature of every method that has one: 0 is greedy, and what is too small for numbers is refused."""

import pytest
from pydantic import ValidationError

from kdzoo.methods import registry
from kdzoo.methods.source import Source

TARGETS = [[3, 4, 5, 6], [7], [], [8, 9]]
# options under which every sequence that is not given is the student's
METHODS = {
    "gkd": {},
    "imitkd": {"constant": 0},
    "fdistill": {"divergence": "rkl"},
    "amid": {"data": "student"},
    "csd": {"data": "student"},
    "skd": {},
    "opsd": {},
    "dpkd": {},
    "distillm2": {},
    "atkd": {"data": "student"},
    "distillm": {"init_threshold": 1},
}

# those with a temperature at which no student samples
OTHERS = {"rskd"}


def test_these_are_all_that_have_one():
    having = {
        name
        for name, plugin in registry.discover().plugins.items()
        if "temperature" in plugin.method.options.model_fields and plugin.package == "kdzoo"
    }
    assert having - OTHERS == set(METHODS)


def generated(hooks, make_step, method, temperature):
    """A step whose sequences have been made, and what they are made with."""
    chosen = hooks(method, temperature=temperature, **METHODS[method])
    step = make_step(TARGETS, teacher_targets=TARGETS)
    step.state = chosen.setup()
    if registry.implements(registry.find(method), "prepare"):
        step.prepared = chosen.prepare(make_step(TARGETS))
    return step, chosen.rows(step)


@pytest.mark.parametrize("method", METHODS)
class TestTemperature:
    def test_0_takes_the_most_probable_token_at_every_step(self, hooks, make_step, method):
        step, rows = generated(hooks, make_step, method, 0)
        made = step.training_sequence
        of_student = (made.sources == Source.STUDENT).nonzero()[:, 0].tolist()
        assert len(of_student) == len(TARGETS)
        for number in of_student:
            for position, token in enumerate(rows[number]):
                prompt = number // made.per_prompt
                table_row = step.student.model.next_logits(prompt, rows[number][:position])
                assert token == int(table_row.argmax())

    @pytest.mark.parametrize("wrong", [1e-38, 0.0099, -1, 101, float("nan"), float("inf")])
    def test_what_is_out_of_range_is_an_error(self, hooks, method, wrong):
        with pytest.raises(ValidationError):
            hooks(method, temperature=wrong)

    def test_the_coldest_that_is_sampled_at_is_all_but_greedy(self, hooks, make_step, method):
        (_, cold), (_, greedy) = (generated(hooks, make_step, method, t) for t in (0.01, 0))
        assert cold == greedy
