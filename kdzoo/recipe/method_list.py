"""``--methods sft,kid``: a recipe whose distill stages are those methods."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from itertools import chain
from typing import Any

from kdzoo.errors import UserError
from kdzoo.methods import registry
from kdzoo.methods.mixture import PARTS
from kdzoo.recipe.extends import Written
from kdzoo.recipe.lines import Key, Line
from kdzoo.recipe.names import as_name
from kdzoo.recipe.stage_names import name_stages, stage_tables

# What a stage that is made has from the recipe's first distill stage; its options are its method's defaults.
_SHARED = ("student_from", "teacher_from", "data", "training", "seed")


def split_methods(text: str) -> list[str]:
    """The methods that ``--methods`` names, a comma between them.

    Raises:
        UserError: one of them is not installed, or stands there twice, or there is none.
    """
    methods = [name.strip() for name in text.split(",")]
    for number, method in enumerate(methods):
        if not method:
            raise UserError(f"--methods {text}: write the names of methods with a comma between them")
        if method in methods[:number]:
            raise UserError(f'--methods {text}: "{method}" stands there twice')
        try:
            registry.find(method)
        except UserError as error:
            raise UserError(f"--methods {text}: {error}") from None
    return methods


def with_methods(written: Written, methods: Sequence[str]) -> Written:
    """The recipe with distill stages of exactly these methods, in this order, where its first one stood.

    A stage of such a method stays as it is. Another is made from the first distill stage: its models, data, training
    and seed, with its own method's default options. Evaluations that name distill stages name the new ones.

    Raises:
        UserError: the recipe has no distill stage.
    """
    content = deepcopy(written.content)
    name_stages(content)
    old = stage_tables(content)
    distill = [number for number, stage in enumerate(old) if stage.get("kind") == "distill"]
    if not distill:
        raise UserError(f"{written.file}: --methods needs a distill stage in the recipe, and there is none")
    others = [(number, stage) for number, stage in enumerate(old) if number not in distill]
    # by method, each with the number of the stage that it was, or was made from
    chosen = {
        method: [(number, old[number]) for number in distill if _is_plain(old[number], method)]
        for method in methods
    }
    taken = {_lower(stage) for _, stage in (*others, *chain.from_iterable(chosen.values()))}
    for method, stages in chosen.items():
        if not stages:
            made = _made(method, old[distill[0]], taken)
            stages.append((distill[0], made))
            taken.add(_lower(made))
    new = list(chain.from_iterable(chosen.values()))
    before = sum(number < distill[0] for number, _ in others)
    arranged = [*others[:before], *new, *others[before:]]
    _rename(
        arranged, [old[number].get("name") for number in distill], [stage.get("name") for _, stage in new]
    )
    content["stage"] = [stage for _, stage in arranged]
    return replace(written, content=content, lines=_moved(written.lines, arranged))


def _is_plain(stage: dict[str, Any], method: str) -> bool:
    """Whether a stage is of that method and of no other beside it."""
    return stage.get("method") == method and not PARTS.keys() & stage.keys()


def _made(method: str, first: dict[str, Any], taken: set[str]) -> dict[str, Any]:
    plain = name = as_name(method)
    number = 2
    while name.lower() in taken:
        name, number = f"{plain}-{number}", number + 1
    shared = {key: deepcopy(first[key]) for key in _SHARED if key in first}
    return {"kind": "distill", "name": name, "method": method, **shared}


def _rename(arranged: list[tuple[int, dict[str, Any]]], old: list[Any], new: list[Any]) -> None:
    """Let evaluations that name old distill stages name the new ones, at the place of the first."""
    for _, stage in arranged:
        models = stage.get("models")
        if stage.get("kind") != "evaluate" or not isinstance(models, list):
            continue
        places = [place for place, model in enumerate(models) if model in old]
        if places:
            rest = [model for model in models[places[0] :] if model not in old]
            stage["models"] = [*models[: places[0]], *new, *rest]


def _moved(lines: dict[Key, Line], arranged: list[tuple[int, dict[str, Any]]]) -> dict[Key, Line]:
    """The lines with the stages' new numbers; a key that a stage does not have from where it was made has none."""
    moved = {key: line for key, line in lines.items() if key[:1] != ("stage",) or len(key) == 1}
    for place, (number, stage) in enumerate(arranged):
        for key, line in lines.items():
            if key[:2] == ("stage", number) and (len(key) == 2 or key[2] in stage):
                moved[("stage", place, *key[2:])] = line
    return moved


def _lower(stage: dict[str, Any]) -> str:
    return str(stage.get("name")).lower()
