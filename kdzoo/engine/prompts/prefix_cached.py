"""A model that reads each prompt once and lets every sequence continue from its key-value cache."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from peft import PeftModel
from torch import Tensor
from transformers import PreTrainedModel
from transformers.cache_utils import Cache

from kdzoo.engine.losses.scored_hidden_states import ScoredHiddenStates
from kdzoo.engine.models.decoder_and_head import DecoderAndHead
from kdzoo.engine.models.embedding_gradient import DenseGradientEmbedding
from kdzoo.engine.models.hidden_states import asked_for, hidden_states_of
from kdzoo.engine.prompts.generation import Stepper
from kdzoo.engine.prompts.key_value_cache import (
    KeyValues,
    branch,
    continued,
    first_pass,
    growing_branch,
    keep_rows,
)
from kdzoo.engine.prompts.layer_passes import Checkpoints, few_copies
from kdzoo.engine.prompts.packing import Packing, pack
from kdzoo.engine.prompts.prefix_groups import PrefixGroups
from kdzoo.engine.prompts.sampling import SamplingLimits
from kdzoo.engine.prompts.way import PrefixCached
from kdzoo.methods.sequences import Sequences


class PrefixCachedForward:
    """A model over a batch of prompts in the groups of `kdzoo.engine.prompts.prefix_groups.group_prefixes`.

    The prompt is read at the first use, with gradients if ``trains``; generation and other uses without gradients
    continue from the same cache, detached, if the way is ``repeatable``: if training mode gives what eval mode gives. If
    it ``packs``, several sequences after one prompt stand in one row (`kdzoo.engine.prompts.packing`); otherwise, and
    where the row would be wider than its ``widest`` columns, the prompt's row is repeated.
    """

    def __init__(
        self,
        model: PreTrainedModel | PeftModel,
        groups: PrefixGroups,
        limits: SamplingLimits,
        way: PrefixCached,
        *,
        trains: bool,
    ) -> None:
        self._parts = DecoderAndHead.of(model)
        embedding = self._parts.plain_embedding
        self._embed = None if embedding is None else DenseGradientEmbedding(embedding)
        self._groups = groups
        self._limits = limits
        self._way = way
        self._trains = trains
        self._checkpoints = Checkpoints.of(self._parts.decoder) if trains else Checkpoints()
        self._trained: KeyValues | None = None
        self._frozen_prompt: KeyValues | None = None
        self._mask = _prompt_mask(groups)
        self._lengths = groups.lengths

    def run(self, sequences: Sequences, layers: Sequence[int] = ()) -> ScoredHiddenStates:
        """See `kdzoo.engine.prompts.conditioned_model.Forward.run`."""
        return self.run_together((sequences,), layers)[0]

    def run_together(
        self, several: Sequence[Sequences], layers: Sequence[int] = ()
    ) -> list[ScoredHiddenStates]:
        """See `kdzoo.engine.prompts.conditioned_model.Forward.run_together`."""
        packing = self._packing(several)
        if packing is None:
            return [self._run_repeated(sequences, layers) for sequences in several]
        return self._run_packed(several, packing, layers)

    def read_prompts(self) -> None:
        """See `kdzoo.engine.prompts.conditioned_model.Forward.read_prompts`."""
        self._prompt()

    def _packing(self, several: Sequence[Sequences]) -> Packing | None:
        """The sequences packed, if that is allowed, fits, and puts more than one in a row."""
        if not self._way.packs or sum(sequences.per_prompt for sequences in several) < 2:
            return None
        packing = pack(self._groups.last, several)
        widest = self._way.widest
        fits = widest is None or self._groups.width + packing.inputs.shape[1] <= widest
        return packing if fits else None

    def _run_repeated(self, sequences: Sequences, layers: Sequence[int]) -> ScoredHiddenStates:
        first = self._groups.last.repeat_interleave(sequences.per_prompt)
        inputs = torch.cat([first[:, None], sequences.tokens[:, :-1]], dim=1)
        prompt, mask, lengths = self._prompt(), self._mask, self._lengths
        if sequences.per_prompt > 1:
            prompt = prompt.map(lambda kv: _repeat(kv, sequences.per_prompt))
            mask, lengths = (x.repeat_interleave(sequences.per_prompt, dim=0) for x in (mask, lengths))
        steps = torch.arange(inputs.shape[1], device=inputs.device)
        # padding repeats the row's last position: beyond it the model may have none
        last = (sequences.lengths - 1).clamp_min(0)[:, None]
        hidden, of_layers = self._decode_layers(
            inputs,
            torch.cat([mask, (steps <= last).long()], dim=1),
            lengths[:, None] + steps.minimum(last),
            branch(prompt, inputs.shape[1]),
            layers,
        )
        width, scored = (
            sequences.tokens.shape[1],
            sequences.mask,
        )  # where nothing is scored, one column was run
        return self._states(
            hidden[:, :width][scored],
            {layer: states[:, :width][scored] for layer, states in of_layers.items()},
        )

    def _run_packed(
        self, several: Sequence[Sequences], packing: Packing, layers: Sequence[int]
    ) -> list[ScoredHiddenStates]:
        width = packing.inputs.shape[1]
        of_prompt = self._mask.bool()[:, None].expand(-1, width, -1)
        hidden, of_layers = self._decode_layers(
            packing.inputs,
            self._parts.attention_mask(torch.cat([of_prompt, packing.visible], dim=2)),
            self._lengths[:, None] + packing.offsets,
            branch(self._prompt(), width),
            layers,
        )

        def states_at(places: Tensor) -> ScoredHiddenStates:
            scored = {
                layer: states.flatten(0, 1).index_select(0, places) for layer, states in of_layers.items()
            }
            return self._states(hidden.flatten(0, 1).index_select(0, places), scored)

        return [
            states_at(places[sequences.mask])
            for sequences, places in zip(several, packing.places, strict=True)
        ]

    def _states(self, rows: Tensor, hidden: dict[int, Tensor]) -> ScoredHiddenStates:
        parts = self._parts
        parameters: list[Tensor] = [p for p in parts.head.parameters() if p.requires_grad]
        return ScoredHiddenStates(
            rows, parts.project, parts.vocabulary, parameters, parts.plain_weight, hidden
        )

    @property
    def rows_at_once(self) -> int | None:
        """See `kdzoo.engine.prompts.generation.Steppable.rows_at_once`."""
        return None

    def start(self, rows: Tensor, beginning: Tensor) -> Stepper:
        """See `kdzoo.engine.prompts.generation.Steppable.start`."""
        return _Branch(self, rows, beginning)

    def _prompt(self) -> KeyValues:
        """The prompt's keys and values for the rows, [B, heads, tokens, head size], in the current grad mode."""
        if torch.is_grad_enabled() and self._trains:
            if self._trained is None:
                self._trained = self._read()
            return self._trained
        if self._frozen_prompt is None:
            if self._trains and self._way.repeatable:
                with torch.enable_grad():
                    self._trained = self._trained or self._read()
                self._frozen_prompt = self._trained.detach()
            else:
                with torch.no_grad():
                    self._frozen_prompt = self._read()
        return self._frozen_prompt

    def _read(self) -> KeyValues:
        """Run over the beginnings once per group, then over the rests of all rows."""
        groups = self._groups
        cache = first_pass()
        width = torch.arange(groups.beginning.shape[1], device=groups.beginning.device)
        # padding stands on the right, where causal attention hides it from the tokens: no mask, the fast kernel
        self._decode(groups.beginning, None, width.expand_as(groups.beginning), cache)
        prompt = KeyValues.of(cache)
        per_row = groups.per_row if torch.is_grad_enabled() else None
        if per_row is None:
            prompt = prompt.repeated(groups.sizes, groups.rest.shape[1] + self._limits.output)
        if groups.rest.shape[1] == 0:
            return prompt if per_row is None else prompt.map(per_row)
        start = groups.per_row(groups.beginning_lengths)
        cache = continued(prompt, groups.rest.shape[1], per_row)
        steps = torch.arange(groups.rest.shape[1], device=start.device)
        positions = start[:, None] + steps.minimum((groups.rest_lengths - 1).clamp_min(0)[:, None])
        self._decode(groups.rest, self._mask, positions, cache)
        return KeyValues.of(cache)

    def _decode(self, tokens: Tensor, mask: Tensor | None, positions: Tensor, cache: Cache) -> Tensor:
        """The last layer's hidden states, [rows, tokens, H]; the cache grows by the tokens."""
        return self._decode_layers(tokens, mask, positions, cache, ())[0]

    def _decode_layers(
        self, tokens: Tensor, mask: Tensor | None, positions: Tensor, cache: Cache, layers: Sequence[int]
    ) -> tuple[Tensor, dict[int, Tensor]]:
        """The same, and those of the layers that are asked for."""
        given = {"input_ids": tokens} if self._embed is None else {"inputs_embeds": self._embed(tokens)}
        with few_copies(tokens.device), self._checkpoints.beside_a_cache(tokens.device):
            output = self._parts.decoder(
                **given,
                attention_mask=mask,
                position_ids=positions,
                cache=cache,
                use_cache=True,
                **asked_for(layers),
            )
        hidden: Tensor = output.last_hidden_state
        of_layers = hidden_states_of(output, layers, len(tokens))
        # a model that is spread over devices may end on another
        return hidden.to(tokens.device), {
            layer: states.to(tokens.device) for layer, states in zip(layers, of_layers, strict=True)
        }


class _Branch:
    """The continuation of some rows. Implements `kdzoo.engine.prompts.generation.Stepper`."""

    def __init__(self, forward: PrefixCachedForward, rows: Tensor, beginning: Tensor) -> None:
        self._forward = forward
        room = forward._limits.output
        self._cache = growing_branch(forward._prompt(), rows, room)
        mask = forward._mask.index_select(0, rows)
        self._columns = mask.shape[1]
        self._mask = torch.cat([mask, mask.new_ones(len(rows), room)], dim=1)
        # what the model has not read yet
        self._tokens = torch.cat([forward._groups.last.index_select(0, rows)[:, None], beginning], dim=1)
        steps = torch.arange(self._tokens.shape[1], device=rows.device)
        self._positions = forward._lengths.index_select(0, rows)[:, None] + steps

    def next_logits(self) -> Tensor:
        self._columns += self._tokens.shape[1]
        mask = self._mask[:, : self._columns]
        hidden = self._forward._decode(self._tokens, mask, self._positions, self._cache)
        return self._forward._parts.project(hidden[:, -1])

    def append(self, tokens: Tensor) -> None:
        self._tokens = tokens[:, None]
        self._positions = self._positions[:, -1:] + 1

    def keep(self, rows: Tensor) -> None:
        keep_rows(self._cache, rows)
        self._mask = self._mask.index_select(0, rows)
        self._positions = self._positions.index_select(0, rows)


def _prompt_mask(groups: PrefixGroups) -> Tensor:
    """Int64 [B, P + S]: 1 where a prompt's token stands, 0 in the padding."""
    device = groups.rest.device
    beginning = torch.arange(groups.beginning.shape[1], device=device) < groups.beginning_lengths[:, None]
    rest = torch.arange(groups.rest.shape[1], device=device) < groups.rest_lengths[:, None]
    return torch.cat([groups.per_row(beginning), rest], dim=1).long()


def _repeat(tensor: Tensor, times: int) -> Tensor:
    """Repeat every row, neighbours together; unlike repeat_interleave, with a fast backward."""
    return tensor.unsqueeze(1).expand(-1, times, *tensor.shape[1:]).reshape(-1, *tensor.shape[1:])
