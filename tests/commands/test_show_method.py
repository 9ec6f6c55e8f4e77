"""``kdzoo show`` prints a method's source, hooks and options."""

import json
import types
from pathlib import Path

import pytest
from click.testing import CliRunner

from kdzoo.commands import show_method
from kdzoo.commands.show_method import command
from kdzoo.errors import RunError, UserError
from kdzoo.methods.registry import Plugin, find

PLUGINS = Path(__file__).parents[2] / "plugins"


def show(*arguments):
    done = CliRunner().invoke(command, arguments)
    assert done.exit_code == 0, done.output
    return done.stdout


def shown(name):
    return json.loads(show(name, "--json"))


class TestText:
    def test_it_names_paper_hooks_cost_and_package(self):
        text = " ".join(show("kid").split())
        for part in (
            "kid: Reverse KL on the ground truth",
            "paper Zhong et al. 2024",
            "passes per step 2 student, 1 student without gradients, 1 teacher",
            "year 2024",
            "implements make_training_sequence, divergence, aux_loss",
            "package kdzoo 0.1.0",
        ):
            assert part in text

    def test_an_option_shows_its_default_what_it_may_be_and_what_it_is(self):
        text = show("kid")
        assert (
            "  alpha = 0.2  (number > 0 and <= 1)\n      fraction of each target's tokens that is masked"
            in text
        )
        assert '  strategy = "random"  ("random", "uniform", "hard", "easy")\n' in text
        assert "  mask_token = absent  (string or absent)\n" in text

    def test_options_have_the_names_that_recipes_write(self):
        text = show("gkd")
        assert "  lambda = 1.0  (number >= 0 and <= 1)\n" in text
        assert "lambda_" not in text

    def test_a_method_may_have_no_options_and_rely_on_the_defaults(self):
        text = show("sft")
        assert "no options" in text
        assert "implements       aux_loss" in text


class TestSource:
    def test_it_is_the_method_s_own_file(self):
        assert show("kid", "--source") == (PLUGINS / "kdzoo_kid.py").read_text(encoding="utf-8")

    def test_one_that_cannot_be_read_is_told(self, monkeypatch):
        nowhere = Plugin(find("kid").method, types.ModuleType("made_up"), "kdzoo", "0.1.0")
        monkeypatch.setattr(show_method, "find", lambda name: nowhere)
        done = CliRunner().invoke(command, ["kid", "--source"])
        assert isinstance(done.exception, RunError)
        assert str(done.exception) == "kid: the module made_up has no source that can be read"

    def test_it_is_no_json(self):
        done = CliRunner().invoke(command, ["kid", "--source", "--json"])
        assert done.exit_code == 2
        assert "--json and --source exclude each other" in done.output


class TestJson:
    def test_it_holds_what_list_holds(self):
        content = shown("kid")
        assert content["name"] == "kid"
        assert content["cost"]["student"] == 2
        assert content["hooks"] == ["make_training_sequence", "divergence", "aux_loss"]
        assert {row["name"]: row["default"] for row in content["options"]} == {
            "kd_weight": 1.0,
            "mle_weight": 1.0,
            "alpha": 0.2,
            "strategy": "random",
            "mask_token": None,
            "mask_eos": False,
            "rewrite": "predict",
            "sample": False,
            "mle_context": "clean",
        }

    def test_choices_and_ranges_are_separate(self):
        options = {row["name"]: row for row in shown("kid")["options"]}
        assert options["rewrite"]["choices"] == ["predict", "mask_only", "none"]
        assert (options["alpha"]["type"], options["alpha"]["range"]) == ("number", "> 0 and <= 1")

    @pytest.mark.parametrize(
        "name",
        ["fkd", "rkd", "fdistill", "imitkd", "gkd", "kid", "akl", "todi", "abkd", "amid", "csd"],
    )
    def test_every_option_of_ours_is_described(self, name):
        assert all(row["description"] for row in shown(name)["options"])


def test_a_method_that_is_not_installed_is_the_user_s_mistake():
    done = CliRunner().invoke(command, ["kd"])
    assert isinstance(done.exception, UserError)
    assert "no method 'kd' is installed" in str(done.exception)
