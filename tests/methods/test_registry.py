"""Methods are found through entry points; a broken one leaves the others usable; hooks do not mix."""

import importlib.metadata
import json
import subprocess
import sys
import textwrap
import types

import pluggy
import pytest
from built_in import METHODS

from kdzoo.errors import UserError
from kdzoo.methods import registry
from kdzoo.methods.hookspecs import hookimpl
from kdzoo.methods.method import Method, StepCost

BUILT_IN = set(METHODS)

OUTSIDER = """
    from kdzoo import Method, Options, StepCost, divergences, hookimpl

    @hookimpl
    def register_method():
        return Method(
            name="{name}", summary="An outsider.", paper="-", training_data="ground truth", divergence="TVD",
            aux_loss="-", cost=StepCost(),
        )

    @hookimpl
    def divergence(student_logits, teacher_logits):
        return divergences.total_variation(student_logits, teacher_logits)
"""


def describe(name="mine"):
    return Method(
        name=name,
        summary="A method of a test.",
        paper="-",
        training_data="ground truth",
        divergence="-",
        aux_loss="-",
        cost=StepCost(),
    )


def module_of(*functions, name="mine"):
    module = types.ModuleType(name)
    for function in (*functions, hookimpl(register(describe(name)))):
        setattr(module, function.__name__, function)
    return module


def register(method):
    def register_method():
        return method

    return register_method


@pytest.fixture
def site(tmp_path):
    """A folder like site-packages, into which packages with entry points are installed."""

    class Site:
        def install(self, name, source, *, package=None, module=None):
            module = module or f"outside_{name}"
            (tmp_path / f"{module}.py").write_text(textwrap.dedent(source).replace("{name}", name))
            info = tmp_path / f"{package or module}-1.2.3.dist-info"
            info.mkdir()
            (info / "METADATA").write_text(
                f"Metadata-Version: 2.1\nName: {package or module}\nVersion: 1.2.3\n"
            )
            (info / "entry_points.txt").write_text(f"[kdzoo]\n{name} = {module}\n")

        def kdzoo(self, *arguments):
            code = "import sys; sys.path.append(sys.argv.pop(1)); from kdzoo.cli import main; main()"
            return subprocess.run(
                [sys.executable, "-c", code, str(tmp_path), *arguments],
                check=False,
                capture_output=True,
                encoding="utf-8",
            )

        def listed(self):
            done = self.kdzoo("list", "--json")
            assert done.returncode == 0, done.stderr
            return {method["name"]: method for method in json.loads(done.stdout)}, done.stderr

    return Site()


class TestThirdParties:
    def test_a_method_is_found_through_its_entry_point(self, site):
        site.install("outsider", OUTSIDER, package="outside-zoo")
        methods, stderr = site.listed()
        assert set(methods) == BUILT_IN | {"outsider"}
        assert (methods["outsider"]["package"], methods["outsider"]["version"]) == ("outside-zoo", "1.2.3")
        assert stderr == ""

    @pytest.mark.parametrize(
        ("source", "reason"),
        [
            ("import no_such_module", "No module named 'no_such_module'"),
            ("raise SystemExit(3)", "SystemExit: 3"),
            ("1 +", "SyntaxError"),
            ("x = 1", "register_method"),
            (
                "from kdzoo import hookimpl\n@hookimpl\ndef register_method():\n    return 'me'",
                "kdzoo.Method",
            ),
            (OUTSIDER.replace("{name}", "another"), "must agree"),
            (OUTSIDER.replace("teacher_logits):", "teacher_logits, labels):"), "labels"),
            (OUTSIDER + "\n    @hookimpl\n    def divergance(step):\n        return None\n", "divergance"),
            (OUTSIDER.replace("cost=StepCost(),", "cost=StepCost(), options=dict,"), "kdzoo.Options"),
            (
                OUTSIDER.replace("cost=StepCost(),", "cost=StepCost(), options=Mine,").replace(
                    "    @hookimpl\n    def register",
                    "    class Mine(Options):\n        alpha: float\n\n    @hookimpl\n    def register",
                ),
                "every option needs a default that is right: alpha",
            ),
        ],
        ids=[
            "import",
            "exit",
            "syntax",
            "no hook",
            "no Method",
            "other name",
            "other argument",
            "other hook",
            "other options",
            "no default",
        ],
    )
    def test_a_broken_one_is_told_of_and_leaves_the_others(self, site, source, reason):
        site.install("broken", source)
        site.install("outsider", OUTSIDER)
        methods, stderr = site.listed()
        assert set(methods) == BUILT_IN | {"outsider"}
        assert "outside_broken" in stderr
        assert reason in stderr
        assert "Traceback" not in stderr

    def test_asking_for_a_broken_one_says_why(self, site):
        site.install("broken", "import no_such_module")
        done = site.kdzoo("show", "broken")
        assert done.returncode == 2
        assert "outside_broken" in done.stderr
        assert "no_such_module" in done.stderr

    def test_a_name_that_is_taken_is_refused(self, site):
        # entry points of one name are loaded in the order of their modules: kdzoo_kid comes first
        site.install("kid", OUTSIDER, module="zz_other_kid")
        methods, stderr = site.listed()
        assert methods["kid"]["package"] == "kdzoo"
        assert "zz_other_kid" in stderr


class TestFind:
    def test_the_built_in_methods_are_found_like_any_other(self):
        zoo = registry.discover()
        assert set(zoo.plugins) >= BUILT_IN
        assert {zoo.plugins[name].package for name in BUILT_IN} == {"kdzoo"}
        assert {zoo.plugins[name].version for name in BUILT_IN} == {importlib.metadata.version("kdzoo")}

    def test_an_unknown_name_gets_the_nearest_one(self):
        with pytest.raises(UserError) as error:
            registry.find("kidd")
        assert str(error.value) == "no method 'kidd' is installed; did you mean \"kid\"?"
        assert error.value.exit_code == 2

    def test_a_name_like_no_other_gets_the_list(self):
        with pytest.raises(UserError, match=r"no method 'qqqq' is installed; there are: .*fkd, .*sft"):
            registry.find("qqqq")


class TestHooks:
    def test_a_method_s_own_hooks_stand_over_the_defaults(self):
        @hookimpl
        def aux_loss(options):
            return options + 1

        hooks = registry.hooks_of(registry.plugin_of(module_of(aux_loss)))
        assert hooks.aux_loss(step=None, options=1) == 2

    def test_no_other_method_takes_part(self):
        calls = []

        def plugin(name):
            @hookimpl
            def aux_loss():
                calls.append(name)
                return name

            return registry.plugin_of(module_of(aux_loss, name=name))

        first, second = plugin("first"), plugin("second")
        assert registry.hooks_of(first).aux_loss(step=None, options=None) == "first"
        assert registry.hooks_of(second).aux_loss(step=None, options=None) == "second"
        assert calls == ["first", "second"]

    def test_only_marked_functions_are_implementations(self):
        @hookimpl
        def divergence(student_logits):
            return student_logits

        def aux_loss(step):
            return step

        plugin = registry.plugin_of(module_of(divergence, aux_loss))
        assert registry.implements(plugin, "divergence")
        assert not registry.implements(plugin, "aux_loss")
        assert not registry.implements(plugin, "make_training_sequence")

    def test_an_argument_that_a_hook_does_not_have_is_an_error(self):
        @hookimpl
        def divergence(student_logits, labels):
            return student_logits

        with pytest.raises(pluggy.PluginValidationError, match="labels"):
            registry.plugin_of(module_of(divergence))

    def test_a_module_that_describes_no_method_is_an_error(self):
        module = types.ModuleType("nothing")
        with pytest.raises(TypeError, match=r"register_method of nothing must give a kdzoo\.Method"):
            registry.plugin_of(module)
