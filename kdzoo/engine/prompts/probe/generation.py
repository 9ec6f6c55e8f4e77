"""The logits that a way of generating chooses its tokens by, beside those of whole forward passes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor
from transformers import PreTrainedModel

from kdzoo.engine.models.decoder_and_head import vocabulary_of
from kdzoo.engine.prompts.full_forward import FullForward
from kdzoo.engine.prompts.probe.batch import Rows
from kdzoo.engine.prompts.sampling import SamplingLimits
from kdzoo.engine.prompts.way import Ordinary
from kdzoo.methods.randomness import StepGenerator
from kdzoo.methods.sequences import Kind


def generated_logits(
    model: PreTrainedModel | PeftModel, prompts: Sequence[Sequence[int]], way: Ordinary, tokens: int
) -> tuple[Rows, Rows]:
    """Generate so many tokens after each prompt: the logits that were chosen by, and what the rows alone have there."""
    recorder = _recorder(model, prompts, way, tokens)
    generated = recorder.generate(temperature=0)
    made, lengths = generated.tokens.tolist(), generated.lengths.tolist()
    so_far = [[*prompt, *made[r][:t]] for r, prompt in enumerate(prompts) for t in range(lengths[r])]
    alone = _recorder(model, so_far, Ordinary(1, caches=False), 1)
    alone.generate(temperature=0)
    return recorder.rows(lengths), alone.rows(lengths)


def _recorder(
    model: PreTrainedModel | PeftModel, prompts: Sequence[Sequence[int]], way: Ordinary, tokens: int
) -> _Recorder:
    return _Recorder(
        model,
        prompts,
        SamplingLimits(tokens, (vocabulary_of(model) - 1,)),
        StepGenerator(0, 0, range(len(prompts))),
        kind=Kind.STUDENT,
        device=next(model.parameters()).device,
        rows_at_once=way.rows_at_once,
        caches=way.caches,
    )


class _Recorder(FullForward):
    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._steps: list[Tensor] = []

    def _next(self, logits: Tensor, temperature: float, uniform: Tensor | None) -> Tensor:
        self._steps.append(logits.float())
        return super()._next(logits, temperature, uniform)

    def rows(self, lengths: Sequence[int]) -> Rows:
        """Float32 [n, V] for each row."""
        if self._rows_at_once is None:
            steps = torch.stack(self._steps, dim=1)
            return [row[:length] for row, length in zip(steps, lengths, strict=True)]
        return list(torch.split(torch.cat(self._steps), list(lengths)))
