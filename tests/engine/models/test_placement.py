"""Models that are spread over devices or quantised while they are loaded; a GPU and bitsandbytes are stood in for."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from accelerate import dispatch_model
from peft import LoraConfig

from kdzoo.engine.measure.generation import generate_all
from kdzoo.engine.models import loading
from kdzoo.engine.models.loading import add_lora, load_pretrained, load_trained
from kdzoo.engine.models.placement import Placement, is_placed, why_not_quantised
from kdzoo.engine.prompts.batches import EncodedExample
from kdzoo.engine.prompts.sampling import SamplingLimits
from kdzoo.engine.training.chosen_method import choose_method
from kdzoo.engine.training.distillation_module import DistillationModule
from kdzoo.methods import registry
from kdzoo.methods.sequences import Source
from kdzoo.testing import make_tokenizer

TOKENS = torch.tensor([[1, 5, 9, 7, 33]])


@pytest.fixture
def folder(make_model: Any, tmp_path: Path) -> Path:
    make_model("llama").save_pretrained(tmp_path / "model")
    return tmp_path / "model"


class TestWhatTransformersIsTold:
    def test_nothing_of_a_model_that_is_loaded_as_usual(self) -> None:
        assert Placement().arguments(torch.float32) == {}

    def test_the_device_map(self) -> None:
        assert Placement(device_map="auto").arguments(torch.float32) == {"device_map": "auto"}

    @pytest.mark.parametrize(("bits", "key"), [("4bit", "load_in_4bit"), ("8bit", "load_in_8bit")])
    def test_the_bits_of_the_weights(self, bits: str, key: str) -> None:
        config = Placement(quantization=bits).arguments(torch.bfloat16)["quantization_config"]
        loads = {name for name in ("load_in_4bit", "load_in_8bit") if getattr(config, name)}
        assert loads == {key}

    def test_4_bits_are_qlora_s_computed_in_the_model_s_dtype(self) -> None:
        config = Placement(quantization="4bit").arguments(torch.bfloat16)["quantization_config"]
        assert (config.bnb_4bit_quant_type, config.bnb_4bit_use_double_quant) == ("nf4", True)
        assert config.bnb_4bit_compute_dtype is torch.bfloat16

    @pytest.mark.parametrize("through", ["a model", "an adapter on it"])
    def test_it_by_whoever_loads_a_model(
        self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, through: str
    ) -> None:
        lora = LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM")
        add_lora(load_pretrained(str(folder), None, "float32"), lora, seed=0).save_pretrained(tmp_path / "a")
        told: list[dict[str, Any]] = []
        original = loading.AutoModelForCausalLM.from_pretrained

        def noted(path: str, **given: Any) -> Any:
            told.append({key: given.pop(key, None) for key in ("device_map", "quantization_config")})
            return original(path, **given)

        monkeypatch.setattr(loading.AutoModelForCausalLM, "from_pretrained", noted)
        where = folder if through == "a model" else tmp_path / "a"
        load_trained(where, "float32", placement=Placement("auto", "8bit"), trainable=False)
        (given,) = told
        assert given["device_map"] == "auto"
        assert given["quantization_config"].load_in_8bit


class TestSpreadOverDevices:
    """Here a layer lies on the disk and is read when it is needed: of what accelerate spreads over, what any machine has."""

    PLACES = ("model.embed_tokens", "model.layers.0", "model.norm", "model.rotary_emb", "lm_head")

    @pytest.fixture
    def spread(self, folder: Path, tmp_path: Path) -> Any:
        model = load_pretrained(str(folder), None, "float32")
        places = {**dict.fromkeys(self.PLACES, "cpu"), "model.layers.1": "disk"}
        return dispatch_model(model, places, offload_dir=str(tmp_path / "offloaded")).eval()

    def test_it_is_not_to_be_moved_and_others_are(self, folder: Path, spread: Any) -> None:
        assert is_placed(spread)
        assert not is_placed(load_pretrained(str(folder), None, "float32"))

    @pytest.mark.parametrize("sharing", ["on", "off"])
    def test_it_says_what_the_same_model_in_one_place_says(
        self, folder: Path, spread: Any, prompts: Any, sharing: Any
    ) -> None:
        examples = [EncodedExample(index, prompt, []) for index, prompt in enumerate(prompts)]

        def says(model: Any) -> dict[int, list[int]]:
            return dict(
                generate_all(
                    model,
                    examples,
                    SamplingLimits(6, (2,)),
                    source=Source.TEACHER,
                    batch_size=4,
                    temperature=1.0,
                    sharing=sharing,
                )
            )

        assert says(spread) == says(load_pretrained(str(folder), None, "float32").eval())

    def test_the_trainer_is_told_and_leaves_it_where_it_is(self, spread: Any) -> None:
        module = DistillationModule(
            spread,
            None,
            choose_method("sft", registry.find("sft").method.options()),
            make_tokenizer(["<s>", "</s>"], bos_token="<s>", eos_token="</s>"),
            SamplingLimits(6, (1,)),
            seed=0,
        )
        assert module.hf_device_map == spread.hf_device_map

    def test_auto_gives_the_same_numbers_on_the_one_device_of_this_machine(self, folder: Path) -> None:
        plain = load_pretrained(str(folder), None, "float32").eval()
        placed = load_pretrained(str(folder), None, "float32", placement=Placement("auto")).eval()
        assert torch.equal(plain(TOKENS).logits, placed.to("cpu")(TOKENS).logits)


def test_a_quantised_model_is_not_to_be_moved() -> None:
    model = torch.nn.Linear(2, 2)
    assert not is_placed(model)
    model.is_quantized = True  # as transformers marks one
    assert is_placed(model)


class TestWhatAMachineLacks:
    @pytest.fixture(autouse=True)
    def there(self, monkeypatch: pytest.MonkeyPatch) -> Any:
        """Decide what there is of both."""

        def there(*, package: bool, gpu: bool) -> None:
            found = SimpleNamespace() if package else None
            monkeypatch.setattr("kdzoo.engine.models.placement.find_spec", {"bitsandbytes": found}.get)
            monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)

        return there

    def test_the_package(self, there: Any) -> None:
        there(package=False, gpu=True)
        assert why_not_quantised() == "needs the package bitsandbytes: pip install bitsandbytes"

    def test_a_gpu(self, there: Any) -> None:
        there(package=True, gpu=False)
        assert why_not_quantised() == "needs a GPU, and this machine has none"

    def test_nothing(self, there: Any) -> None:
        there(package=True, gpu=True)
        assert why_not_quantised() is None
