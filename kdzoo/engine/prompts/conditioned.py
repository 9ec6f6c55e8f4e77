"""What the two ways of computing (shared prompt or ordinary) have in common: losses over scored tokens."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor

from kdzoo.engine.losses.scored_hidden_states import ScoredHiddenStates, map_tokens, sum_of_cross_entropies
from kdzoo.engine.models.eval_mode import evaluating
from kdzoo.engine.prompts.sampling import SamplingLimits
from kdzoo.methods.randomness import StepGenerator
from kdzoo.methods.sequences import Sequences


class ModelOnPrompts(ABC):
    """A model that has read a batch's prompts. Implements `kdzoo.methods.step.ConditionedModel`.

    Results of `states` with gradients are kept for as long as this object lives, so that a divergence and an
    MLE loss on the same sequences run the model once.
    """

    def __init__(self, model: torch.nn.Module, limits: SamplingLimits, generator: StepGenerator) -> None:
        self.model = model
        self.limits = limits
        self.generator = generator
        # listed once: a mode is switched several times a step, and walking a model takes longer than switching it
        self._modules = tuple(model.modules())
        self._kept: dict[int, tuple[Sequences, ScoredHiddenStates]] = {}
        self._together: tuple[Sequences, ...] = ()

    @abstractmethod
    def _run(self, sequences: Sequences) -> ScoredHiddenStates:
        """Run the model over the sequences in the current grad mode and train/eval mode."""

    def _run_all(self, group: Sequence[Sequences]) -> list[ScoredHiddenStates]:
        """The same for several batches of sequences over the same prompts."""
        return [self._run(sequences) for sequences in group]

    @abstractmethod
    def generate(self, *, temperature: float = 1.0, rows: Tensor | None = None) -> Sequences:
        """See `kdzoo.methods.step.ConditionedModel.generate`."""

    def score_together(self, *group: Sequences) -> None:
        """Say that all of these will be scored with gradients: the first use of one runs the model over all."""
        self._together = tuple({id(one): one for one in group}.values())

    def states(self, sequences: Sequences) -> ScoredHiddenStates:
        """Run the model over the sequences (once, where gradients are wanted) and give all scored tokens."""
        if not torch.is_grad_enabled():
            return self.eval_states(sequences)
        if id(sequences) not in self._kept:
            expected = any(one is sequences for one in self._together)
            group = self._together if expected else (sequences,)
            for one, states in zip(group, self._run_all(group), strict=True):
                self._kept[id(one)] = (one, states)
        return self._kept[id(sequences)][1]

    def eval_states(self, sequences: Sequences) -> ScoredHiddenStates:
        """The same in eval mode and without gradients."""
        with self._frozen():
            return self._run(sequences)

    def logits(self, sequences: Sequences) -> Tensor:
        """See `kdzoo.methods.step.ConditionedModel.logits`."""
        states = self.states(sequences)
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
        with self._frozen():
            states = self._run(sequences)
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
        states = self.states(sequences)
        return sum_of_cross_entropies(states, ids) / max(1, len(states))

    def _frozen(self) -> AbstractContextManager[None]:
        """No gradients, no dropout."""
        return evaluating(self._modules)
