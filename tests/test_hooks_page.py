"""docs/hooks.md: each of its methods keeps the rules, and each hook has one."""

from __future__ import annotations

import re
import types
from pathlib import Path

import pytest

from kdzoo import Method, StepCost, hookimpl
from kdzoo.methods import hookspecs
from kdzoo.testing import check_method

PAGE = (Path(__file__).parents[1] / "docs/hooks.md").read_text(encoding="utf-8")
BEGINNING, *BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def method_of(block: str) -> types.ModuleType:
    made = types.ModuleType("example")
    exec(BEGINNING + block, made.__dict__)
    cost = StepCost(generation=1 if "generate(" in block else 0)
    made.__dict__["register_method"] = hookimpl(
        lambda: Method("example", "An example.", "-", "-", "-", "-", cost)
    )
    return made


@pytest.mark.parametrize("block", BLOCKS, ids=[re.findall(r"def (\w+)", block)[-1] for block in BLOCKS])
def test_an_example_keeps_the_rules(block: str) -> None:
    check_method(method_of(block))


def test_every_hook_has_an_example() -> None:
    hooks = {name for name, of in vars(hookspecs).items() if hasattr(of, f"{hookspecs.PROJECT}_spec")}
    assert hooks - {"register_method"} == {
        name for block in BLOCKS for name in re.findall(r"@hookimpl\ndef (\w+)", block)
    }
