"""A command's module is imported when the command is asked for, and no other's."""

import sys

import click
import pytest
from click.testing import CliRunner

from kdzoo.commands.lazy import LazyGroup


@pytest.fixture
def group(tmp_path, monkeypatch):
    for name in ("second", "first"):
        (tmp_path / f"lazy_{name}.py").write_text(
            f"import click\n\n@click.command()\ndef command():\n    'It is the {name}.'\n    click.echo('{name}')\n"
        )
    (tmp_path / "lazy_broken.py").write_text("raise RuntimeError('imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    modules = {name: f"lazy_{name}" for name in ("second", "first", "broken")}
    yield LazyGroup("zoo", modules=modules)
    for name in modules.values():
        sys.modules.pop(name, None)


def test_the_one_that_is_asked_for_runs_and_the_others_stay_unread(group):
    done = CliRunner().invoke(group, ["first"])
    assert (done.exit_code, done.output) == (0, "first\n")
    assert {name for name in sys.modules if name.startswith("lazy_")} == {"lazy_first"}


def test_names_are_listed_in_the_order_given_without_an_import(group):
    assert group.list_commands(click.Context(group)) == ["second", "first", "broken"]
    assert not any(name.startswith("lazy_") for name in sys.modules)


def test_an_unknown_one_is_the_caller_s_mistake(group):
    done = CliRunner().invoke(group, ["third"])
    assert done.exit_code == 2
    assert "No such command 'third'" in done.output


def test_what_breaks_at_import_is_seen(group):
    assert isinstance(CliRunner().invoke(group, ["broken"]).exception, RuntimeError)
