"""Sources are codes that stand in tensors: they stay, and so does the earlier name."""

import subprocess
import sys

import pytest

import kdzoo
from kdzoo.methods.source import Kind, Source


@pytest.mark.parametrize(
    ("name", "code"), [("GROUND_TRUTH", 0), ("IMPERFECT", 1), ("STUDENT", 2), ("TEACHER", 3)]
)
def test_the_codes_are_fixed(name, code):
    assert Source[name] == code


def test_there_are_no_others():
    assert [int(source) for source in Source] == [0, 1, 2, 3]


def test_kind_is_another_name_of_the_same():
    assert Kind is Source
    assert kdzoo.Kind is kdzoo.Source is Source
    assert Kind.STUDENT is Source.STUDENT


def test_it_comes_without_torch():
    code = "import sys, kdzoo; kdzoo.Source, kdzoo.Kind; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
