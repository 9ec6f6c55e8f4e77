"""Models that are spread over devices or quantised while they are loaded; what quantises is stood in for unless it is there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from accelerate import dispatch_model
from peft import LoraConfig

from kdzoo.engine.measure.generation import generate_all
from kdzoo.engine.models import loading, placement
from kdzoo.engine.models.loading import add_lora, count_parameters, load_pretrained, load_trained
from kdzoo.engine.models.placement import Placement, is_placed, quantiser_of, why_not_quantised
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

    @pytest.fixture(autouse=True)
    def _bitsandbytes_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(placement, "is_bitsandbytes_available", lambda: True)
        monkeypatch.setattr(placement, "is_torchao_available", lambda: False)

    @pytest.mark.parametrize(("bits", "key"), [("4bit", "load_in_4bit"), ("8bit", "load_in_8bit")])
    def test_the_bits_of_the_weights(self, bits: str, key: str) -> None:
        config = Placement(quantization=bits).arguments(torch.bfloat16)["quantization_config"]
        loads = {name for name in ("load_in_4bit", "load_in_8bit") if getattr(config, name)}
        assert loads == {key}

    def test_4_bits_are_qlora_s_computed_in_the_model_s_dtype(self) -> None:
        config = Placement(quantization="4bit").arguments(torch.bfloat16)["quantization_config"]
        assert (config.bnb_4bit_quant_type, config.bnb_4bit_use_double_quant) == ("nf4", True)
        assert config.bnb_4bit_compute_dtype is torch.bfloat16

    def test_8_bits_do_not_depend_on_other_rows(self) -> None:
        config = Placement(quantization="8bit").arguments(torch.float32)["quantization_config"]
        assert config.llm_int8_threshold == 0.0

    @pytest.mark.parametrize("gpu", [False, True])
    def test_torchao_s_weights_alone_are_in_8_bits(self, monkeypatch: pytest.MonkeyPatch, gpu: bool) -> None:
        config, asked = object(), []
        package = SimpleNamespace(Int8WeightOnlyConfig=lambda: config)
        monkeypatch.setattr(placement, "is_torchao_available", lambda: True)
        monkeypatch.setattr(placement, "import_module", lambda name: (asked.append(name), package)[1])
        monkeypatch.setattr(placement, "TorchAoConfig", lambda given: ("torchao", given))
        monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
        monkeypatch.setattr(torch.cuda, "current_device", lambda: 3)
        given = Placement(quantization="8bit").arguments(torch.float32)
        assert asked == ["torchao.quantization"]
        assert given == {
            "quantization_config": ("torchao", config),
            **({"device_map": {"": 3}} if gpu else {}),
        }
        assert Placement("auto", "8bit").arguments(torch.float32)["device_map"] == "auto"
        assert Placement(quantization="4bit").arguments(torch.float32)["quantization_config"].load_in_4bit

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


class TestWhatQuantises:
    @pytest.fixture
    def installed(self, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
        """Decide which packages there are."""

        def installed(*packages: str) -> None:
            for name in ("bitsandbytes", "torchao"):
                monkeypatch.setattr(placement, f"is_{name}_available", lambda name=name: name in packages)

        return installed

    @pytest.mark.parametrize(
        ("packages", "of_4", "of_8"),
        [
            (("bitsandbytes",), "bitsandbytes", "bitsandbytes"),
            (("torchao",), None, "torchao"),
            (("bitsandbytes", "torchao"), "bitsandbytes", "torchao"),
        ],
    )
    def test_it_is_what_is_installed(
        self, installed: Callable[..., None], packages: tuple[str, ...], of_4: str | None, of_8: str
    ) -> None:
        installed(*packages)
        assert (quantiser_of("4bit"), quantiser_of("8bit")) == (of_4, of_8)
        assert (why_not_quantised("4bit") is None, why_not_quantised("8bit") is None) == (
            of_4 is not None,
            True,
        )

    def test_without_any_it_is_told_what_to_install(self, installed: Callable[..., None]) -> None:
        installed()
        assert (
            why_not_quantised("4bit")
            == "needs the package bitsandbytes (0.46.1 or later): pip install bitsandbytes"
        )
        assert why_not_quantised("8bit") == (
            "needs the package torchao (0.15.0 or later) or bitsandbytes (0.46.1 or later): pip install torchao"
        )


class TestQuantised:
    """What the packages make of a small model, where they are installed."""

    @pytest.fixture(params=["8bit", "4bit"])
    def bits(self, request: pytest.FixtureRequest) -> str:
        lacking = why_not_quantised(request.param)
        if lacking is not None:
            pytest.skip(f"{request.param} {lacking}")
        return request.param

    def test_it_is_near_the_whole_one_and_no_token_depends_on_later_ones(
        self, folder: Path, bits: str
    ) -> None:
        whole = load_pretrained(str(folder), None, "float32").eval()
        few = load_pretrained(str(folder), None, "float32", placement=Placement(quantization=bits)).eval()
        assert is_placed(few)
        assert count_parameters(few) == count_parameters(whole)
        with torch.no_grad():
            expected, found, begun = whole(TOKENS).logits, few(TOKENS).logits, few(TOKENS[:, :3]).logits
        distance = (found - expected).norm() / expected.norm()
        assert 0 < distance < {"8bit": 0.1, "4bit": 0.5}[bits]
        assert torch.allclose(found[:, :3], begun, atol=1e-4)
