"""Where a model comes from, in words, and the base that an adapter needs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_runs import FINETUNE, KID

from kdzoo.errors import UserError
from kdzoo.recipe import ModelConfig
from kdzoo.runs.export.base import AdapterBase, Source, adapter_base, source_of, stages_before
from kdzoo.runs.trained_stage import find_trained_stage

Make = Callable[..., Path]


@pytest.mark.parametrize(
    ("table", "name", "words", "on_hub"),
    [
        ({"path": "some/base"}, "some/base", "some/base", True),
        ({"path": "some/base", "revision": "v2"}, "some/base", "some/base, revision v2", True),
        ({"path": "some/base", "keep_layers": 3}, "some/base", "some/base, cut to 3 of its layers", True),
        (
            {"path": "some/base", "keep_layers": [0, 2]},
            "some/base",
            "some/base, cut to its layers 0, 2",
            True,
        ),
        (
            {"path": "/a/models/base", "gguf_file": "q4.gguf"},
            "base",
            "the local folder base, file q4.gguf",
            False,
        ),
        (
            {"from_scratch": {"architecture": "llama"}},
            "llama",
            "random weights of the architecture llama",
            False,
        ),
    ],
)
def test_a_table_says_where_its_model_comes_from(
    table: dict[str, Any], name: str, words: str, on_hub: bool
) -> None:
    found = source_of(ModelConfig(**table))
    assert (found.name, found.words, found.is_on_hub) == (name, words, on_hub)
    assert found.folder == (Path("/a/models/base") if name == "base" else None)


def test_a_hub_name_keeps_its_revision() -> None:
    assert source_of(ModelConfig(path="some/base", revision="v2")) == Source(
        "some/base", "some/base, revision v2", True, "v2"
    )


class TestAdapter:
    def run(self, made_run: Make, named: str) -> Path:
        run = made_run(FINETUNE, KID)
        content = {"base_model_name_or_path": named, "revision": "v2"}
        (run / "kid" / "model" / "adapter_config.json").write_text(json.dumps(content))
        return run

    def test_a_whole_model_has_no_base(self, made_run: Make) -> None:
        assert adapter_base(find_trained_stage(made_run(FINETUNE, KID))) is None

    def test_one_may_be_on_the_hub(self, made_run: Make) -> None:
        run = self.run(made_run, "some/base")
        assert adapter_base(find_trained_stage(run)) == AdapterBase("some/base", "v2", None, False)

    def test_or_a_folder_of_the_person_s_own(self, made_run: Make, tmp_path: Path) -> None:
        (tmp_path / "mine").mkdir()
        run = self.run(made_run, str(tmp_path / "mine"))
        assert adapter_base(find_trained_stage(run)) == AdapterBase("mine", None, tmp_path / "mine", False)

    @pytest.mark.parametrize("is_moved", [False, True])
    def test_or_one_that_the_run_made(self, made_run: Make, tmp_path: Path, is_moved: bool) -> None:
        run = self.run(made_run, str(tmp_path / "run" / "kid" / "base"))
        (run / "kid" / "base").mkdir()
        if is_moved:
            run = run.rename(tmp_path / "elsewhere")
        assert adapter_base(find_trained_stage(run)) == AdapterBase("base", None, run / "kid" / "base", True)

    def test_one_that_is_gone_is_told(self, made_run: Make) -> None:
        run = self.run(made_run, "/nowhere/base")
        with pytest.raises(UserError, match="the base of this adapter is gone: /nowhere/base; put it back"):
            adapter_base(find_trained_stage(run))


def test_what_trained_a_model_before_is_known(made_run: Make) -> None:
    start = f'{FINETUNE}\nname = "start"\nmodel = "student"'
    more = f'{KID}\nname = "more"\nstudent_from = "start"'
    last = f'{KID}\nname = "last"\nstudent_from = "more"'
    chosen = find_trained_stage(made_run(FINETUNE, start, more, last))
    assert [stage.name for stage in stages_before(chosen)] == ["start", "more"]
    assert stages_before(find_trained_stage(chosen.run.folder / "start")) == []
