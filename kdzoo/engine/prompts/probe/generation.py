"""The logits that a way of generating chooses its tokens by, beside those of whole forward passes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from peft import PeftModel
from torch import Tensor
from transformers import PreTrainedModel

from kdzoo.engine.models.decoder_and_head import vocabulary_of
from kdzoo.engine.models.eval_mode import evaluating
from kdzoo.engine.prompts.full_forward import FullForward
from kdzoo.engine.prompts.generation import generate
from kdzoo.engine.prompts.probe.batch import Rows
from kdzoo.engine.prompts.sampling import SamplingLimits
from kdzoo.engine.prompts.way import Full


def generated_logits(
    model: PreTrainedModel | PeftModel, prompts: Sequence[Sequence[int]], way: Full, tokens: int
) -> tuple[Rows, Rows]:
    """Generate so many tokens after each prompt: the logits that were chosen by, and what the rows alone have there."""
    limits = SamplingLimits(tokens, (vocabulary_of(model) - 1,))
    device = next(model.parameters()).device
    every = torch.ones(len(prompts), dtype=torch.bool, device=device)
    chosen_by: list[list[Tensor]] = [[] for _ in prompts]

    def greedily(logits: list[Tensor], rows: Tensor, step: int) -> Tensor:
        (own,) = logits
        for row, of_row in zip(rows.tolist(), own.float(), strict=True):
            chosen_by[row].append(of_row)
        return own.argmax(-1)

    with evaluating(model.modules()):
        forward = FullForward(model, prompts, way, device=device)
        made, _ = generate([forward], greedily, limits, every)
        alone = []
        for prompt, row, steps in zip(prompts, made, chosen_by, strict=True):
            of_prompt = FullForward(model, [prompt], Full(1, caches=False), device=device)
            first = torch.zeros(1, dtype=torch.long, device=device)
            alone.append([of_prompt.start(first, row[None, :t]).next_logits()[0] for t in range(len(steps))])
    return [torch.stack(steps) for steps in chosen_by], [torch.stack(steps).float() for steps in alone]
