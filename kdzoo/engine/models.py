"""Making models: loaded from a folder or hub name, built from scratch, with or without LoRA."""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig, PreTrainedModel
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from kdzoo.errors import UserError


@dataclass(frozen=True)
class Lora:
    """Low-rank adapters: ``target_modules`` is ``"all-linear"`` or a list of module names."""

    rank: int
    alpha: float
    dropout: float = 0.0
    target_modules: str | tuple[str, ...] = "all-linear"


@dataclass(frozen=True)
class ModelSource:
    """Where a model comes from: ``path`` (local folder or hub name), or an architecture's configuration."""

    path: str | None = None
    revision: str | None = None
    architecture: dict[str, Any] | None = None
    dtype: str = "float32"
    attention: str | None = None


def make_config(
    architecture: dict[str, Any], vocabulary: int, special: dict[str, int | None]
) -> PretrainedConfig:
    """Build the configuration of a model from scratch.

    Raises:
        UserError: the architecture does not exist, or one of its settings is unknown or impossible.
    """
    settings = dict(architecture)
    family = settings.pop("architecture")
    if family not in CONFIG_MAPPING:
        close = difflib.get_close_matches(family, list(CONFIG_MAPPING), n=1)
        raise UserError(
            f"from_scratch: no architecture {family!r}" + (f"; did you mean {close[0]!r}?" if close else "")
        )
    known = CONFIG_MAPPING[family]()
    for name in settings:
        if not hasattr(known, name):
            names = [n for n in known.to_dict() if not n.startswith("_")]
            close = difflib.get_close_matches(name, names, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise UserError(f"from_scratch: {family} has no setting {name!r}{hint}")
    try:
        return AutoConfig.for_model(family, vocab_size=vocabulary, **special, **settings)
    except Exception as error:  # each family's config class checks its settings in its own way
        reason = " ".join(str(error).split())
        raise UserError(f"from_scratch: {family} does not accept these settings: {reason}") from error


def build_model(
    source: ModelSource, vocabulary: int, special: dict[str, int | None], seed: int
) -> PreTrainedModel:
    """Load the model, or build it with random weights that depend on the seed alone.

    Raises:
        UserError: it cannot be found, loaded or built.
    """
    if source.architecture is not None:
        config = make_config(source.architecture, vocabulary, special)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            try:
                model = AutoModelForCausalLM.from_config(
                    config, dtype=getattr(torch, source.dtype), attn_implementation=source.attention
                )
            except (ValueError, RuntimeError, ZeroDivisionError) as error:
                raise UserError(f"from_scratch: the model cannot be built: {error}") from error
        assert isinstance(model, PreTrainedModel)
        return model
    assert source.path is not None
    return load_pretrained(source.path, source.revision, source.dtype, source.attention)


def load_config(path: str, revision: str | None) -> PretrainedConfig:
    """Load a model's configuration alone; an adapter's is that of its base.

    Raises:
        UserError: it cannot be found or read.
    """
    if is_adapter(Path(path)):
        return load_config(base_of(Path(path)), None)
    try:
        config = AutoConfig.from_pretrained(path, revision=revision)
    except Exception as error:  # each architecture refuses settings in its own way
        raise UserError(f"the model {path!r} cannot be loaded: {_first_line(error)}") from error
    assert isinstance(config, PretrainedConfig)
    return config


def load_pretrained(
    path: str, revision: str | None, dtype: str, attention: str | None = None
) -> PreTrainedModel:
    """Load a model in Hugging Face format. A folder that holds an adapter gives its base with the adapter merged in.

    Raises:
        UserError: it cannot be found or loaded.
    """
    if is_adapter(Path(path)):
        source = ModelSource(dtype=dtype, attention=attention)
        model = load_trained(Path(path), source, dtype, trainable=False)
        assert isinstance(model, PeftModel)
        merged = model.merge_and_unload().requires_grad_(True)
        assert isinstance(merged, PreTrainedModel)
        return merged
    try:
        model = AutoModelForCausalLM.from_pretrained(
            path, revision=revision, dtype=getattr(torch, dtype), attn_implementation=attention
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise UserError(f"the model {path!r} cannot be loaded: {_first_line(error)}") from error
    assert isinstance(model, PreTrainedModel)
    return model


def add_lora(model: PreTrainedModel, lora: Lora, seed: int) -> PeftModel:
    """Put trainable low-rank adapters on a model; everything else is frozen.

    Raises:
        UserError: a target module does not exist in the model.
    """
    targets: Any = lora.target_modules if isinstance(lora.target_modules, str) else list(lora.target_modules)
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=targets,
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            adapted = get_peft_model(model, config)
        except ValueError as error:
            raise UserError(f"lora: {error}") from error
    assert isinstance(adapted, PeftModel)
    return adapted


def load_trained(
    folder: Path, base: ModelSource, dtype: str, *, trainable: bool
) -> PreTrainedModel | PeftModel:
    """Load what a stage saved: a whole model, or an adapter on its base.

    The adapter's base is the folder or hub name that its configuration names, or the folder ``base`` beside it.
    """
    if not is_adapter(folder):
        return load_pretrained(str(folder), None, dtype, base.attention)
    named = base_of(folder)
    model = load_pretrained(named, base.revision if named == base.path else None, dtype, base.attention)
    adapted = PeftModel.from_pretrained(model, str(folder), is_trainable=trainable)
    assert isinstance(adapted, PeftModel)
    return adapted


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter instead of a whole model."""
    return (folder / "adapter_config.json").is_file()


def base_of(adapter: Path) -> str:
    """The folder or hub name of the base that an adapter is for.

    Raises:
        UserError: its configuration cannot be read, or names none.
    """
    file = adapter / "adapter_config.json"
    try:
        named = str(json.loads(file.read_text(encoding="utf-8"))["base_model_name_or_path"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file}: names no base model ({type(error).__name__}: {error})") from None
    beside = adapter.parent / "base"
    # the name of a base built from scratch is where it was made; its folder may have been moved
    return str(beside) if not Path(named).is_dir() and beside.is_dir() else named


def count_parameters(model: torch.nn.Module) -> int:
    """The number of parameters, adapters included."""
    return sum(p.numel() for p in model.parameters())


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
