"""The ordinary computation: prompt and sequence together in one forward pass, every time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from peft import PeftModel
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList, PreTrainedModel

from kdzoo.engine.losses.scored_hidden_states import ScoredHiddenStates
from kdzoo.engine.models.decoder_and_head import vocabulary_of
from kdzoo.engine.prompts.sampling import SamplingLimits, is_end, next_tokens
from kdzoo.engine.prompts.way import Full
from kdzoo.methods.sequences import Sequences, Source


class FullForward:
    """A model over prompts that is run through its own forward and generate.

    It is what `kdzoo.engine.prompts.prefix_cached.PrefixCachedForward` must equal, and the fallback where that cannot be
    used. Rows that are run together are padded: prompts on the left, sequences on the right. With the way's
    ``rows_at_once`` 1 nothing is ever padded and no row meets another. Without its ``caches`` every token that is
    generated takes a whole forward pass. Both together are right for every architecture.
    """

    def __init__(
        self,
        model: PreTrainedModel | PeftModel,
        prompts: Sequence[Sequence[int]],
        limits: SamplingLimits,
        way: Full,
        *,
        source: Source,
        device: torch.device | str = "cpu",
    ) -> None:
        self._model = model
        self._limits = limits
        self._way = way
        self._source = source
        self._device = device
        self._prompts = [torch.tensor(list(prompt), dtype=torch.long, device=device) for prompt in prompts]

    def run_together(self, several: Sequence[Sequences]) -> list[ScoredHiddenStates]:
        """See `kdzoo.engine.prompts.conditioned_model.Forward.run_together`."""
        return [self.run(sequences) for sequences in several]

    def run(self, sequences: Sequences) -> ScoredHiddenStates:
        """See `kdzoo.engine.prompts.conditioned_model.Forward.run`."""
        lengths = sequences.lengths.tolist()
        rows = [row for row in range(len(lengths)) if lengths[row] > 0]
        parts = [
            self._predicting(
                [self._prompts[row // sequences.per_prompt] for row in part],
                [sequences.tokens[row, : lengths[row]] for row in part],
            )
            for part in self._parts(rows)
        ]
        if not parts:
            parameter = next(self._model.parameters())
            parts = [parameter.new_zeros(0, vocabulary_of(self._model))]
        scored = torch.cat(parts)
        return ScoredHiddenStates(scored, lambda logits: logits, scored.shape[-1])

    def _parts(self, rows: Sequence[int]) -> Iterator[Sequence[int]]:
        size = self._way.rows_at_once or max(1, len(rows))
        for start in range(0, len(rows), size):
            yield rows[start : start + size]

    def _predicting(self, prompts: Sequence[Tensor], sequences: Sequence[Tensor]) -> Tensor:
        """Logits [N, V] of what predicts the tokens of one sequence (int64 [T_r], T_r > 0) after each prompt."""
        sequence, scored = side_by_side(sequences, padding_side="right")
        logits = self._last_logits(prompts, sequence, scored)
        return logits[:, :-1][scored]

    def _last_logits(self, prompts: Sequence[Tensor], sequence: Tensor, scored: Tensor) -> Tensor:
        """Logits [R, T + 1, V] from the prompt's last token on; ``sequence`` [R, T], ``scored``: where it has tokens."""
        prompt, prompt_mask = side_by_side(prompts, padding_side="left")
        tokens, mask = torch.cat([prompt, sequence], dim=1), torch.cat([prompt_mask, scored], dim=1)
        padded = {}
        if not bool(mask.all()):
            # padding repeats the position of the token before it, so that none is beyond those that the row needs
            positions = (mask.cumsum(-1) - 1).clamp_min(0)
            padded = {"attention_mask": mask.long(), "position_ids": positions}
        count = sequence.shape[1] + 1
        # most architectures can leave out the prompt's logits; those of the others are dropped
        kept = {"logits_to_keep": count} if self._model._supports_logits_to_keep() else {}
        output = self._model(input_ids=tokens, use_cache=False, **padded, **kept)
        logits: Tensor = output.logits[:, -count:]
        return logits

    def generate(self, temperature: float, uniform: Tensor | None, rows: Tensor | None) -> Sequences:
        """See `kdzoo.engine.prompts.conditioned_model.Forward.generate`."""
        count, width = len(self._prompts), self._limits.output
        numbers = None if uniform is None else uniform.to(self._device)
        chosen = list(range(count)) if rows is None else rows.nonzero().flatten().tolist()
        tokens = torch.zeros(count, width, dtype=torch.long, device=self._device)
        lengths = torch.zeros(count, dtype=torch.long, device=self._device)
        continue_ = self._continue if self._way.caches else self._continue_without_cache
        for part in self._parts(chosen):
            new = continue_(part, temperature, None if numbers is None else numbers[part])
            tokens[part, : new.shape[1]] = new
            lengths[part] = _through_first_end(new, self._limits.end_ids)
        longest = int(lengths.max()) if count else 0
        return Sequences(tokens[:, :longest], lengths, torch.full_like(lengths, int(self._source)))

    def _continue(self, part: Sequence[int], temperature: float, uniform: Tensor | None) -> Tensor:
        """Int64 [rows, T]: what the model generates after the prompts of some rows, anything behind a first end."""
        prompt, mask = side_by_side([self._prompts[row] for row in part], padding_side="left")

        def choose(step: int, logits: Tensor) -> Tensor:
            return self._next(logits, temperature, None if uniform is None else uniform[:, step])

        settings = GenerationConfig(
            max_new_tokens=self._limits.output,
            do_sample=False,
            num_beams=1,
            eos_token_id=list(self._limits.end_ids),
            pad_token_id=self._limits.end_ids[0],
        )
        with nothing_preset(self._model) as model:
            output: Tensor = model.generate(
                input_ids=prompt,
                attention_mask=mask.long(),
                generation_config=settings,
                logits_processor=LogitsProcessorList([_Choose(choose, prompt.shape[1])]),
            )
        return output[:, prompt.shape[1] :]

    def _continue_without_cache(
        self, part: Sequence[int], temperature: float, uniform: Tensor | None
    ) -> Tensor:
        """The same by a forward pass over everything for each token."""
        new = torch.zeros(len(part), 0, dtype=torch.long, device=self._device)
        nothing = torch.zeros(len(part), 0, dtype=torch.bool, device=self._device)
        for step in range(self._limits.output):
            so_far = [torch.cat([self._prompts[row], before]) for row, before in zip(part, new, strict=True)]
            logits = self._last_logits(so_far, nothing.long(), nothing)[:, -1]
            chosen = self._next(logits, temperature, None if uniform is None else uniform[:, step])
            new = torch.cat([new, chosen[:, None]], dim=1)
            if bool(is_end(new, self._limits.end_ids).any(1).all()):
                break
        return new

    def _next(self, logits: Tensor, temperature: float, uniform: Tensor | None) -> Tensor:
        """Choose a token for each row: int64 [rows] from logits [rows, V]."""
        return next_tokens(logits[:, : self._limits.vocabulary], temperature, uniform)


def side_by_side(rows: Sequence[Tensor], *, padding_side: str) -> tuple[Tensor, Tensor]:
    """Int64 [R, T] padded with zeros, and bool [R, T]: True where a token stands."""
    tokens, mask = (
        torch.nn.utils.rnn.pad_sequence(list(some), batch_first=True, padding_side=padding_side)
        for some in (rows, [torch.ones_like(row, dtype=torch.bool) for row in rows])
    )
    return tokens, mask


@contextmanager
def nothing_preset(model: PreTrainedModel | PeftModel) -> Iterator[PreTrainedModel]:
    """The model without its generation config, which would fill in whatever we leave open.

    A checkpoint may name a repetition penalty, forced or suppressed tokens or a least length there: none of them is
    part of the distribution that a method samples from.
    """
    inner = model.get_base_model() if isinstance(model, PeftModel) else model
    preset, inner.generation_config = inner.generation_config, GenerationConfig()
    try:
        yield inner
    finally:
        inner.generation_config = preset


class _Choose(LogitsProcessor):  # type: ignore[misc]
    """Makes generate's greedy choice equal to ours, so that both engines draw alike."""

    def __init__(self, choose: Callable[[int, Tensor], Tensor], prompt_width: int) -> None:
        self._choose = choose
        self._prompt_width = prompt_width

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        chosen = self._choose(input_ids.shape[1] - self._prompt_width, scores)
        return torch.full_like(scores, -torch.inf).scatter(1, chosen[:, None], 0.0)


def _through_first_end(tokens: Tensor, end_ids: tuple[int, ...]) -> Tensor:
    """Int64 [B]: the number of tokens up to and including the first that ends the sequence."""
    ends = is_end(tokens, end_ids)
    before = (ends.cumsum(-1) == 0).sum(-1)
    return torch.where(ends.any(-1), before + 1, before)
