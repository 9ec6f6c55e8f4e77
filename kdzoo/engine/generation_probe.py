"""The logits that a way of generating chooses its tokens by, beside those of whole forward passes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor
from transformers import PreTrainedModel

from kdzoo.engine.anatomy import vocabulary_of
from kdzoo.engine.ordinary import OrdinaryPrompt
from kdzoo.engine.probe import Rows
from kdzoo.engine.sampling import SamplingLimits
from kdzoo.engine.way import Ordinary
from kdzoo.randomness import StepGenerator
from kdzoo.sequences import Kind, Sequences

# Enough to cross the lengths that probes are made for, and to go on from a cache more than once.
_TOKENS = 5


def generated_logits(
    model: PreTrainedModel | PeftModel, prompts: Sequence[Sequence[int]], way: Ordinary
) -> tuple[Rows, Rows]:
    """Generate a few tokens after each prompt: the logits that were chosen by, and what the rows alone have there."""
    device = next(model.parameters()).device
    limits = SamplingLimits(_TOKENS, (vocabulary_of(model) - 1,))

    def conditioned(prompts: Sequence[Sequence[int]], way: Ordinary) -> _Recorder:
        return _Recorder(
            model,
            prompts,
            limits,
            StepGenerator(0, 0, range(len(prompts))),
            kind=Kind.STUDENT,
            device=device,
            rows_at_once=way.rows_at_once,
            caches=way.caches,
        )

    recorder = conditioned(prompts, way)
    generated = recorder.generate(temperature=0)
    tokens, lengths = generated.tokens.tolist(), generated.lengths.tolist()
    so_far = [[*p, *tokens[r][:t]] for r, p in enumerate(prompts) for t in range(lengths[r])]
    one_token = Sequences.of([[0]] * len(so_far), Kind.STUDENT).to(device)
    alone = conditioned(so_far, Ordinary(1)).eval_features(one_token).rows.float()
    return recorder.rows(lengths), list(alone.split(lengths))


class _Recorder(OrdinaryPrompt):
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
        return list(torch.cat(self._steps).split(list(lengths)))
