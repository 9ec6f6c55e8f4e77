"""``kdzoo run`` of a model that comes with code of its own: run only if the recipe says so, and taken along."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from broken_inputs.world import make_world
from transformers import dynamic_module_utils

MODELLING = """\
from pathlib import Path

from transformers import LlamaConfig, LlamaForCausalLM

Path("the_code_has_run").touch()


class OwnConfig(LlamaConfig):
    model_type = "own"


class OwnModel(LlamaForCausalLM):
    config_class = OwnConfig
"""


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    # where transformers copies such code to import it
    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr(sys, "path", [*sys.path])
    make_world(tmp_path)
    config = tmp_path / "student/config.json"
    classes = {"AutoConfig": "modelling.OwnConfig", "AutoModelForCausalLM": "modelling.OwnModel"}
    content = {**json.loads(config.read_text()), "model_type": "own", "auto_map": classes}
    config.write_text(json.dumps(content))
    (tmp_path / "student/modelling.py").write_text(MODELLING)
    return tmp_path / "r.toml"


def test_it_is_not_run_by_itself(recipe: Path, kdzoo: Callable[..., Any]) -> None:
    done = kdzoo("run", recipe)
    assert done.code == 2
    assert "student.path: the model" in done.err
    assert "trust_remote_code = true" in done.err
    assert not Path("the_code_has_run").exists()


def test_it_is_run_where_the_recipe_says_so_and_every_stage_finds_it(
    recipe: Path, kdzoo: Callable[..., Any]
) -> None:
    trusting = ("--set", "student.trust_remote_code=true")
    done = kdzoo("run", recipe, *trusting)
    assert (done.code, done.err) == (0, "")
    assert Path("the_code_has_run").exists()
    (model,) = Path("runs").glob("r-*/kid/model")
    assert (model / "modelling.py").is_file()
    assert "trust_remote_code = true" in (model.parents[1] / "recipe.toml").read_text()
    # what is left to do loads what a stage left
    (model.parents[1] / "evaluate/stage.json").unlink()
    assert kdzoo("run", recipe, *trusting).code == 0
