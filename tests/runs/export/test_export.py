"""What an exported folder holds: the model that the run scored, for plain transformers, and no place of this machine."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import ModelCard
from peft import PeftModel
from safetensors import SafetensorError
from safetensors.torch import load_file
from small_run import MODELS
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from kdzoo.engine.models.loading import load_trained
from kdzoo.errors import RunError, UserError
from kdzoo.runs.export import export as export_module
from kdzoo.runs.export.export import Wanted, export
from kdzoo.runs.trained_stage import find_trained_stage

IDS = torch.tensor([[0, 40, 7, 300, 12, 9, 250, 31, 8, 77]])


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(IDS).logits.float()


def exported(run: Path, stage: str, folder: Path, **wanted: Any) -> list[str]:
    said: list[str] = []
    export(find_trained_stage(run / stage), folder, Wanted(**wanted), said.append)
    return said


def of_run(run: Path, stage: str) -> Any:
    return load_trained(run / stage / "model", "float32", trainable=False)


def predicted(run: Path, stage: str) -> dict[str, str]:
    lines = (run / "evaluate" / "predictions.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    return {line["prompt"]: line["prediction"] for line in found if line["model"] == MODELS[stage]}


def answers(model: Any, folder: Path, prompts: list[str]) -> list[str]:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    said = []
    for prompt in prompts:
        inputs = tokenizer(prompt, return_tensors="pt")
        output = model.generate(**inputs, max_new_tokens=8)
        ids = output[0, inputs["input_ids"].shape[1] :]
        said.append(tokenizer.decode(ids, skip_special_tokens=True).strip())  # as the run writes answers
    return said


class TestWhole:
    def test_plain_transformers_says_what_the_run_said(self, small_run: Path, tmp_path: Path) -> None:
        exported(small_run, "whole", tmp_path / "out")
        model = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
        assert torch.equal(logits(model), logits(of_run(small_run, "whole")))
        said = predicted(small_run, "whole")
        assert answers(model, tmp_path / "out", list(said)) == list(said.values())

    def test_there_is_nothing_to_merge(self, small_run: Path, tmp_path: Path) -> None:
        assert exported(small_run, "whole", tmp_path / "out", merge=True) == [
            "whole: is a whole model already; there is nothing to merge"
        ]
        assert (tmp_path / "out" / "model.safetensors").is_file()

    @pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
    def test_its_weights_have_the_type_that_is_asked_for(
        self, small_run: Path, tmp_path: Path, dtype: str
    ) -> None:
        exported(small_run, "whole", tmp_path / "out", dtype=dtype)
        weights = load_file(tmp_path / "out" / "model.safetensors")
        trained = load_file(small_run / "whole" / "model" / "model.safetensors")
        wanted = {name: weight.to(getattr(torch, dtype)) for name, weight in trained.items()}
        assert weights.keys() == wanted.keys()
        assert all(torch.equal(weights[name], wanted[name]) for name in wanted)
        assert json.loads((tmp_path / "out" / "config.json").read_text())["dtype"] == dtype


class TestMerged:
    @pytest.mark.parametrize("stage", ["fkd", "finetune"])
    def test_it_is_what_the_adapter_makes_of_its_base(
        self, small_run: Path, tmp_path: Path, stage: str
    ) -> None:
        exported(small_run, stage, tmp_path / "out", merge=True)
        model = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
        torch.testing.assert_close(logits(model), logits(of_run(small_run, stage)), rtol=1e-4, atol=1e-4)
        said = predicted(small_run, stage)
        assert answers(model, tmp_path / "out", list(said)) == list(said.values())
        assert not (tmp_path / "out" / "adapter_config.json").exists()

    def test_it_is_merged_in_float32_and_then_rounded(self, small_run: Path, tmp_path: Path) -> None:
        exported(small_run, "fkd", tmp_path / "whole", merge=True)
        exported(small_run, "fkd", tmp_path / "half", merge=True, dtype="bfloat16")
        whole, half = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "half"))
        assert all(torch.equal(half[name], whole[name].bfloat16()) for name in whole)


class TestAdapter:
    def test_one_on_a_local_folder_names_it_without_its_place(self, small_run: Path, tmp_path: Path) -> None:
        exported(small_run, "fkd", tmp_path / "out")
        config = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
        assert config["base_model_name_or_path"] == "small-base"
        base = AutoModelForCausalLM.from_pretrained(small_run.parents[1] / "small-base")
        model = PeftModel.from_pretrained(base, tmp_path / "out")
        assert torch.equal(logits(model), logits(of_run(small_run, "fkd")))
        model.generation_config = GenerationConfig.from_pretrained(tmp_path / "out")
        said = predicted(small_run, "fkd")
        assert answers(model, tmp_path / "out", list(said)) == list(said.values())
        assert "The base is a local folder, small-base" in (tmp_path / "out" / "README.md").read_text()

    def test_one_on_a_base_that_the_run_made_brings_it_along(self, small_run: Path, tmp_path: Path) -> None:
        exported(small_run, "finetune", tmp_path / "out")
        base = AutoModelForCausalLM.from_pretrained(tmp_path / "out" / "base")
        model = PeftModel.from_pretrained(base, tmp_path / "out")
        assert torch.equal(logits(model), logits(of_run(small_run, "finetune")))
        # and so for kdzoo, from wherever it is
        shutil.move(tmp_path / "out", tmp_path / "moved")
        again = load_trained(tmp_path / "moved", "float32", trainable=False)
        assert torch.equal(logits(again), logits(model))

    def test_one_on_a_hub_name_keeps_that_and_its_revision(self, small_run: Path, tmp_path: Path) -> None:
        run = tmp_path / "run"
        shutil.copytree(small_run, run)
        file = run / "fkd" / "model" / "adapter_config.json"
        config = json.loads(file.read_text())
        file.write_text(json.dumps({**config, "base_model_name_or_path": "some/base", "revision": "v2"}))
        exported(run, "fkd", tmp_path / "out")
        config = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
        assert (config["base_model_name_or_path"], config["revision"]) == ("some/base", "v2")
        text = (tmp_path / "out" / "README.md").read_text()
        assert "AutoModelForCausalLM.from_pretrained('some/base', revision='v2')" in text

    def test_its_weights_have_the_type_that_is_asked_for(self, small_run: Path, tmp_path: Path) -> None:
        exported(small_run, "fkd", tmp_path / "out", dtype="bfloat16")
        weights = load_file(tmp_path / "out" / "adapter_model.safetensors")
        trained = load_file(small_run / "fkd" / "model" / "adapter_model.safetensors")
        assert all(torch.equal(weights[name], trained[name].bfloat16()) for name in trained)

    def test_one_whose_base_is_gone_is_told(self, small_run: Path, tmp_path: Path) -> None:
        run = tmp_path / "run"
        shutil.copytree(small_run, run)
        file = run / "fkd" / "model" / "adapter_config.json"
        config = json.loads(file.read_text())
        file.write_text(json.dumps({**config, "base_model_name_or_path": "/nowhere/base"}))
        with pytest.raises(
            UserError, match=r"fkd/model: the base of this adapter is gone: /nowhere/base; put"
        ):
            exported(run, "fkd", tmp_path / "out", merge=True)


@pytest.mark.parametrize(
    ("stage", "wanted"), [("fkd", {}), ("fkd", {"merge": True}), ("finetune", {}), ("whole", {})]
)
class TestFolder:
    def test_no_file_names_a_place_of_this_machine(
        self, small_run: Path, tmp_path: Path, stage: str, wanted: dict[str, Any]
    ) -> None:
        exported(small_run, stage, tmp_path / "out", **wanted)
        places = [str(small_run.parents[1]), str(tmp_path), str(Path.home()), os.getcwd()]
        for file in (tmp_path / "out").rglob("*"):
            if file.is_file():
                assert not [place for place in places if place.encode() in file.read_bytes()], file

    def test_the_card_s_code_runs_where_the_folder_lies(
        self,
        small_run: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        stage: str,
        wanted: dict[str, Any],
    ) -> None:
        exported(small_run, stage, tmp_path / "out", **wanted)
        shutil.copytree(small_run.parents[1] / "small-base", tmp_path / "small-base")
        monkeypatch.chdir(tmp_path)
        card = ModelCard.load(tmp_path / "out" / "README.md")
        (code,) = re.findall(r"```python\n(.*?)```", card.text, re.DOTALL)
        asked, said = next(iter(predicted(small_run, stage).items()))
        out = StringIO()
        with redirect_stdout(out):
            exec(code.replace("prompt = '...'", f"prompt = {asked!r}"), {})
        assert out.getvalue().strip() == said


class TestGGUF:
    @pytest.fixture(autouse=True)
    def _needs_gguf(self) -> None:
        pytest.importorskip("gguf")

    def test_it_lies_beside_the_same_model(self, small_run: Path, tmp_path: Path) -> None:
        exported(small_run, "fkd", tmp_path / "out", merge=True, gguf=True)
        whole = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
        read = AutoModelForCausalLM.from_pretrained(
            tmp_path / "out", gguf_file="small-fkd.gguf", dtype=torch.float32
        )
        assert torch.equal(logits(read), logits(whole))
        assert "`small-fkd.gguf` is the same model" in (tmp_path / "out" / "README.md").read_text()

    def test_an_adapter_is_to_be_merged_for_it(self, small_run: Path, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"--gguf: a GGUF file holds a whole model.*give --merge too"):
            exported(small_run, "fkd", tmp_path / "out", gguf=True)

    def test_the_package_may_be_missing(
        self, small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(export_module, "find_spec", lambda _: None)
        with pytest.raises(UserError, match=r"needs the package gguf: pip install 'kdzoo\[gguf\]'"):
            exported(small_run, "whole", tmp_path / "out", gguf=True)


class TestNothingIsLeftOfAFailure:
    @pytest.fixture
    def failing(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[Exception], None]:
        def fail(error: Exception) -> None:
            def save(*_: Any) -> None:
                raise error

            monkeypatch.setattr(export_module, "save_whole", save)

        return fail

    @pytest.mark.parametrize(
        "error",
        [
            OSError(28, "No space left on device"),
            SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
        ],
    )
    def test_a_full_disk_is_one_message(
        self, small_run: Path, tmp_path: Path, failing: Callable[[Exception], None], error: Exception
    ) -> None:
        failing(error)
        with pytest.raises(RunError, match=r"out: cannot be written: .*No space left on device"):
            exported(small_run, "whole", tmp_path / "out")
        assert list(tmp_path.iterdir()) == []

    def test_an_interruption_leaves_no_folder(
        self, small_run: Path, tmp_path: Path, failing: Callable[[Exception], None]
    ) -> None:
        failing(KeyboardInterrupt())  # type: ignore[arg-type]
        with pytest.raises(KeyboardInterrupt):
            exported(small_run, "whole", tmp_path / "out")
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        ("stage", "wanted", "times"),
        [
            ("whole", {}, 1),
            ("whole", {"dtype": "bfloat16"}, 0.5),
            ("fkd", {"merge": True, "gguf": True}, 2),
            ("fkd", {}, 0),
        ],
    )
    def test_a_disk_that_is_too_small_is_told_before(
        self,
        small_run: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        stage: str,
        wanted: dict[str, Any],
        times: float,
    ) -> None:
        pytest.importorskip("gguf")
        needed: list[int] = []
        monkeypatch.setattr(export_module, "check_room", lambda folder, size: needed.append(size))
        exported(small_run, stage, tmp_path / "out", **wanted)
        base = (small_run.parents[1] / "small-base" / "model.safetensors").stat().st_size
        adapter = (tmp_path / "out" / "adapter_model.safetensors").stat().st_size if times == 0 else 0
        assert needed == [int(times * base) + adapter]

    def test_a_folder_that_holds_something_is_not_touched(self, small_run: Path, tmp_path: Path) -> None:
        (tmp_path / "mine").write_text("x")
        with pytest.raises(UserError, match="is not empty"):
            exported(small_run, "whole", tmp_path)
        assert [file.name for file in tmp_path.iterdir()] == ["mine"]
