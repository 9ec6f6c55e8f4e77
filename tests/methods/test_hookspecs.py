"""The hooks: what each is given, by name, and that an implementation takes what it needs of it."""

import subprocess
import sys
import types

import pluggy
import pytest

from kdzoo import hookimpl
from kdzoo.methods import hookspecs

GIVEN = {
    "register_method": (),
    "setup": ("context", "options"),
    "prepare": ("step", "options"),
    "make_training_sequence": ("step", "options"),
    "divergence": ("student_logits", "teacher_logits", "other_logits", "tokens", "step", "options"),
    "aux_loss": ("step", "options"),
    "after_step": ("step", "losses", "options"),
}


def manager_of(*plugins):
    manager = pluggy.PluginManager("kdzoo")
    manager.add_hookspecs(hookspecs)
    for plugin in plugins:
        manager.register(plugin)
    manager.check_pending()
    return manager


def plugin(name="mine", **hooks):
    made = types.ModuleType(name)
    for hook, function in hooks.items():
        setattr(made, hook, hookimpl(function))
    return made


def taking(names):
    """A function of these arguments that gives them back by name."""
    return eval(f"lambda {', '.join(names)}: dict({', '.join(f'{name}={name}' for name in names)})")


def test_these_are_all_with_what_they_are_given():
    hooks = {name: spec for name, spec in vars(hookspecs).items() if hasattr(spec, "kdzoo_spec")}
    assert {name: manager_of().hook.__dict__[name].spec.argnames for name in hooks} == GIVEN


@pytest.mark.parametrize("name", GIVEN)
def test_an_implementation_is_given_the_arguments_that_it_declares(name):
    values = {argument: object() for argument in GIVEN[name]}
    for count in range(len(values) + 1):
        declared = list(values)[:count]
        hooks = manager_of(plugin(**{name: taking(declared)})).hook
        found = getattr(hooks, name)(**values)
        assert found == {argument: values[argument] for argument in declared}


@pytest.mark.parametrize("name", GIVEN)
def test_one_result_counts_that_of_the_latest(name):
    hooks = manager_of(plugin("a", **{name: lambda: "first"}), plugin("b", **{name: lambda: "second"})).hook
    assert getattr(hooks, name)(**dict.fromkeys(GIVEN[name])) == "second"


@pytest.mark.parametrize(("name", "declared"), [("divergence", ["labels"]), ("aux_loss", ["tokens"])])
def test_an_argument_that_a_hook_does_not_give_is_refused(name, declared):
    with pytest.raises(pluggy.PluginValidationError, match=declared[0]):
        manager_of(plugin(**{name: taking(declared)}))


def test_a_hook_that_does_not_exist_is_refused():
    with pytest.raises(pluggy.PluginValidationError, match="divergance"):
        manager_of(plugin(divergance=lambda: None))


def test_a_marked_function_is_itself():
    def divergence(student_logits):
        return student_logits

    assert hookimpl(divergence) is divergence
    assert divergence(3) == 3


def test_describing_needs_no_torch():
    code = "import sys, kdzoo.methods.hookspecs, kdzoo.methods.defaults; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
