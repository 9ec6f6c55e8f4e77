"""A model that has read a batch's prompts: what plugins and measurements ask of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from peft import PeftModel
from torch import Tensor
from transformers import PreTrainedModel

from kdzoo.engine.losses.scored_hidden_states import ScoredHiddenStates, map_tokens, sum_of_cross_entropies
from kdzoo.engine.models.eval_mode import evaluating
from kdzoo.engine.prompts.batches import Batch
from kdzoo.engine.prompts.full_forward import FullForward
from kdzoo.engine.prompts.prefix_cached import PrefixCachedForward
from kdzoo.engine.prompts.prefix_groups import group_prefixes
from kdzoo.engine.prompts.sampling import SamplingLimits
from kdzoo.engine.prompts.way import Full, Way
from kdzoo.methods.randomness import StepGenerator
from kdzoo.methods.sequences import Sequences, Source


def condition(
    model: PreTrainedModel | PeftModel,
    batch: Batch,
    limits: SamplingLimits,
    generator: StepGenerator,
    *,
    source: Source,
    way: Way,
    trains: bool = False,
) -> ModelOnPrompts:
    """Condition a model on a batch's prompts.

    ``source`` is that of the sequences which it generates; ``way`` the one that `choose_way` has found for the model;
    ``trains`` says that it will be run with gradients.
    """
    if isinstance(way, Full):
        device = batch.target.tokens.device
        forward: Forward = FullForward(model, batch.prompts, limits, way, source=source, device=device)
    else:
        groups = batch.prefix_groups
        if not way.fits(groups, limits.output):
            groups = group_prefixes(batch.prompts, share_beginnings=False).to(groups.last.device)
        forward = PrefixCachedForward(model, groups, limits, way, source=source, trains=trains)
    return ModelOnPrompts(model, forward, limits, generator)


class Forward(Protocol):
    """One of the two ways to run a model after a batch of prompts, in the current grad mode and train/eval mode."""

    def run(self, sequences: Sequences) -> ScoredHiddenStates:
        """Run the model over sequences after the prompts."""
        ...

    def run_together(self, several: Sequence[Sequences]) -> list[ScoredHiddenStates]:
        """The same for several batches of sequences over the same prompts."""
        ...

    def generate(self, temperature: float, uniform: Tensor | None, rows: Tensor | None) -> Sequences:
        """Continue the prompts, or those marked in ``rows`` (bool [B]); ``uniform`` float [B, output limit] or None."""
        ...


class ModelOnPrompts:
    """A model that has read a batch's prompts. Implements `kdzoo.methods.step.ConditionedModel`.

    Results of `scored_states` with gradients are kept for as long as this object lives, so that a divergence and an
    MLE loss on the same sequences run the model once.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        forward: Forward,
        limits: SamplingLimits,
        generator: StepGenerator,
    ) -> None:
        self.limits = limits
        self._forward = forward
        self._generator = generator
        # listed once: a mode is switched several times a step, and walking a model takes longer than switching it
        self._modules = tuple(model.modules())
        self._kept: dict[int, tuple[Sequences, ScoredHiddenStates]] = {}
        self._together: tuple[Sequences, ...] = ()

    def score_together(self, *several: Sequences) -> None:
        """Say that all of these will be scored with gradients: the first use of one runs the model over all."""
        self._together = tuple({id(one): one for one in several}.values())

    def scored_states(self, sequences: Sequences) -> ScoredHiddenStates:
        """Run the model over the sequences (once, where gradients are wanted) and give all scored tokens."""
        if not torch.is_grad_enabled():
            return self.eval_states(sequences)
        if id(sequences) not in self._kept:
            expected = any(one is sequences for one in self._together)
            several = self._together if expected else (sequences,)
            for one, states in zip(several, self._forward.run_together(several), strict=True):
                self._kept[id(one)] = (one, states)
        return self._kept[id(sequences)][1]

    def eval_states(self, sequences: Sequences) -> ScoredHiddenStates:
        """The same in eval mode and without gradients."""
        with evaluating(self._modules):
            return self._forward.run(sequences)

    def logits(self, sequences: Sequences) -> Tensor:
        """See `kdzoo.methods.step.ConditionedModel.logits`."""
        states = self.scored_states(sequences)
        scored = states.project(states.rows)[:, : self.limits.vocabulary]
        logits = scored.new_zeros(*sequences.tokens.shape, scored.shape[-1])
        return logits.masked_scatter(sequences.mask[..., None], scored)

    def per_token(
        self,
        sequences: Sequences,
        function: Callable[..., Tensor],
        inputs: Tensor | None = None,
        where: Tensor | None = None,
    ) -> Tensor:
        """See `kdzoo.methods.step.ConditionedModel.per_token`."""
        scored = sequences.mask
        mask = scored if where is None else scored & where.to(scored.device)
        given = None if inputs is None else inputs.to(mask.device)[mask]
        with evaluating(self._modules):
            states = self._forward.run(sequences)
            if where is not None:
                states = states.only(mask[scored])
            known = slice(self.limits.vocabulary)
            if given is None:
                values = map_tokens(states, lambda logits, part: function(logits[:, known]))
            else:
                values = map_tokens(states, lambda logits, part: function(logits[:, known], given[part]))
        return values.new_zeros(mask.shape).masked_scatter(mask, values)

    def cross_entropy(self, sequences: Sequences, labels: Sequences | None = None) -> Tensor:
        """See `kdzoo.methods.step.ConditionedModel.cross_entropy`."""
        ids = (labels or sequences).tokens[sequences.mask]
        states = self.scored_states(sequences)
        return sum_of_cross_entropies(states, ids) / max(1, len(states))

    def generate(self, *, temperature: float = 1.0, rows: Tensor | None = None) -> Sequences:
        """See `kdzoo.methods.step.ConditionedModel.generate`."""
        uniform = None if temperature == 0 else self._generator.per_row(self.limits.output)
        with evaluating(self._modules):
            return self._forward.generate(temperature, uniform, rows)
