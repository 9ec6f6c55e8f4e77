"""From a recipe file to a validated recipe; every problem is told with its file, line and key."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from kdzoo import registry
from kdzoo.errors import UserError
from kdzoo.recipe import paths
from kdzoo.recipe.combinations import impossible_combinations
from kdzoo.recipe.lines import Key, find_lines, line_of
from kdzoo.recipe.overrides import apply_override
from kdzoo.recipe.schema import Recipe
from kdzoo.recipe.stages import DistillStage, EvaluateStage, FinetuneStage
from kdzoo.recipe.tables import EvaluationTable as Evaluation, Training

_STAGES: dict[str, type[BaseModel]] = {
    "finetune": FinetuneStage,
    "distill": DistillStage,
    "evaluate": EvaluateStage,
}


@dataclass
class _Source:
    """Where the values of a recipe came from: the file's lines, or an override."""

    file: Path
    lines: dict[Key, int]
    overridden: dict[Key, str] = field(default_factory=dict)
    problems: list[tuple[int, str]] = field(default_factory=list)

    def add(self, path: Key, message: str, content: dict[str, Any]) -> None:
        """Note a problem with the key at ``path``."""
        shown = _shown(path, content)
        for key, override in self.overridden.items():
            if path[: len(key)] == key or key[: len(path)] == path:
                self.problems.append((0, f"--set {override}: {shown}{message}"))
                return
        line = line_of(self.lines, path)
        where = f"{self.file}:{line}" if line is not None else f"{self.file}"
        self.problems.append((line or 0, f"{where}: {shown}{message}"))

    def raise_if_any(self) -> None:
        """Raise all problems at once, in the file's order."""
        if self.problems:
            raise UserError("\n".join(dict.fromkeys(text for _, text in sorted(self.problems))))


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe and apply overrides ("stage.key=value").

    Raises:
        UserError: the file cannot be read or anything in it is wrong; one line for each problem.
    """
    text = _read(path)
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path}: not valid TOML: {error}") from None
    source = _Source(path, find_lines(text))
    content.setdefault("name", path.stem)
    _name_stages(content)
    for override in overrides:
        key = apply_override(content, override)
        source.overridden[key] = override
    paths.resolve(content, path.parent)
    recipe = _validate(content, source)
    return recipe


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such recipe") from None
    except IsADirectoryError:
        raise UserError(f"{path}: is a folder, not a recipe") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None


def _name_stages(content: dict[str, Any]) -> None:
    """Give every stage its default name, so that overrides and messages can use it."""
    stages = content.get("stage")
    if not isinstance(stages, list):
        return
    for stage in stages:
        if isinstance(stage, dict) and "name" not in stage:
            kind = stage.get("kind")
            default = stage.get("method") if kind == "distill" else kind
            if isinstance(default, str):
                stage["name"] = default


def _validate(content: dict[str, Any], source: _Source) -> Recipe:
    recipe: Recipe | None = None
    try:
        recipe = Recipe(**content)
    except ValidationError as error:
        for problem in error.errors():
            path = _clean(problem["loc"], content)
            source.add(path, _message(problem, path, content), content)
    for index, stage in enumerate(_tables(content.get("stage"))):
        _check_stage(index, stage, content, source)
    source.raise_if_any()
    assert recipe is not None
    for path, message in impossible_combinations(recipe):
        source.add(path, message, content)
    source.raise_if_any()
    return recipe


def _check_stage(index: int, stage: dict[str, Any], content: dict[str, Any], source: _Source) -> None:
    """Check what the schema cannot know: the method, its options, and the stage's overrides of a table."""
    kind = stage.get("kind")
    if kind in ("finetune", "distill"):
        method = stage.get("method", "sft" if kind == "finetune" else None)
        if isinstance(method, str):
            try:
                options = registry.find(method).method.options
            except UserError as error:
                source.add(("stage", index, "method"), str(error), content)
            else:
                given = stage.get("options", {})
                what = f"unknown option of method {method}"
                _check_table(options, given, ("stage", index, "options"), what, content, source)
        merged = {**content.get("training", {}), **_table(stage.get("training"))}
        _check_table(Training, merged, ("stage", index, "training"), "unknown key", content, source)
    elif kind == "evaluate":
        merged = {**content.get("evaluation", {}), **_table(stage.get("evaluation"))}
        _check_table(Evaluation, merged, ("stage", index, "evaluation"), "unknown key", content, source)


def _check_table(
    model: type[BaseModel], given: Any, at: Key, unknown: str, content: dict[str, Any], source: _Source
) -> None:
    if not isinstance(given, dict):
        return  # the schema says so already
    own = _table(_lookup(content, at))
    try:
        model(**given)
    except ValidationError as error:
        for problem in error.errors():
            path = (*at, *problem["loc"])
            if problem["loc"] and problem["loc"][0] not in own:
                continue  # the recipe's own table has the problem, and says so
            if problem["type"] == "extra_forbidden":
                message = unknown + _nearest(str(problem["loc"][-1]), _names(model))
            else:
                message = _message(problem, path, content)
            source.add(path, message, content)


def _message(problem: Any, path: Key, content: dict[str, Any]) -> str:
    kind, context = problem["type"], problem.get("ctx", {})
    given = problem["input"]
    if kind == "extra_forbidden":
        return "unknown key" + _nearest(str(path[-1]), _siblings(path, content))
    if kind == "missing":
        return "is missing"
    if kind == "literal_error":
        allowed = context["expected"]
        return f"must be {allowed}, not {given!r}" + _nearest(str(given), _quoted(allowed))
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        allowed = context.get("expected_tags", '"finetune", "distill" or "evaluate"')
        tag = context.get("tag")
        return f"kind must be one of {allowed}" + (f", not {tag!r}" if tag else "") + _nearest(
            str(tag), _quoted(allowed)
        )
    if kind == "value_error":
        return str(context["error"])
    text = problem["msg"].replace("Input should be", "must be")
    return f"{text}, not {given!r}" if not isinstance(given, dict | list) else text


def _clean(location: tuple[str | int, ...], content: dict[str, Any]) -> Key:
    """Drop from pydantic's location the tags that it puts in for unions ("embedded", "distill")."""
    path: Key = ()
    node: Any = content
    for position, part in enumerate(location):
        is_last = position == len(location) - 1
        if isinstance(node, dict) and (part in node or is_last or not _is_tag(node, part)):
            path, node = (*path, part), node.get(part) if isinstance(part, str) else None
        elif isinstance(node, list) and isinstance(part, int) and part < len(node):
            path, node = (*path, part), node[part]
    return path


def _is_tag(node: dict[str, Any], part: str | int) -> bool:
    return node.get("kind") == part


def _siblings(path: Key, content: dict[str, Any]) -> list[str]:
    """The keys that are allowed where an unknown one was found."""
    from kdzoo.data import config
    from kdzoo.recipe import tables as schema

    if len(path) == 1:
        return _names(Recipe)
    if path[0] == "data":
        kind = _table(content.get("data")).get("kind")
        for model in (config.EmbeddedData, config.SpiderData, config.BirdData, config.JsonlData):
            if model.model_fields["kind"].annotation.__args__[0] == kind:  # type: ignore[union-attr]
                return _names(model)
    if path[0] == "stage":
        stage = _table(_lookup(content, path[:2]))
        return _names(_STAGES[stage["kind"]]) if stage.get("kind") in _STAGES else []
    tables: dict[str, type[BaseModel]] = {
        "teacher": schema.ModelConfig,
        "student": schema.ModelConfig,
        "training": Training,
        "evaluation": Evaluation,
        "tokenizer": schema.TokenizerConfig,
    }
    if len(path) > 2:
        return _names(schema.LoraConfig if path[1] == "lora" else schema.TrainedTokenizer)
    return _names(tables[str(path[0])]) if path[0] in tables else []


def _names(model: type[BaseModel]) -> list[str]:
    return [info.alias or name for name, info in model.model_fields.items()]


def _nearest(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f'; did you mean "{close[0]}"?' if close else ""


def _quoted(text: str) -> list[str]:
    return [part.strip("'\"") for part in text.replace(" or ", ", ").split(", ")]


def _shown(path: Key, content: dict[str, Any]) -> str:
    """How a key is named to the user: stages by their names, everything else by dots."""
    if not path:
        return ""
    if path[0] == "stage" and len(path) > 1 and isinstance(path[1], int):
        name = _table(_lookup(content, path[:2])).get("name", path[1] + 1)
        rest = ".".join(str(part) for part in path[2:])
        return f'stage "{name}": ' + (f"{rest}: " if rest else "")
    return ".".join(str(part) for part in path) + ": "


def _lookup(content: Any, path: Key) -> Any:
    for part in path:
        try:
            content = content[part]
        except (KeyError, IndexError, TypeError):
            return None
    return content


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _tables(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, list):
        yield from (_table(item) for item in value)
