"""The logits that a way of generating chooses its tokens by, beside those of whole forward passes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from peft import PeftModel
from torch import Tensor
from transformers import PreTrainedModel

from kdzoo.engine.models.decoder_and_head import vocabulary_of
from kdzoo.engine.models.eval_mode import evaluating
from kdzoo.engine.prompts.full_forward import FullForward
from kdzoo.engine.prompts.probe.batch import Rows
from kdzoo.engine.prompts.sampling import SamplingLimits
from kdzoo.engine.prompts.way import Full
from kdzoo.methods.sequences import Source


def generated_logits(
    model: PreTrainedModel | PeftModel, prompts: Sequence[Sequence[int]], way: Full, tokens: int
) -> tuple[Rows, Rows]:
    """Generate so many tokens after each prompt: the logits that were chosen by, and what the rows alone have there."""
    limits = SamplingLimits(tokens, (vocabulary_of(model) - 1,))
    with evaluating(model.modules()):
        recorder = _Recorder(model, prompts, limits, way)
        generated = recorder.generate(0.0, None, None)
        made, lengths = generated.tokens.tolist(), generated.lengths.tolist()
        so_far = [[*prompt, *made[r][:t]] for r, prompt in enumerate(prompts) for t in range(lengths[r])]
        alone = _Recorder(model, so_far, replace(limits, output=1), Full(1, caches=False))
        alone.generate(0.0, None, None)
    return recorder.rows(lengths), alone.rows(lengths)


class _Recorder(FullForward):
    def __init__(
        self,
        model: PreTrainedModel | PeftModel,
        prompts: Sequence[Sequence[int]],
        limits: SamplingLimits,
        way: Full,
    ) -> None:
        device = next(model.parameters()).device
        super().__init__(model, prompts, limits, way, source=Source.STUDENT, device=device)
        self._steps: list[Tensor] = []

    def _next(self, logits: Tensor, temperature: float, uniform: Tensor | None) -> Tensor:
        self._steps.append(logits.float())
        return super()._next(logits, temperature, uniform)

    def rows(self, lengths: Sequence[int]) -> Rows:
        """Float32 [n, V] for each row."""
        if self._way.rows_at_once is None:
            steps = torch.stack(self._steps, dim=1)
            return [row[:length] for row, length in zip(steps, lengths, strict=True)]
        return list(torch.split(torch.cat(self._steps), list(lengths)))
