"""``kdzoo new`` writes a package that installs, works, and keeps the rules."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from outside_package import forget, install, install_project

from kdzoo.commands import new_method
from kdzoo.methods import registry
from kdzoo.methods.registry import Zoo
from kdzoo.testing import check_method

Kdzoo = Callable[..., Any]

FILES = ["README.md", "kdzoo_my_skew.py", "pyproject.toml", "tests/test_my_skew.py"]


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    yield site
    forget(site)


def files_in(folder: Path) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


class TestThePackage:
    def test_lies_in_a_folder_named_after_the_method(self, kdzoo: Kdzoo) -> None:
        done = kdzoo("new", "my_skew")
        assert (done.code, done.err) == (0, "")
        assert files_in(Path("kdzoo-my-skew")) == FILES
        assert [line.strip() for line in done.out.splitlines()] == [
            "kdzoo-my-skew has:",
            *FILES,
            "",
            "next:",
            "cd kdzoo-my-skew",
            "pip install -e .",
            "kdzoo check my_skew",
        ]
        assert list(Path().iterdir()) == [Path("kdzoo-my-skew")]

    def test_or_in_a_folder_that_is_given(self, kdzoo: Kdzoo) -> None:
        done = kdzoo("new", "my_skew", "new methods/one")
        assert files_in(Path("new methods/one")) == FILES
        assert "cd 'new methods/one'\n" in done.out

    def test_says_nothing_of_the_one_that_it_is_made_from(self, kdzoo: Kdzoo) -> None:
        kdzoo("new", "my_skew", "p")
        text = "".join((Path("p") / file).read_text(encoding="utf-8") for file in FILES)
        assert "mymethod" not in text
        assert '[project.entry-points.kdzoo]\nmy_skew = "kdzoo_my_skew"\n' in text
        assert 'name = "kdzoo-my-skew"\n' in text

    def test_is_installed_and_checked_at_once(self, kdzoo: Kdzoo, site: Path) -> None:
        kdzoo("new", "my_skew", "p")
        install_project(site, Path("p"))
        done = kdzoo("check", "my_skew")
        assert done.code == 0
        assert re.fullmatch(r"my_skew: \d+ passed, \d+ do not apply", done.out.splitlines()[-1])
        check_method("my_skew", {"forward_share": 0.9})
        assert "forward_share = 0.5  (number >= 0 and <= 1)" in kdzoo("show", "my_skew").out
        assert registry.find("my_skew").package == "kdzoo-my-skew"

    def test_passes_its_tests_of_which_each_rule_has_one(self, kdzoo: Kdzoo, site: Path) -> None:
        kdzoo("new", "my_skew", "p")
        install_project(site, Path("p"))
        paths = os.pathsep.join(filter(None, sys.path))
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-v", "-p", "no:cacheprovider", "--rootdir=p", "p/tests"],
            env={**os.environ, "PYTHONPATH": paths, "PYTEST_ADDOPTS": ""},
            check=False,
            capture_output=True,
            encoding="utf-8",
        )
        assert done.returncode == 0, done.stdout
        assert "test_it_keeps_the_rules[divergence_is_finite] PASSED" in done.stdout
        assert re.fullmatch(r"=* ?\d+ passed in .*", done.stdout.splitlines()[-1])


class TestWhatIsRefused:
    @pytest.mark.parametrize("name", ["MyMethod", "my-method", "2nd", "_mine", "méthode", "a b", "a/b", ""])
    def test_a_name_that_a_module_or_an_entry_point_cannot_have(self, kdzoo: Kdzoo, name: str) -> None:
        done = kdzoo("new", name)
        assert (done.code, done.out) == (2, "")
        assert f"{name!r} cannot name a method: write lower-case letters" in done.err
        assert list(Path().iterdir()) == []

    def test_the_name_of_a_method_that_is_there(self, kdzoo: Kdzoo) -> None:
        done = kdzoo("new", "kid")
        assert done.code == 2
        assert "a method 'kid' is installed already (package kdzoo); choose another name" in done.err

    def test_even_if_that_cannot_be_loaded(self, kdzoo: Kdzoo, site: Path) -> None:
        install(
            site,
            "outside",
            {"outside_broken": "import no_such_module"},
            {"kdzoo": {"mine": "outside_broken"}},
        )
        assert "a method 'mine' is installed already (package outside)" in kdzoo("new", "mine").err

    def test_the_name_of_a_module_that_is_there(self, kdzoo: Kdzoo, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(new_method, "discover", lambda: Zoo({}, []))
        done = kdzoo("new", "kid")
        assert done.code == 2
        assert "a module kdzoo_kid is installed already" in done.err

    @pytest.mark.parametrize("kind", ["file", "folder", "link"])
    def test_a_folder_that_is_there(self, kdzoo: Kdzoo, kind: str) -> None:
        if kind == "file":
            Path("p").write_text("mine")
        elif kind == "folder":
            Path("p").mkdir()
            (Path("p") / "mine").write_text("mine")
        else:
            Path("p").symlink_to("nowhere")
        done = kdzoo("new", "my_skew", "p")
        assert (done.code, done.err) == (2, "kdzoo: p: is there already; name a folder that is not\n")
        assert [str(path) for path in Path().iterdir()] == ["p"]

    def test_a_place_that_cannot_be_written_to(self, kdzoo: Kdzoo) -> None:
        Path("file").write_text("")
        done = kdzoo("new", "my_skew", "file/p")
        assert done.code == 1
        assert done.err.startswith("kdzoo: file/p: cannot be written: ")


def test_a_crash_leaves_nothing_under_the_folder_s_name(
    kdzoo: Kdzoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Path.write_text

    def full_disk(self: Path, *args: Any, **kwargs: Any) -> int:
        if self.name == "pyproject.toml":
            raise OSError(28, "No space left on device", str(self))
        return write(self, *args, **kwargs)

    monkeypatch.setattr(Path, "write_text", full_disk)
    done = kdzoo("new", "my_skew", "p")
    assert done.code == 1
    assert "No space left on device" in done.err
    assert list(Path().iterdir()) == []
