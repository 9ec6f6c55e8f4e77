"""The ordinary computation: prompt and sequence together in one forward pass, every time."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from peft import PeftModel
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList, PreTrainedModel

from kdzoo.engine.anatomy import evaluating
from kdzoo.engine.conditioned import Conditioned
from kdzoo.engine.features import Features
from kdzoo.engine.sampling import SamplingLimits, is_end, next_tokens
from kdzoo.randomness import StepGenerator
from kdzoo.sequences import Kind, Sequences


class OrdinaryPrompt(Conditioned):
    """A model over prompts that are padded on the left, run through its own forward and generate.

    It is what `kdzoo.engine.shared.SharedPrompt` must equal, and the fallback where that cannot be used.
    """

    def __init__(
        self,
        model: PreTrainedModel | PeftModel,
        prompts: Sequence[Sequence[int]],
        limits: SamplingLimits,
        generator: StepGenerator,
        *,
        kind: Kind,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__(model, limits, generator)
        self._language_model = model
        self._kind = kind
        width = max(len(prompt) for prompt in prompts)
        tokens = [[0] * (width - len(prompt)) + list(prompt) for prompt in prompts]
        self._tokens = torch.tensor(tokens, dtype=torch.long, device=device)
        lengths = torch.tensor([len(prompt) for prompt in prompts], device=device)
        self._mask = (torch.arange(width, device=device) >= width - lengths[:, None]).long()

    def _run(self, sequences: Sequences) -> Features:
        prompt = self._tokens.repeat_interleave(sequences.per_prompt, dim=0)
        prompt_mask = self._mask.repeat_interleave(sequences.per_prompt, dim=0)
        tokens = torch.cat([prompt, sequences.tokens], dim=1)
        mask = torch.cat([prompt_mask, torch.ones_like(sequences.tokens)], dim=1)
        positions = (mask.cumsum(-1) - 1).clamp_min(0)
        scored_positions = sequences.tokens.shape[1] + 1
        # most architectures can leave out the prompt's logits; those of the others are dropped
        kept = {"logits_to_keep": scored_positions} if self._language_model._supports_logits_to_keep() else {}
        output = self._language_model(
            input_ids=tokens, attention_mask=mask, position_ids=positions, use_cache=False, **kept
        )
        predicting = output.logits[:, -scored_positions:-1]
        scored = predicting[sequences.mask]
        return Features(scored, lambda logits: logits, scored.shape[-1])

    def generate(self, *, temperature: float = 1.0, rows: Tensor | None = None) -> Sequences:
        """See `kdzoo.step.ConditionedModel.generate`."""
        count, width = self._tokens.shape[0], self.limits.output
        device = self._tokens.device
        uniform = None if temperature == 0 else self.generator.per_row(width).to(device)
        chosen = torch.arange(count, device=device)
        if rows is not None:
            chosen = chosen[rows.to(device)]
        tokens = torch.zeros(count, width, dtype=torch.long, device=device)
        lengths = torch.zeros(count, dtype=torch.long, device=device)
        if len(chosen):
            processors = LogitsProcessorList()
            if uniform is not None or self.limits.vocabulary is not None:
                numbers = None if uniform is None else uniform[chosen]
                processors.append(
                    _Choose(numbers, temperature, self._tokens.shape[1], self.limits.vocabulary)
                )
            settings = GenerationConfig(
                max_new_tokens=width,
                do_sample=False,
                num_beams=1,
                eos_token_id=list(self.limits.end_ids),
                pad_token_id=self.limits.end_ids[0],
            )
            with evaluating(self.model):
                output = self._language_model.generate(
                    input_ids=self._tokens[chosen],
                    attention_mask=self._mask[chosen],
                    generation_config=settings,
                    logits_processor=processors,
                )
            new = output[:, self._tokens.shape[1] :]
            tokens[chosen, : new.shape[1]] = new
            lengths[chosen] = _through_first_end(new, self.limits.end_ids)
        longest = int(lengths.max()) if count else 0
        return Sequences(tokens[:, :longest], lengths, torch.full_like(lengths, int(self._kind)))


class _Choose(LogitsProcessor):  # type: ignore[misc]
    """Makes generate's greedy choice equal to ours, so that both engines draw alike."""

    def __init__(
        self, uniform: Tensor | None, temperature: float, prompt_width: int, vocabulary: int | None
    ) -> None:
        self._uniform = uniform
        self._temperature = temperature
        self._prompt_width = prompt_width
        self._vocabulary = vocabulary

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        step = input_ids.shape[1] - self._prompt_width
        numbers = None if self._uniform is None else self._uniform[:, step]
        chosen = next_tokens(scores[:, : self._vocabulary], self._temperature, numbers)
        return torch.full_like(scores, -torch.inf).scatter(1, chosen[:, None], 0.0)


def _through_first_end(tokens: Tensor, end_ids: tuple[int, ...]) -> Tensor:
    """Int64 [B]: the number of tokens up to and including the first that ends the sequence."""
    ends = is_end(tokens, end_ids)
    before = (ends.cumsum(-1) == 0).sum(-1)
    return torch.where(ends.any(-1), before + 1, before)
