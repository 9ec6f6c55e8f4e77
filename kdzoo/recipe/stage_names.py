"""The names of stages in a recipe's parsed content, before it is checked."""

from __future__ import annotations

from typing import Any

from kdzoo.recipe.names import as_name


def name_stages(content: dict[str, Any]) -> None:
    """Give every stage its default name, so that overrides and messages can use it."""
    for stage in stage_tables(content):
        if "name" not in stage:
            default = stage.get("method") if stage.get("kind") == "distill" else stage.get("kind")
            if isinstance(default, str):
                stage["name"] = as_name(default)


def stage_tables(content: dict[str, Any]) -> list[dict[str, Any]]:
    """All stages, in their order; what is no table counts as an empty one."""
    stages = content.get("stage")
    if not isinstance(stages, list):
        return []
    return [stage if isinstance(stage, dict) else {} for stage in stages]
