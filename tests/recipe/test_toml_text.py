"""A recipe that is written as TOML is read as the same recipe."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kdzoo.recipe import Recipe, load_recipe, resolved_toml
from kdzoo.recipe.toml_text import toml_value
from kdzoo.tasks.text.jsonl import JsonlData
from kdzoo.tasks.text_to_sql.bird import BirdData
from kdzoo.tasks.text_to_sql.embedded_benchmark import EmbeddedData
from kdzoo.tasks.text_to_sql.spider import SpiderData

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES = st.recursive(
    st.one_of(st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(), TEXT),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def same(a: Any, b: Any) -> bool:
    """Equality in which NaN equals NaN, and 1, 1.0 and true are three things."""
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    return type(a) is type(b) and (a == b or (isinstance(a, float) and math.isnan(a) and math.isnan(b)))


@given(st.dictionaries(TEXT, VALUES, max_size=4))
def test_any_value_that_toml_has(content: dict[str, Any]) -> None:
    text = toml_value(content)
    assert "\n" not in text
    assert same(tomllib.loads(f"x = {text}")["x"], content)


def test_a_value_that_toml_does_not_have() -> None:
    with pytest.raises(TypeError, match="NoneType"):
        toml_value([None])


# A resolved recipe has whole paths; a model's may be a hub name.
PATHS = st.from_regex(r"/[A-Za-z][A-Za-z0-9 ü'\".-]{0,8}(/[a-z]{1,3})?", fullmatch=True)
LORA = st.fixed_dictionaries(
    {"rank": st.integers(1, 99)},
    optional={
        "alpha": st.floats(0.1, 100),
        "dropout": st.floats(0, 0.9),
        "target_modules": TEXT | st.lists(TEXT),
    },
)
SCRATCH = st.fixed_dictionaries(
    {"from_scratch": st.dictionaries(TEXT, VALUES, max_size=2).map(lambda d: {**d, "architecture": "llama"})},
    optional={
        "lora": LORA,
        "gradient_checkpointing": st.booleans(),
        "attention": st.sampled_from(["sdpa", "eager"]),
    },
)
MODELS = PATHS | st.sampled_from(["gpt2", "org/m-1.5"])
PRETRAINED = st.one_of(
    st.fixed_dictionaries({"path": MODELS}, optional={"revision": PATHS}),
    st.fixed_dictionaries(
        {"path": MODELS, "lora": LORA}, optional={"revision": PATHS, "dtype": st.just("bfloat16")}
    ),
)
TRAINING = {
    "epochs": st.floats(0.01, 100) | st.integers(1, 9),
    "max_steps": st.integers(1, 10**9),
    "batch_size": st.sampled_from([4, 8, 16]),
    "micro_batch_size": st.sampled_from([1, 2, 4]),
    "learning_rate": st.floats(1e-9, 0.5),
    "warmup": st.floats(0, 0.9),
    "sharing": st.sampled_from(["on", "prompt", "off"]),
    "loggers": st.lists(TEXT),
}
OPTIONS = {
    "kid": {"alpha": st.floats(0.01, 1), "mask_token": TEXT, "sample": st.booleans()},
    "gkd": {"lambda": st.floats(0, 1), "divergence": st.sampled_from(["rkl", "jsd"])},
    "sft": {},
}
SOME_TRAINING = st.fixed_dictionaries({}, optional=TRAINING)
EVALUATION = st.fixed_dictionaries(
    {}, optional={"batch_size": st.integers(1, 9), "time_limit": st.floats(0.1, 9)}
)
EXAMPLES = {"max_train": st.integers(1, 9), "max_evaluation": st.integers(1, 9)}
DATA = st.one_of(
    st.builds(lambda n: EmbeddedData(kind="embedded", questions=n), st.integers(50, 99)),
    st.builds(
        lambda p, f: SpiderData(kind="spider", path=p, train=f),
        PATHS,
        st.none() | st.lists(TEXT, min_size=1).map(tuple),
    ),
    st.builds(lambda p, e: BirdData(kind="bird", path=p, evidence=e), PATHS, st.booleans()),
    st.builds(lambda t, e: JsonlData(kind="jsonl", train=t, evaluation=e), PATHS, PATHS),
)


@st.composite
def stages(draw: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [{"kind": "finetune", "training": draw(SOME_TRAINING)}]
    for number in range(draw(st.integers(0, 2))):
        method = draw(st.sampled_from(sorted(OPTIONS)))
        options = draw(st.fixed_dictionaries({}, optional=OPTIONS[method]))
        found.append({"kind": "distill", "name": f"s-{number}", "method": method, "options": options})
    found.append({"kind": "evaluate", "evaluation": draw(EVALUATION)})
    return found


METRICS = {"embedded": ["ex", "ts"], "spider": ["ts", "exaccerr"], "bird": ["ex"], "jsonl": ["rouge_l"]}
OWN_KEYS = {
    "spider": {"evaluation": PATHS, "details": st.booleans(), "databases": st.lists(PATHS, max_size=2)},
    "bird": {"evidence": st.booleans(), "max_evaluation": st.integers(1, 9)},
    "jsonl": {"evaluation": PATHS},
    "embedded": {"test_questions": st.integers(10, 20)},
}
NAMES = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,5}", fullmatch=True)


@st.composite
def evaluation_sets(draw: Any, data: Any, datasets: dict[str, Any]) -> dict[str, Any]:
    found = {}
    for name in draw(st.lists(NAMES, max_size=3, unique_by=str.lower)):
        of = draw(st.sampled_from([None, *datasets]))
        kind = (data if of is None else datasets[of]).kind
        own = draw(st.fixed_dictionaries({}, optional=OWN_KEYS[kind]))
        metrics = draw(st.just([]) | st.just(METRICS[kind]))
        found[name] = {
            "data": of,
            "metrics": metrics,
            "max_examples": draw(st.none() | st.integers(1, 9)),
            **own,
        }
    return found


@st.composite
def recipes(draw: Any) -> Recipe:
    pretrained = draw(st.booleans())
    models = PRETRAINED if pretrained else SCRATCH
    trained = {"train": {"vocab_size": draw(st.integers(300, 999))}}
    data = draw(DATA)
    datasets = draw(st.dictionaries(NAMES, DATA, max_size=2))
    return Recipe(
        name="x",
        seed=draw(st.integers(0, 2**31 - 1)),
        data=data,
        datasets=datasets,
        evaluation_sets=draw(evaluation_sets(data, datasets)),
        tokenizer=draw(st.sampled_from([None, {"path": "org/t"}])) if pretrained else trained,
        teacher=draw(models),
        student=draw(models),
        training=draw(SOME_TRAINING),
        evaluation=draw(EVALUATION),
        stage=draw(stages()),
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(recipes())
def test_any_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recipe: Recipe) -> None:
    monkeypatch.chdir(tmp_path)  # where no path of a recipe exists by chance
    path = tmp_path / "recipe.toml"
    path.write_text(resolved_toml(recipe), encoding="utf-8", newline="")
    assert same(load_recipe(path).model_dump(), recipe.model_dump())


def test_an_infinite_setting_of_an_architecture_is_kept(load: Callable[..., Recipe], right: str) -> None:
    recipe = load(right, "student.from_scratch.time_step_limit=[0.0, inf]")
    written = tomllib.loads(resolved_toml(recipe))
    assert written["student"]["from_scratch"]["time_step_limit"] == [0.0, float("inf")]


def test_all_defaults_are_written(load: Callable[..., Recipe], right: str) -> None:
    written = tomllib.loads(resolved_toml(load(right)))
    assert written["training"]["learning_rate"] == 2e-4
    assert written["stage"][1]["options"]["alpha"] == 0.2
    assert [list(stage)[:2] for stage in written["stage"]] == [["kind", "name"]] * 3
