"""Weights that are not whole, or not those of the configuration, are told before a run writes anything."""

from __future__ import annotations

import json
import os
import resource
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PromptTuningConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from kdzoo.runs.checks import disk
from kdzoo.runs.checks.weights import open_weights

Check = Any  # of conftest.py


def cut(file: Path, size: int | None = None) -> None:
    os.truncate(file, file.stat().st_size // 2 if size is None else size)


def saved_as_bin(folder: Path, zipped: bool = True) -> Path:
    weights = folder / "model.safetensors"
    file = folder / "pytorch_model.bin"
    torch.save(load_file(weights), file, _use_new_zipfile_serialization=zipped)
    weights.unlink()
    return file


def in_shards(folder: Path) -> list[Path]:
    AutoModelForCausalLM.from_pretrained(folder).save_pretrained(folder, max_shard_size="2KB")
    (folder / "model.safetensors").unlink(missing_ok=True)
    return sorted(folder.glob("model-*.safetensors"))


class TestOfAWholeModel:
    @pytest.mark.parametrize("role", ["teacher", "student"])
    def test_none(self, check: Check, role: str) -> None:
        (check.folder / role / "model.safetensors").unlink()
        line = {"teacher": 6, "student": 8}[role]
        assert check.refused("teacher", "kid").startswith(
            f"./r.toml:{line}: {role}.path: the weights of './{role}' cannot be loaded: Error no file named model.safe"
        )

    @pytest.mark.parametrize("size", [None, 4, 0], ids=["in the numbers", "in the header", "empty"])
    def test_cut_off(self, check: Check, size: int | None) -> None:
        cut(check.folder / "student/model.safetensors", size)
        message = check.refused("kid")
        assert message.startswith("./r.toml:8: student.path: the weights of './student' cannot be loaded: ")
        assert "\n" not in message

    def test_in_shards_of_which_one_is_missing(self, check: Check) -> None:
        shards = in_shards(check.folder / "student")
        assert check("kid") == []
        shards[1].unlink()
        message = check.refused("kid")
        assert message.startswith("./r.toml:8: student.path: the weights of './student' cannot be loaded: ")
        assert shards[1].name in message

    def test_in_shards_of_which_one_is_cut_off(self, check: Check) -> None:
        cut(in_shards(check.folder / "student")[-1])
        assert "student.path: the weights of './student' cannot be loaded" in check.refused("kid")

    def test_an_index_that_is_no_json(self, check: Check) -> None:
        in_shards(check.folder / "student")
        (check.folder / "student/model.safetensors.index.json").write_text("{")
        assert "student.path: the weights of './student' cannot be loaded" in check.refused("kid")

    @pytest.mark.parametrize("zipped", [True, False])
    def test_in_a_pickle(self, check: Check, zipped: bool) -> None:
        saved_as_bin(check.folder / "student", zipped)
        assert check.refused("kid").startswith(
            "./r.toml:8: student.path: ./student holds its weights as a pickle (pytorch_model.bin), which can run code"
        )

    def test_some_missing(self, check: Check) -> None:
        check.save_config("student", num_hidden_layers=3)
        assert check.refused("kid") == (
            "./r.toml:8: student.path: the weights of './student' lack 9 that its configuration asks for: "
            "model.layers.2.input_layernorm.weight, for example"
        )

    def test_of_another_shape(self, check: Check) -> None:
        check.save_config("student", intermediate_size=48)
        assert check.refused("kid") == (
            "./r.toml:8: student.path: the weights of './student' do not fit its configuration: 6 have another shape, "
            "for example model.layers.0.mlp.down_proj.weight is [16, 32] and must be [16, 48]"
        )

    def test_more_than_the_configuration_has_a_place_for_are_told(self, check: Check) -> None:
        check.save_config("student", num_hidden_layers=1)
        assert check("kid") == [
            "./r.toml:8: student.path: the student's configuration has no place for 9 of its weights, which are not "
            "used: model.layers.1.input_layernorm.weight, for example"
        ]

    def test_tied_ones_need_not_be_there_twice(self, check: Check) -> None:
        check.save_model("student", tie_word_embeddings=True)
        assert "lm_head.weight" not in load_file(check.folder / "student/model.safetensors")
        assert check("kid") == []

    def test_large_ones_are_not_read(self, check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
        """A file of 4 GB takes no memory: it is a header, and a hole where the numbers would be."""
        wide = {"hidden_size": 8192, "intermediate_size": 8192, "num_hidden_layers": 2}
        config = check.save_config("student", **wide)
        with torch.device("meta"):
            shapes = AutoModelForCausalLM.from_config(config).state_dict()
        header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
        end = 0
        for name, weights in shapes.items():
            begin, end = end, end + 4 * weights.numel()
            header[name] = {"dtype": "F32", "shape": list(weights.shape), "data_offsets": [begin, end]}
        text = json.dumps(header).encode()
        with (check.folder / "student/model.safetensors").open("wb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            file.truncate(8 + len(text) + end)
        assert end > 3.7e9
        monkeypatch.setattr(disk, "free_bytes", lambda folder: 1 << 40)  # a training would write 25 GB
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        # how much memory is free decides whether a training in it is warned of
        assert [told for told in check("kid") if "GiB of memory" not in told] == []
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1e6  # in kB


def test_quantized_ones_are_left_to_the_loading(check: Check) -> None:
    check.save_config("student", quantization_config={"quant_method": "bitsandbytes", "load_in_4bit": True})
    (check.folder / "student/model.safetensors").unlink()
    assert check("kid") == []


class TestOfAnAdapter:
    @pytest.fixture
    def adapter(self, check: Check) -> Path:
        base = AutoModelForCausalLM.from_pretrained(check.folder / "student")
        settings = LoraConfig(r=2, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
        folder: Path = check.folder / "adapter"
        get_peft_model(base, settings).save_pretrained(folder)
        shutil.copy(check.folder / "student/tokenizer.json", folder)
        shutil.copy(check.folder / "student/tokenizer_config.json", folder)
        return folder

    @pytest.fixture
    def refused(self, check: Check) -> Callable[[], str]:
        def refused() -> str:
            check.text = check.text.replace('"student"', '"adapter"')
            message: str = check.refused("kid")
            assert "\n" not in message
            assert message.startswith("./r.toml:8: student.path: ")
            return message.removeprefix("./r.toml:8: student.path: ")

        return refused

    def test_whole(self, check: Check, adapter: Path) -> None:
        check.text = check.text.replace('"student"', '"adapter"')
        assert check("kid") == []

    def test_in_a_pickle(self, adapter: Path, refused: Callable[[], str]) -> None:
        weights = adapter / "adapter_model.safetensors"
        torch.save(load_file(weights), adapter / "adapter_model.bin")
        weights.unlink()
        assert refused().startswith(
            "./adapter holds its weights as a pickle (adapter_model.bin), which can run code"
        )

    def test_none(self, adapter: Path, refused: Callable[[], str]) -> None:
        (adapter / "adapter_model.safetensors").unlink()
        message = refused()
        assert "./adapter" in message
        assert "adapter_model.safetensors" in message

    def test_cut_off(self, adapter: Path, refused: Callable[[], str]) -> None:
        cut(adapter / "adapter_model.safetensors")
        assert refused().startswith("the adapter ./adapter cannot be put on its base ./student: ")

    def test_some_missing(self, adapter: Path, refused: Callable[[], str]) -> None:
        file = adapter / "adapter_model.safetensors"
        weights = load_file(file)
        weights.pop(min(weights))
        save_file(weights, file)
        assert (
            "it lacks 1 of the weights that the base has places for, base_model.model.model.layers.0."
            in refused()
        )

    def test_some_that_the_base_has_no_place_for(self, adapter: Path, refused: Callable[[], str]) -> None:
        file = adapter / "adapter_model.safetensors"
        weights = load_file(file)
        name = min(weights)
        save_file({**weights, name.replace("layers.0", "layers.7"): weights[name].clone()}, file)
        assert "the base has no place for 1 of its weights, base_model.model.model.layers.7." in refused()

    def test_of_another_rank(self, adapter: Path, refused: Callable[[], str]) -> None:
        self.change(adapter, r=4)
        assert "size mismatch" in refused()

    def test_for_modules_that_its_base_does_not_have(self, adapter: Path, refused: Callable[[], str]) -> None:
        self.change(adapter, target_modules=["q_prj"])
        assert "q_prj" in refused()

    def test_on_a_base_without_weights(self, check: Check, adapter: Path, refused: Callable[[], str]) -> None:
        (check.folder / "student/model.safetensors").unlink()
        assert refused().startswith("the weights of './student' cannot be loaded")

    @pytest.mark.parametrize("content", ["{", "{}", "[]"])
    def test_whose_configuration_is_none(
        self, adapter: Path, refused: Callable[[], str], content: str
    ) -> None:
        (adapter / "adapter_config.json").write_text(content)
        assert "./adapter/adapter_config.json" in refused()

    def test_that_is_no_change_of_weights(
        self, check: Check, adapter: Path, refused: Callable[[], str]
    ) -> None:
        base = AutoModelForCausalLM.from_pretrained(check.folder / "student")
        settings = PromptTuningConfig(num_virtual_tokens=3, task_type="CAUSAL_LM")
        get_peft_model(base, settings).save_pretrained(adapter)
        assert "PROMPT_TUNING" in refused()

    def test_on_another_adapter(self, check: Check, adapter: Path) -> None:
        second = check.folder / "second"
        shutil.copytree(adapter, second)
        self.change(second, base_model_name_or_path=str(adapter))
        assert open_weights(str(second), None) == []
        (adapter / "adapter_model.safetensors").unlink()
        check.text = check.text.replace('"student"', '"second"')
        message = check.refused("kid")
        assert "./adapter" in message
        assert "adapter_model.safetensors" in message

    def change(self, adapter: Path, **settings: Any) -> None:
        file = adapter / "adapter_config.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), **settings}))


class TestOfAModelOnAHub:
    """What the cache on this machine holds of it is opened as a folder is."""

    @pytest.fixture
    def snapshot(self, check: Check, monkeypatch: pytest.MonkeyPatch) -> Path:
        cache = check.folder / "hub"
        for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
            monkeypatch.setattr(f"huggingface_hub.constants.{name}", str(cache), raising=False)
        model = cache / "models--someone--student"
        (model / "refs").mkdir(parents=True)
        (model / "refs/main").write_text("0" * 40)
        snapshot: Path = model / "snapshots" / ("0" * 40)
        shutil.copytree(check.folder / "student", snapshot)
        check.text = check.text.replace('"student"', '"someone/student"')
        return snapshot

    def test_whole(self, check: Check, snapshot: Path) -> None:
        assert check("kid") == []

    def test_in_shards(self, check: Check, snapshot: Path) -> None:
        in_shards(snapshot)
        assert check("kid") == []

    def test_cut_off(self, check: Check, snapshot: Path) -> None:
        cut(snapshot / "model.safetensors")
        assert check.refused("kid").startswith(
            "./r.toml:8: student.path: the weights of 'someone/student' cannot be loaded"
        )

    @pytest.mark.parametrize("sharded", [False, True])
    def test_not_downloaded_are_seen_when_they_are_loaded(
        self, check: Check, snapshot: Path, sharded: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (in_shards(snapshot)[0] if sharded else snapshot / "model.safetensors").unlink()
        message = check.refused("kid")
        assert "the weights of 'someone/student' are not on this machine, and HF_HUB_OFFLINE" in message
        monkeypatch.setattr("kdzoo.runs.checks.weights.is_offline_mode", lambda: False)
        assert check("kid") == []


class TestOfAFinishedStage:
    def test_are_opened_where_a_stage_that_is_still_to_do_loads_them(self, check: Check) -> None:
        folder = check.folder / "runs/other/finetune"
        shutil.copytree(check.folder / "teacher", folder / "model")
        assert check("teacher", "kid", finished={"finetune": folder}) == []
        cut(folder / "model/model.safetensors")
        message = check.refused("teacher", "kid", finished={"finetune": folder}, exit_code=1)
        assert message.startswith(
            "stage 'finetune' was finished before, and what it left is broken: the weights of "
            "'./runs/other/finetune/model' cannot be loaded"
        )
        assert message.endswith("remove ./runs/other/finetune, and it is done again")

    def test_are_left_alone_where_none_does(self, check: Check) -> None:
        folder = check.folder / "runs/other/finetune"
        assert check("teacher", "sft", finished={"finetune": folder}) == []
