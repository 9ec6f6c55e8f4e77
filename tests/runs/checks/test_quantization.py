"""Weights in few bits that cannot be had, or not so, are told at their key before a run writes anything."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from kdzoo.runs.checks import quantization

Check = Any  # of conftest.py

BITS = "teacher.quantization=4bit"


@pytest.fixture
def lacks(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Decide what the machine lacks for them."""
    monkeypatch.delenv("ACCELERATE_USE_FSDP", raising=False)

    def lacks(what: str | None) -> None:
        monkeypatch.setattr(quantization, "why_not_quantised", lambda _: what)

    lacks(None)
    return lacks


def test_a_machine_that_has_all_passes(check: Check, lacks: Any) -> None:
    assert check("kid", overrides=(BITS,)) == []
    assert check("teacher", "kid", overrides=(BITS, "teacher.lora={rank=2}")) == []


def test_what_it_lacks_is_told(check: Check, lacks: Any) -> None:
    lacks("needs the package bitsandbytes")
    # also where the weights are still on a hub
    for tables in (["teacher", "student"], ["student"]):
        message = check.refused("kid", overrides=(BITS,), tables=tables)
        assert (
            message == f"--set {BITS}: needs the package bitsandbytes; --rehearse runs the recipe without it"
        )


def test_an_adapter_is_not_merged_into_them(check: Check, lacks: Any) -> None:
    config = LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM")
    base = check.folder / "base"
    shutil.copytree(check.folder / "teacher", base)
    adapted = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
    shutil.rmtree(check.folder / "teacher")
    adapted.save_pretrained(check.folder / "teacher")
    message = check.refused("kid", overrides=(BITS,))
    assert message.startswith(
        f"--set {BITS}: the teacher is an adapter, which is merged into its base, and weights"
    )


def test_they_are_not_sharded(check: Check, lacks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    assert check("kid") == []
    message = check.refused("kid", overrides=(BITS,))
    assert message.startswith(f"--set {BITS}: weights in few bits cannot be sharded (FSDP)")


def test_what_is_in_few_bits_is_not_quantised_again(check: Check, lacks: Any) -> None:
    file = check.folder / "teacher/config.json"
    content = json.loads(file.read_text())
    content["quantization_config"] = {"quant_method": "bitsandbytes", "load_in_4bit": True}
    file.write_text(json.dumps(content))
    message = check.refused("kid", overrides=(BITS,))
    assert message == f"--set {BITS}: the teacher's weights are in few bits as they are; leave this out"
