"""A made-up batch as long as a run's, on which ways of running a model are compared with each row by itself."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import torch
from peft import PeftModel
from torch import Tensor
from transformers import PreTrainedModel

from kdzoo.engine.losses.scored_hidden_states import ScoredHiddenStates
from kdzoo.engine.models.decoder_and_head import vocabulary_of
from kdzoo.engine.models.eval_mode import evaluating
from kdzoo.engine.prompts.full_forward import FullForward
from kdzoo.engine.prompts.prefix_cached import PrefixCachedForward
from kdzoo.engine.prompts.prefix_groups import WORTHWHILE_TOKENS, PrefixGroups, group_by_sizes, group_prefixes
from kdzoo.engine.prompts.probe.rounding import rounding_anew
from kdzoo.engine.prompts.sampling import SamplingLimits
from kdzoo.engine.prompts.way import Full, PrefixCached
from kdzoo.methods.sequences import Sequences, Source

# The tokens of a sequence that are compared: its last ones, which have the most before them.
_COMPARED = 8

Rows = list[Tensor]
"""Float32 [n, V] for each row: what predicts the last tokens of its sequence."""


@dataclass(frozen=True, eq=False)
class Probe:
    """Prompts in groups and one sequence after each; ``pairs`` has another beside it."""

    model: PreTrainedModel | PeftModel
    prompts: list[list[int]]
    groups: tuple[int, ...]
    sequences: Sequences
    pairs: Sequences

    @staticmethod
    def of_run(
        model: PreTrainedModel | PeftModel, prompt: int, output: int, width: int | None = None
    ) -> Probe:
        """Rows as long as a run's longest prompt and sequence, laid out as unevenly as a batch can be.

        A long beginning without a rest stands beside a short beginning with long rests, so that with the sequence a
        row takes ``width`` columns, or as many as it can; and both beside a prompt of almost nothing.
        """
        draw = _tokens_of(model)
        beginning = draw(min(WORTHWHILE_TOKENS, (prompt - 1) // 2))
        alone, rest = prompt - 1, prompt - 1 - len(beginning)
        if width is not None:
            alone = min(alone, width - output - min(rest, (width - output) // 2))
            rest = min(rest, width - output - alone)
        prompts = [
            draw(min(3, prompt)),
            beginning + draw(rest + 1),
            beginning + draw(rest // 2 + 1),
            draw(alone + 1),
        ]
        targets = [draw(min(count, output)) for count in (output, 5, 3, output)]
        others = [draw(min(count, output)) for count in (6, output, 2, 4)]
        return _probe(model, prompts, (1, 2, 1), targets, others)

    @staticmethod
    def across(model: PreTrainedModel | PeftModel, length: int, longest: int) -> Probe:
        """One row whose prompt is just shorter than ``length`` tokens and whose sequence leads beyond.

        It has no more than ``longest`` tokens in all, which are more than ``length``.
        """
        draw = _tokens_of(model)
        prompt = draw(max(1, length - 3))
        count = min(6, longest - len(prompt))
        return _probe(model, [prompt], (1,), [draw(count)], [draw(count)])

    def only(self, *rows: int) -> Probe:
        """Some of the rows, each a group of its own."""
        chosen = torch.tensor(rows, device=self.sequences.tokens.device)
        own, first = self.sequences, chosen * 2
        pairs = torch.stack([first, first + 1], dim=1).flatten()
        return Probe(
            self.model,
            [self.prompts[row] for row in rows],
            (1,) * len(rows),
            Sequences(own.tokens[chosen], own.lengths[chosen], own.sources[chosen]),
            Sequences(self.pairs.tokens[pairs], self.pairs.lengths[pairs], self.pairs.sources[pairs], 2),
        )

    @property
    def grouped(self) -> PrefixGroups:
        """The prompts in the groups of this probe."""
        return group_by_sizes(self.prompts, self.groups)

    @property
    def apart(self) -> PrefixGroups:
        """The prompts without shared beginnings."""
        return group_prefixes(self.prompts, share_beginnings=False)

    def alone(self) -> Rows:
        """Each row by itself, without padding, mask, positions or cache: what every other way must equal."""
        return self._full(rows_at_once=1)

    def alone_rounded_anew(self) -> Rows:
        """The same with every number rounded anew."""
        with rounding_anew(self.model):
            return self.alone()

    def alone_with_another_end(self) -> Rows:
        """The same where the last token of each sequence is another; what predicts it must not know."""
        tokens, last = self.sequences.tokens.clone(), (self.sequences.lengths - 1)[:, None]
        changed = (tokens.gather(1, last) + 1) % (vocabulary_of(self.model) - 1)
        sequences = self.sequences.rewritten(tokens.scatter(1, last, changed), Source.IMPERFECT)
        return Probe(self.model, self.prompts, self.groups, sequences, self.pairs).alone()

    def together(self) -> Rows:
        """All rows in one padded forward pass."""
        return self._full(rows_at_once=None)

    def shared(self, groups: PrefixGroups) -> Rows:
        """All rows, after prompts that are read once."""
        return self._in_eval_mode(self._shared(groups, packs=False), self.sequences)

    def shared_in_training_mode(self) -> Rows:
        """The same with training mode's dropout and noise, but without gradients."""
        modules = list(self.model.modules())
        modes = [module.training for module in modules]
        device = next(self.model.parameters()).device
        devices = [device] if device.type == "cuda" else []
        try:
            for module in modules:
                module.training = True
            with torch.random.fork_rng(devices=devices), torch.no_grad():
                states = self._shared(self.apart, packs=False).run(self.sequences)
                return self._rows(states, self.sequences)
        finally:
            for module, mode in zip(modules, modes, strict=True):
                module.training = mode

    def repeated(self, groups: PrefixGroups) -> Rows:
        """Two sequences after each prompt that is read once, its row repeated."""
        return self._in_eval_mode(self._shared(groups, packs=False), self.pairs)

    def packed(self, groups: PrefixGroups) -> Rows:
        """Two sequences after each prompt that is read once, packed into one row."""
        return self._in_eval_mode(self._shared(groups, packs=True), self.pairs)

    def _full(self, *, rows_at_once: int | None) -> Rows:
        device = self.sequences.tokens.device
        forward = FullForward(self.model, self.prompts, Full(rows_at_once), device=device)
        return self._in_eval_mode(forward, self.sequences)

    def _shared(self, groups: PrefixGroups, *, packs: bool) -> PrefixCachedForward:
        groups = groups.to(self.sequences.tokens.device)
        way = PrefixCached(packs=packs)
        return PrefixCachedForward(self.model, groups, self._limits, way, trains=False)

    @property
    def _limits(self) -> SamplingLimits:
        return SamplingLimits(self.sequences.tokens.shape[1], (0,))

    def _in_eval_mode(self, forward: FullForward | PrefixCachedForward, sequences: Sequences) -> Rows:
        with evaluating(self.model.modules()):
            return self._rows(forward.run(sequences), sequences)

    def _rows(self, states: ScoredHiddenStates, sequences: Sequences) -> Rows:
        mask, lengths = sequences.mask, sequences.lengths
        column = torch.arange(mask.shape[1], device=mask.device)
        with torch.no_grad():
            last = states.only((column >= lengths[:, None] - _COMPARED)[mask])
            logits = last.project(last.rows).float()
        return list(torch.split(logits, lengths.clamp_max(_COMPARED).tolist()))


def _tokens_of(model: PreTrainedModel | PeftModel) -> Callable[[int], list[int]]:
    """Draws so many tokens that the model has."""
    source, last = random.Random(0), vocabulary_of(model) - 1
    return lambda count: [source.randrange(1, last) for _ in range(count)]


def _probe(
    model: PreTrainedModel | PeftModel,
    prompts: list[list[int]],
    groups: tuple[int, ...],
    targets: list[list[int]],
    others: list[list[int]],
) -> Probe:
    # half of each other sequence begins like the target, so that packing has something to put together
    others = [
        [*target[: len(other) // 2], *other[len(target[: len(other) // 2]) :]]
        for target, other in zip(targets, others, strict=True)
    ]
    device = next(model.parameters()).device
    sequences = Sequences.of(targets, Source.GROUND_TRUTH).to(device)
    return Probe(
        model, prompts, groups, sequences, sequences.beside(Sequences.of(others, Source.IMPERFECT).to(device))
    )
