"""Making models: loaded from a folder or hub name, built from scratch, with or without LoRA."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    GenerationConfig,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.utils import GENERATION_CONFIG_NAME

from kdzoo.engine.models.adapter_folder import base_of, is_adapter
from kdzoo.engine.models.adapters import base_model, check_adapter, load_adapter, merge
from kdzoo.engine.models.end_tokens import ending_at
from kdzoo.engine.models.gguf import forget_packing, in_gguf
from kdzoo.engine.models.load_errors import told_as
from kdzoo.engine.models.placement import Placement
from kdzoo.engine.models.weights_format import check_model_format
from kdzoo.engine.models.without_card import save_without_card
from kdzoo.errors import UserError
from kdzoo.files import is_out_of_memory
from kdzoo.spelling import hint

_IN_MAIN_MEMORY = Placement()


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
        raise UserError(f"from_scratch: no architecture {family!r}{hint(family, CONFIG_MAPPING)}")
    known = CONFIG_MAPPING[family]()
    for name in settings:
        if not hasattr(known, name):
            names = [n for n in known.to_dict() if not n.startswith("_")]
            raise UserError(f"from_scratch: {family} has no setting {name!r}{hint(name, names)}")
    try:
        return AutoConfig.for_model(family, vocab_size=vocabulary, **special, **settings)
    except Exception as error:  # each family's config class checks its settings in its own way
        reason = " ".join(str(error).split())
        raise UserError(f"from_scratch: {family} does not accept these settings: {reason}") from error


def build_model(
    config: PretrainedConfig, seed: int, dtype: str, attention: str | None = None
) -> PreTrainedModel:
    """Build a model with random weights that depend on the seed alone.

    Raises:
        UserError: it cannot be built.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            model = AutoModelForCausalLM.from_config(
                config,
                dtype=getattr(torch, dtype),
                attn_implementation=attention,
                trust_remote_code=False,
            )
        except (ValueError, RuntimeError, ZeroDivisionError) as error:
            if isinstance(error, torch.OutOfMemoryError) or is_out_of_memory(error):
                raise
            raise UserError(f"from_scratch: the model cannot be built: {error}") from error
    assert isinstance(model, PreTrainedModel)
    return model


def load_config(
    path: str, revision: str | None, gguf_file: str | None = None, *, trust_remote_code: bool = False
) -> PretrainedConfig:
    """Load a model's configuration alone; an adapter's is that of its base.

    Code that the model brings along is run only if ``trust_remote_code`` says so.

    Raises:
        UserError: it cannot be found or read, needs code of its own, or an adapter is of a kind that cannot be used.
    """
    if is_adapter(Path(path)):
        check_adapter(Path(path))
        base = base_of(Path(path))
        return load_config(base.path, base.revision, trust_remote_code=trust_remote_code)
    with told_as(f"the model {path!r} cannot be loaded"):
        config = AutoConfig.from_pretrained(
            path, revision=revision, trust_remote_code=trust_remote_code, **in_gguf(gguf_file)
        )
    assert isinstance(config, PretrainedConfig)
    if not trust_remote_code:
        _refuse_kernels(path, config)
    return config


def _refuse_kernels(path: str, config: PretrainedConfig) -> None:
    """An attention named OWNER/NAME is code that transformers would download and run."""
    for part in (config, config.get_text_config()):
        named = part._attn_implementation
        if isinstance(named, str) and "/" in named:
            raise UserError(
                f"the model {path!r} cannot be loaded: its configuration asks for code to download as its attention, "
                f"{named!r}, and that is not run unless the recipe's table says trust_remote_code = true"
            )


def load_pretrained(
    path: str,
    revision: str | None,
    dtype: str,
    attention: str | None = None,
    gguf_file: str | None = None,
    *,
    placement: Placement = _IN_MAIN_MEMORY,
    trust_remote_code: bool = False,
) -> PreTrainedModel:
    """Load a model in Hugging Face format, or the one in its folder's ``gguf_file``, unpacked to ``dtype``.

    A folder that holds an adapter gives its base with the adapter merged in. Code that the model brings along is run
    only if ``trust_remote_code`` says so.

    Raises:
        UserError: it cannot be found or loaded, its weights are no safetensors, or some of them are missing or of
            another size.
    """
    folder = Path(path)
    if is_adapter(folder):
        model = load_trained(
            folder,
            dtype,
            attention,
            placement=placement,
            trainable=False,
            trust_remote_code=trust_remote_code,
        )
        assert isinstance(model, PeftModel)
        merged = merge(model).requires_grad_(True)
        merged.generation_config = _generation_config(folder) or merged.generation_config
        return merged
    if gguf_file is None:
        check_model_format(folder)
    with told_as(f"the model {path!r} cannot be loaded"):
        loaded, report = AutoModelForCausalLM.from_pretrained(
            path,
            revision=revision,
            dtype=getattr(torch, dtype),
            attn_implementation=attention,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are told below
            use_safetensors=True if gguf_file is None else None,
            trust_remote_code=trust_remote_code,
            **in_gguf(gguf_file),
            **placement.arguments(getattr(torch, dtype)),
        )
    _check_loaded(path, report)
    if gguf_file is not None:
        forget_packing(loaded)
    assert isinstance(loaded, PreTrainedModel)
    return loaded


def _check_loaded(path: str, report: dict[str, Any]) -> None:
    """Refuse a model with weights that are not in its files: they would be random numbers."""
    for name, saved, expected in sorted(report["mismatched_keys"]):
        raise UserError(
            f"the model {path!r} cannot be loaded: {name} is of size {list(saved)} in its files, and "
            f"{list(expected)} by its configuration"
        )
    missing = sorted(report["missing_keys"])
    if missing:
        raise UserError(
            f"the model {path!r} cannot be loaded: its files lack {len(missing)} of its weights, {missing[0]} for one"
        )


def add_lora(model: PreTrainedModel, config: LoraConfig, seed: int) -> PeftModel:
    """Put trainable low-rank adapters on a model; everything else is frozen.

    Raises:
        UserError: a target module does not exist in the model.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            adapted = get_peft_model(model, config)
        except ValueError as error:
            raise UserError(f"lora: {error}") from error
    assert isinstance(adapted, PeftModel)
    return adapted


def load_trained(
    folder: Path,
    dtype: str,
    attention: str | None = None,
    *,
    placement: Placement = _IN_MAIN_MEMORY,
    trainable: bool,
    trust_remote_code: bool = False,
) -> PreTrainedModel | PeftModel:
    """Load what a stage saved: a whole model, or an adapter on its base.

    The adapter's base is the folder or hub name that its configuration names, or the folder ``base`` beside it.

    Raises:
        UserError: it cannot be loaded, or the adapter does not fit its base.
    """
    if not is_adapter(folder):
        return load_pretrained(
            str(folder), None, dtype, attention, placement=placement, trust_remote_code=trust_remote_code
        )
    check_adapter(folder)
    base = base_of(folder)
    model = load_pretrained(
        base.path,
        base.revision,
        dtype,
        attention,
        placement=placement,
        trust_remote_code=trust_remote_code,
    )
    model.generation_config = _generation_config(folder) or model.generation_config
    return load_adapter(model, folder, base.path, trainable=trainable)


def save_trained(
    model: PreTrainedModel | PeftModel,
    tokenizer: PreTrainedTokenizerBase,
    ends: tuple[int, ...],
    folder: Path,
    weights: dict[str, Tensor] | None = None,
) -> None:
    """Save a model or its adapter with its tokenizer so that plain transformers gives the same answers.

    ``ends`` are the ids that end a generated sequence; they are saved as its generation configuration. ``weights`` are the
    model's state dict, unless it is the model's own.
    """
    inner = base_model(model)
    inner.generation_config = ending_at(model, ends, tokenizer.pad_token_id)
    save_without_card(model, folder, weights)
    inner.generation_config.save_pretrained(str(folder))  # an adapter does not bring it by itself
    tokenizer.save_pretrained(str(folder))


def _generation_config(folder: Path) -> GenerationConfig | None:
    """The generation configuration of an adapter's folder, if it has one."""
    if not (folder / GENERATION_CONFIG_NAME).is_file():
        return None
    with told_as(f"{folder / GENERATION_CONFIG_NAME} cannot be read"):
        found = GenerationConfig.from_pretrained(str(folder))
    assert isinstance(found, GenerationConfig)
    return found


def count_parameters(model: torch.nn.Module) -> int:
    """The number of parameters, adapters included; of weights that are packed into few bits, those that they stand for."""
    states = ((p, getattr(p, "quant_state", None)) for p in model.parameters())
    return sum(p.numel() if state is None else math.prod(state.shape) for p, state in states)
