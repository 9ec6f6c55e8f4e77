"""``--rehearse``: the same recipe with tiny models, a few steps and little data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kdzoo.data.config import EmbeddedData
from kdzoo.recipe.paths import missing_data
from kdzoo.recipe.schema import Recipe
from kdzoo.recipe.stages import EvaluateStage
from kdzoo.recipe.tables import LoraConfig, ModelConfig, TokenizerConfig, TrainedTokenizer, Training

_STEPS = 4
_EXAMPLES = 64
_QUESTIONS = 8
_BATCH = 4

# Found in a model's name, in this order; anything else is taken for a LLaMA.
_FAMILIES = {
    "codegen": "codegen",
    "qwen1.5": "qwen2",
    "qwen2": "qwen2",
    "qwen3": "qwen3",
    "gemma": "gemma",
    "mistral": "mistral",
    "pythia": "gpt_neox",
    "neox": "gpt_neox",
    "llama": "llama",
}


def rehearsed(recipe: Recipe) -> Recipe:
    """Shrink everything that costs time; every stage, method and option stays."""
    content = recipe.model_dump(by_alias=True)
    content["name"] = f"{recipe.name}-rehearsal"
    content["tokenizer"] = TokenizerConfig(train=TrainedTokenizer(vocab_size=800))
    content["student"] = _tiny(recipe.student, layers=2, width=32)
    if recipe.teacher is not None:
        content["teacher"] = _tiny(recipe.teacher, layers=2, width=64)
    content["training"] = _short(recipe.training)
    content["evaluation"] = recipe.evaluation.model_copy(
        update={"max_examples": _QUESTIONS, "input_limit": None, "output_limit": None, "batch_size": _QUESTIONS}
    )
    content["stage"] = [_short_stage(recipe, stage) for stage in recipe.stages]
    content["data"] = _little_data(recipe)
    return Recipe(**content)


def _tiny(config: ModelConfig, layers: int, width: int) -> ModelConfig:
    lora = config.lora
    if lora is not None:
        lora = LoraConfig(**{**lora.model_dump(), "rank": min(lora.rank, 4)})
    return ModelConfig(
        from_scratch=_architecture(_family(config), layers, width),
        lora=lora,
        attention=None if config.attention == "flash_attention_2" else config.attention,
        gradient_checkpointing=config.gradient_checkpointing,
    )


def _family(config: ModelConfig) -> str:
    if config.from_scratch is not None:
        return str(config.from_scratch["architecture"])
    assert config.path is not None
    try:
        return str(json.loads((Path(config.path) / "config.json").read_text(encoding="utf-8"))["model_type"])
    except (OSError, ValueError, KeyError, TypeError):
        name = config.path.lower()
        return next((family for part, family in _FAMILIES.items() if part in name), "llama")


def _architecture(family: str, layers: int, width: int) -> dict[str, Any]:
    if family in ("codegen", "gptj", "gpt2"):
        settings: dict[str, Any] = {"n_embd": width, "n_layer": layers, "n_head": 4, "n_positions": 1024}
        return {"architecture": family, **settings, **({} if family == "gpt2" else {"rotary_dim": 4})}
    return {
        "architecture": family,
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        **({} if family == "gpt_neox" else {"num_key_value_heads": 4}),
        **({"head_dim": width // 4} if family.startswith("gemma") or family == "qwen3" else {}),
    }


def _short(training: Training) -> Training:
    return Training(
        **{
            **training.model_dump(),
            "max_steps": _STEPS,
            **_batch(training),
            "input_limit": min(training.input_limit, 512),
            "output_limit": min(training.output_limit, 48),
            "precision": "fp32",
            "logging_steps": 1,
            "save_steps": _STEPS,
        }
    )


def _batch(training: Training) -> dict[str, int]:
    """A small batch that is still computed in parts if the recipe's is."""
    in_parts = training.micro_batch_size is not None and training.micro_batch_size < training.batch_size
    size = min(training.batch_size, _BATCH)
    return {"batch_size": size, "micro_batch_size": max(1, size // 2) if in_parts and size > 1 else size}


def _short_stage(recipe: Recipe, stage: Any) -> dict[str, Any]:
    content: dict[str, Any] = stage.model_dump()
    if isinstance(stage, EvaluateStage):
        content["evaluation"] = {
            key: value
            for key, value in stage.evaluation.items()
            if key not in ("max_examples", "input_limit", "output_limit", "batch_size")
        }
    else:
        short = _short(recipe.training_of(stage)).model_dump()
        content["training"] = {key: short[key] for key in stage.training}
    return content


def _little_data(recipe: Recipe) -> Any:
    data = recipe.data
    if data.kind == "jsonl":
        return data if missing_data(recipe) is None else _embedded()
    if data.kind == "embedded" or missing_data(recipe) is not None:
        return _embedded()
    return data.model_copy(
        update={
            "max_train": min(data.max_train or _EXAMPLES, _EXAMPLES),
            "max_evaluation": min(data.max_evaluation or _QUESTIONS, _QUESTIONS),
        }
    )


def _embedded() -> EmbeddedData:
    return EmbeddedData(kind="embedded", questions=_EXAMPLES, test_questions=10, databases=2)
