"""Adapters of peft: read from a folder onto their base, and merged into it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from peft import PeftConfig, PeftModel, get_peft_model_state_dict
from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer
from peft.utils import load_peft_weights
from torch import nn
from transformers import PreTrainedModel

from kdzoo.engine.models.adapter_folder import CONFIG
from kdzoo.engine.models.load_errors import told_as
from kdzoo.engine.models.weights_format import check_adapter_format
from kdzoo.errors import UserError


def base_model(model: PreTrainedModel | PeftModel) -> PreTrainedModel:
    """The model of transformers itself, where adapters may have been put into it."""
    return model.get_base_model() if isinstance(model, PeftModel) else model


def check_adapter(folder: Path) -> None:
    """Make sure that a folder's adapter is of a kind that can be used, before its base is loaded.

    Raises:
        UserError: it is not, or its configuration cannot be read, or its weights are not there.
    """
    with told_as(f"{folder / CONFIG} cannot be read"):
        config = PeftConfig.from_pretrained(str(folder))
    peft_type = getattr(config.peft_type, "value", config.peft_type)
    if config.is_prompt_learning or config.is_adaption_prompt:
        raise UserError(
            f"{folder / CONFIG}: an adapter of type {peft_type} adds tokens of its own to every prompt; only those that can "
            "be merged into their base can be used, as LoRA"
        )
    if config.task_type not in (None, "CAUSAL_LM"):
        raise UserError(f"{folder / CONFIG}: task_type is {config.task_type}, not CAUSAL_LM")
    if getattr(config, "megatron_config", None):
        raise UserError(
            f"{folder / CONFIG}: megatron_config would import the module that megatron_core names; it cannot be used here"
        )
    check_adapter_format(folder)


def load_adapter(model: PreTrainedModel, folder: Path, base: str, *, trainable: bool) -> PeftModel:
    """Put the adapter of a folder on its base, whose name is for messages.

    Raises:
        UserError: it cannot be read, or does not fit the base: each of its weights must have a place, and each place
            its weight.
    """
    check_adapter(folder)
    with told_as(f"the adapter {folder} cannot be put on its base {base}"), _tied_is_known():
        saved = load_peft_weights(str(folder), device="cpu").keys()
        adapted = PeftModel.from_pretrained(model, str(folder), is_trainable=trainable)
        assert isinstance(adapted, PeftModel)
        if not isinstance(adapted.base_model, BaseTuner):
            raise ValueError("adapters of its type cannot be merged")
        places = get_peft_model_state_dict(adapted, save_embedding_layers=False).keys()
        homeless = sorted(saved - places - adapted.state_dict().keys())
        if homeless:
            raise ValueError(
                f"the base has no place for {len(homeless)} of its weights, {homeless[0]} for one"
            )
        missing = sorted(places - saved)
        if missing:
            raise ValueError(
                f"it lacks {len(missing)} of the weights that the base has places for, {missing[0]} for one"
            )
    return adapted


def merge(adapted: PeftModel) -> PreTrainedModel:
    """Merge an adapter into its base, which then gives the same logits without it.

    Input and output embeddings that share their weights are parted first if the adapter changes one of them: it would
    change the other too. The configuration then says so, so that what is saved loads to the same logits.
    """
    model = adapted.get_base_model()
    assert isinstance(model, PreTrainedModel)
    layers = (model.get_input_embeddings(), model.get_output_embeddings())
    if any(isinstance(layer, BaseTunerLayer) for layer in layers):
        before, after = (
            layer.get_base_layer() if isinstance(layer, BaseTunerLayer) else layer for layer in layers
        )
        if after is not None and before.weight is after.weight:
            after.weight = nn.Parameter(after.weight.detach().clone(), after.weight.requires_grad)
    with told_as("the adapter cannot be merged into its base"), _tied_is_known():
        merged = adapted.merge_and_unload()
    assert isinstance(merged, PreTrainedModel)
    before, after = merged.get_input_embeddings(), merged.get_output_embeddings()
    if after is not None and before.weight is not after.weight:
        merged.config.get_text_config().tie_word_embeddings = merged.config.tie_word_embeddings = False
        merged.all_tied_weights_keys = {}  # made of the configuration as it was
    return merged


@contextmanager
def _tied_is_known() -> Iterator[None]:
    """Keep quiet peft's advice for adapters on tied embeddings, which `merge` follows."""
    with warnings.catch_warnings():
        for beginning in (
            "Model with `tie_word_embeddings=True`",
            "Model has `tie_word_embeddings=True`",
            "Input and output embeddings are no longer tied",
        ):
            warnings.filterwarnings("ignore", message=beginning)
        yield
