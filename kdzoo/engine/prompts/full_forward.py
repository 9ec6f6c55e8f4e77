"""The ordinary computation: prompt and sequence together in one forward pass, every time."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor
from transformers import PreTrainedModel
from transformers.cache_utils import DynamicCache

from kdzoo.engine.losses.scored_hidden_states import ScoredHiddenStates
from kdzoo.engine.models.adapters import base_model
from kdzoo.engine.models.decoder_and_head import vocabulary_of
from kdzoo.engine.models.hidden_states import asked_for, hidden_states_of
from kdzoo.engine.prompts.generation import Stepper
from kdzoo.engine.prompts.way import Full
from kdzoo.methods.sequences import Sequences


class FullForward:
    """A model over prompts that is run as transformers runs it by itself.

    It is what `kdzoo.engine.prompts.prefix_cached.PrefixCachedForward` must equal, and the fallback where that cannot be
    used. Rows that are run together are padded: prompts on the left, sequences on the right. With the way's
    ``rows_at_once`` 1 nothing is ever padded and no row meets another. Without its ``caches`` every token that is
    generated takes a whole forward pass. Both together are right for every architecture.
    """

    def __init__(
        self,
        model: PreTrainedModel | PeftModel,
        prompts: Sequence[Sequence[int]],
        way: Full,
        *,
        device: torch.device | str = "cpu",
    ) -> None:
        self._model = model
        self._way = way
        self._device = device
        self._prompts = [torch.tensor(list(prompt), dtype=torch.long, device=device) for prompt in prompts]

    @property
    def rows_at_once(self) -> int | None:
        """See `kdzoo.engine.prompts.generation.Steppable.rows_at_once`."""
        return self._way.rows_at_once

    def run_together(
        self, several: Sequence[Sequences], layers: Sequence[int] = ()
    ) -> list[ScoredHiddenStates]:
        """See `kdzoo.engine.prompts.conditioned_model.Forward.run_together`."""
        return [self.run(sequences, layers) for sequences in several]

    def run(self, sequences: Sequences, layers: Sequence[int] = ()) -> ScoredHiddenStates:
        """See `kdzoo.engine.prompts.conditioned_model.Forward.run`."""
        lengths = sequences.lengths.tolist()
        rows = [row for row in range(len(lengths)) if lengths[row] > 0]
        parts = [
            self._predicting(
                [self._prompts[row // sequences.per_prompt] for row in part],
                [sequences.tokens[row, : lengths[row]] for row in part],
                layers,
            )
            for part in self._parts(rows)
        ]
        if not parts:
            parameter = next(self._model.parameters())
            hidden_size = self._model.config.get_text_config().hidden_size
            sizes = [vocabulary_of(self._model), *(hidden_size for _ in layers)]
            parts = [[parameter.new_zeros(0, size) for size in sizes]]
        logits, *hidden = (torch.cat(some) for some in zip(*parts, strict=True))
        return ScoredHiddenStates(
            logits, lambda rows: rows, logits.shape[-1], hidden=dict(zip(layers, hidden, strict=True))
        )

    def read_prompts(self) -> None:
        """See `kdzoo.engine.prompts.conditioned_model.Forward.read_prompts`: each run reads them with its sequences."""

    def _parts(self, rows: Sequence[int]) -> Iterator[Sequence[int]]:
        size = self._way.rows_at_once or max(1, len(rows))
        for start in range(0, len(rows), size):
            yield rows[start : start + size]

    def _predicting(
        self, prompts: Sequence[Tensor], sequences: Sequence[Tensor], layers: Sequence[int]
    ) -> list[Tensor]:
        """Logits [N, V], and the layers' hidden states [N, H], of what predicts one sequence's tokens after each prompt.

        The sequences are int64 [T_r], T_r > 0.
        """
        sequence, scored = side_by_side(sequences, padding_side="right")
        outputs = self._last_outputs(prompts, sequence, scored, layers)
        return [output[:, :-1][scored] for output in outputs]

    def _last_outputs(
        self, prompts: Sequence[Tensor], sequence: Tensor, scored: Tensor, layers: Sequence[int]
    ) -> list[Tensor]:
        """Logits [R, T + 1, V], and the layers' hidden states [R, T + 1, H], from the prompt's last token on.

        ``sequence`` is int64 [R, T], ``scored`` bool [R, T]: where it has tokens.
        """
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
        output = self._model(input_ids=tokens, use_cache=False, **padded, **kept, **asked_for(layers))
        hidden = hidden_states_of(output, layers, len(tokens))
        return [output.logits[:, -count:], *(states[:, -count:].to(tokens.device) for states in hidden)]

    def start(self, rows: Tensor, beginning: Tensor) -> Stepper:
        """See `kdzoo.engine.prompts.generation.Steppable.start`."""
        so_far = [
            torch.cat([self._prompts[row], new]) for row, new in zip(rows.tolist(), beginning, strict=True)
        ]
        return _CachedSteps(self._model, so_far) if self._way.caches else _WholeSteps(self, so_far)


class _WholeSteps:
    """A forward pass over everything for each token. Implements `kdzoo.engine.prompts.generation.Stepper`."""

    def __init__(self, forward: FullForward, so_far: Sequence[Tensor]) -> None:
        self._forward = forward
        self._so_far = list(so_far)

    def next_logits(self) -> Tensor:
        nothing = self._so_far[0].new_zeros(len(self._so_far), 0)
        logits, *_ = self._forward._last_outputs(self._so_far, nothing, nothing.bool(), ())
        return logits[:, -1]

    def append(self, tokens: Tensor) -> None:
        self._so_far = [torch.cat([row, new]) for row, new in zip(self._so_far, tokens[:, None], strict=True)]

    def keep(self, rows: Tensor) -> None:
        self._so_far = [self._so_far[row] for row in rows.tolist()]


class _CachedSteps:
    """What a model has read stays in a cache of transformers. Implements `kdzoo.engine.prompts.generation.Stepper`.

    Not every cache can drop rows: those that are no longer kept go on, and are not looked at.
    """

    def __init__(self, model: PreTrainedModel | PeftModel, so_far: Sequence[Tensor]) -> None:
        self._model = base_model(model)
        self._tokens, mask = side_by_side(so_far, padding_side="left")
        self._rows: Tensor | None = None  # all
        self._has_read = False
        # as transformers' own generate would call it
        self._settings: dict[str, Any] = {"use_cache": True}
        if not bool(mask.all()):
            self._settings["attention_mask"] = mask.long()
        if "position_ids" in inspect.signature(self._model.forward).parameters:
            self._settings["position_ids"] = (mask.cumsum(-1) - 1).clamp_min(0)
        if self._model._supports_logits_to_keep():
            self._settings["logits_to_keep"] = 1
        if self._model._supports_default_dynamic_cache():
            self._settings["cache"] = DynamicCache(config=self._model.config.get_text_config(decoder=True))

    def next_logits(self) -> Tensor:
        inputs = self._model.prepare_inputs_for_generation(
            self._tokens,
            next_sequence_length=1 if self._has_read else None,
            is_first_iteration=not self._has_read,
            **self._settings,
        )
        output = self._model(**inputs, return_dict=True)
        self._settings = self._model._update_model_kwargs_for_generation(output, self._settings)
        self._has_read = True
        logits: Tensor = output.logits[:, -1].to(self._tokens.device)
        return logits if self._rows is None else logits.index_select(0, self._rows)

    def append(self, tokens: Tensor) -> None:
        if self._rows is not None:
            tokens = torch.zeros_like(self._tokens[:, 0]).index_copy(0, self._rows, tokens)
        self._tokens = torch.cat([self._tokens, tokens[:, None]], dim=1)

    def keep(self, rows: Tensor) -> None:
        self._rows = rows if self._rows is None else self._rows.index_select(0, rows)


def side_by_side(rows: Sequence[Tensor], *, padding_side: str) -> tuple[Tensor, Tensor]:
    """Int64 [R, T] padded with zeros, and bool [R, T]: True where a token stands."""
    tokens, mask = (
        torch.nn.utils.rnn.pad_sequence(list(some), batch_first=True, padding_side=padding_side)
        for some in (rows, [torch.ones_like(row, dtype=torch.bool) for row in rows])
    )
    return tokens, mask
