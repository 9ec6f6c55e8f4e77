"""The command that an end of a run offers can be given to a shell as it stands."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from kdzoo.runs.next_step import how_to_compare, how_to_continue


def test_a_folder_of_any_name_is_one_argument() -> None:
    folder = Path("my runs") / "it's-1"
    words = ["kdzoo", "compare", str(folder), "--html", str(folder / "page.html")]
    assert shlex.split(how_to_compare(folder)) == words


class TestContinuing:
    def test_it_is_what_was_typed_without_what_would_begin_anew(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}")
        typed = ["/bin/kdzoo", "run", "my recipe.toml", "--fresh", "--set", "kid.options.alpha=0.5"]
        command = "kdzoo run 'my recipe.toml' --set kid.options.alpha=0.5"
        assert how_to_continue(typed) == command
        assert how_to_continue(["-c", *typed[1:]]) == command

    def test_a_program_that_the_shell_would_not_find_is_named_in_full(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("shutil.which", lambda _: None)
        assert how_to_continue([".venv/bin/kdzoo", "run", "r.toml"]) == ".venv/bin/kdzoo run r.toml"

    def test_a_module_is_started_as_one_and_by_its_launcher(self, monkeypatch: pytest.MonkeyPatch) -> None:
        started = ["/lib/kdzoo/__main__.py", "run", "r.toml"]
        command = shlex.join([sys.executable, "-m", "kdzoo", "run", "r.toml"])
        assert how_to_continue(started) == command
        monkeypatch.setenv("WORLD_SIZE", "2")
        assert how_to_continue(started) == f"{command}, by the launcher that has started it"
