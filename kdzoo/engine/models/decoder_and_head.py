"""The two halves of a causal language model: the decoder that gives hidden states, and the projection to logits."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import PreTrainedModel

from kdzoo.engine.models.adapters import base_model


@dataclass(frozen=True, eq=False)
class DecoderAndHead:
    """A causal language model taken apart. The modules are called as modules, so that LoRA and hooks take part."""

    model: PreTrainedModel
    decoder: nn.Module
    head: nn.Module
    softcap: float | None

    @staticmethod
    def of(model: PreTrainedModel | PeftModel) -> DecoderAndHead:
        """Take a model apart.

        Raises:
            ValueError: the model has no decoder or no output projection that could be told apart.
        """
        inner = base_model(model)
        decoder = getattr(inner, inner.base_model_prefix, None)
        head = inner.get_output_embeddings()
        if decoder is None or decoder is inner or head is None:
            raise ValueError(f"{type(inner).__name__} has no separate decoder and output projection")
        softcap = getattr(inner.config.get_text_config(), "final_logit_softcapping", None)
        return DecoderAndHead(inner, decoder, head, softcap)

    @property
    def vocabulary(self) -> int:
        """The number of logits."""
        return vocabulary_of(self.model)

    @property
    def plain_weight(self) -> Tensor | None:
        """The weight [V, hidden size] of the projection, if logits are its product with hidden states and no more."""
        head = self.head
        # a LoRA or a quantised layer is of another class
        if type(head) is not nn.Linear or head.bias is not None or self.softcap is not None:
            return None
        return None if _wants_to_be_called(head) else head.weight

    @property
    def plain_embedding(self) -> nn.Embedding | None:
        """The embedding of the tokens, if it trains and does nothing but look up, on a device with sparse tensors."""
        module = self.model.get_input_embeddings()
        if type(module) is not nn.Embedding or not module.weight.requires_grad:
            return None
        more = module.max_norm is not None or module.scale_grad_by_freq or module.sparse
        sparse_tensors = module.weight.device.type in ("cpu", "cuda")
        return None if more or not sparse_tensors or _wants_to_be_called(module) else module

    def attention_mask(self, visible: Tensor) -> Tensor:
        """Turn bool [B, W, K] (which keys a token attends to) into the mask [B, 1, W, K] that the layers take."""
        mask = visible[:, None]
        if self.model.config._attn_implementation == "sdpa":
            return mask
        numbers = torch.zeros(mask.shape, dtype=self.model.dtype, device=mask.device)
        return numbers.masked_fill(~mask, torch.finfo(self.model.dtype).min)

    def project(self, hidden: Tensor) -> Tensor:
        """Turn hidden states [..., hidden size] into logits [..., V], on the hidden states' device."""
        logits: Tensor = self.head(hidden).to(hidden.device)
        if self.softcap is not None:
            logits = torch.tanh(logits / self.softcap) * self.softcap
        return logits


def _wants_to_be_called(module: nn.Module) -> bool:
    """Whether hooks or a wrapped forward method would be passed by if somebody used the module's weight alone."""
    hooks = (
        module._forward_hooks,
        module._forward_pre_hooks,
        module._backward_hooks,
        module._backward_pre_hooks,
    )
    return any(hooks) or "forward" in vars(module)


def vocabulary_of(model: PreTrainedModel | PeftModel) -> int:
    """The number of logits that a model gives."""
    return int(model.config.get_text_config().vocab_size)


def shared_vocabulary(*models: PreTrainedModel | PeftModel) -> int:
    """The number of token ids that all models have: padding may have made their vocabularies of different sizes."""
    return min(vocabulary_of(model) for model in models)
