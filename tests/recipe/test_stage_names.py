"""Stages have names before a recipe is checked: overrides and messages use them."""

from __future__ import annotations

import pytest

from kdzoo.recipe.stage_names import name_stages, stage_tables


def test_a_distill_stage_is_named_after_its_method_and_any_other_after_its_kind() -> None:
    stages = [{"kind": "finetune"}, {"kind": "distill", "method": "kid"}, {"kind": "evaluate", "name": "end"}]
    name_stages({"stage": stages})
    assert [stage["name"] for stage in stages] == ["finetune", "kid", "end"]


@pytest.mark.parametrize("stages", [3, {}, [3], [{"kind": 3}], [{"kind": "distill", "method": []}], [[]]])
def test_what_is_no_stage_gets_no_name(stages: object) -> None:
    content = {"stage": stages}
    name_stages(content)
    assert all("name" not in stage for stage in stage_tables(content))


def test_a_name_has_the_letters_of_a_folder() -> None:
    stage = {"kind": "distill", "method": "my method.2/ü"}
    name_stages({"stage": [stage]})
    assert stage["name"] == "my-method-2--"
