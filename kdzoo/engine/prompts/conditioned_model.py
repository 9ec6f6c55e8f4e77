"""A model that has read a batch's prompts: what plugins and measurements ask of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple, Protocol

import torch
from peft import PeftModel
from torch import Tensor
from transformers import PreTrainedModel

from kdzoo.engine.losses.scored_hidden_states import (
    ScoredHiddenStates,
    log_probabilities,
    map_tokens,
    sum_of_cross_entropies,
)
from kdzoo.engine.models.eval_mode import evaluating
from kdzoo.engine.models.sharding import gathered
from kdzoo.engine.prompts.batches import Batch
from kdzoo.engine.prompts.forward_within import Block, ForwardWithin
from kdzoo.engine.prompts.full_forward import FullForward
from kdzoo.engine.prompts.generation import Steppable, choosing, generate, sampling
from kdzoo.engine.prompts.prefix_cached import PrefixCachedForward
from kdzoo.engine.prompts.prefix_groups import group_prefixes
from kdzoo.engine.prompts.sampling import SamplingLimits
from kdzoo.engine.prompts.way import Full, Way
from kdzoo.errors import RunError
from kdzoo.methods.model_arguments import check_generate_arguments, check_labels
from kdzoo.methods.randomness import StepGenerator
from kdzoo.methods.sequences import Sequences, Source
from kdzoo.methods.step import ConditionedModel


def condition(
    model: PreTrainedModel | PeftModel,
    batch: Batch,
    limits: SamplingLimits,
    generator: StepGenerator,
    *,
    source: Source,
    way: Way,
    trains: bool = False,
    block: Block | None = None,
) -> ModelOnPrompts:
    """Condition a model on a batch's prompts.

    ``source`` is that of the sequences which it generates; ``way`` the one that `choose_way` has found for the model;
    ``trains`` says that it will be run with gradients. With a ``block`` it is run within such, and not with gradients.
    """
    if isinstance(way, Full):
        device = batch.target.tokens.device
        forward: Forward = FullForward(model, batch.prompts, way, device=device)
    else:
        groups = batch.prefix_groups
        if not way.fits(groups, limits.output):
            groups = group_prefixes(batch.prompts, share_beginnings=False).to(groups.last.device)
        if way.in_step:
            groups = groups.with_rests()
        forward = PrefixCachedForward(model, groups, limits, way, trains=trains)
    if block is not None:
        forward = ForwardWithin(forward, block)
    return ModelOnPrompts(model, forward, batch, limits, generator, source=source, trains=trains)


class Forward(Steppable, Protocol):
    """One of the two ways to run a model after a batch of prompts, in the current grad mode and train/eval mode."""

    def run(self, sequences: Sequences, layers: Sequence[int] = ()) -> ScoredHiddenStates:
        """Run the model over sequences after the prompts, and keep the hidden states of these layers too."""
        ...

    def run_together(
        self, several: Sequence[Sequences], layers: Sequence[int] = ()
    ) -> list[ScoredHiddenStates]:
        """The same for several batches of sequences over the same prompts."""
        ...

    def read_prompts(self) -> None:
        """Read the prompts now, where they are read apart from what follows them."""
        ...


class ModelOnPrompts:
    """A model that has read a batch's prompts. Implements `kdzoo.methods.step.ConditionedModel`.

    Results of `scored_states` with gradients are kept for as long as this object lives, so that a divergence and an
    MLE loss on the same sequences run the model once; so are those without, where hidden states are to be captured.
    ``trains``: it may be run with gradients; otherwise it is in eval mode and without, whatever the caller's mode.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        forward: Forward,
        batch: Batch,
        limits: SamplingLimits,
        generator: StepGenerator,
        *,
        source: Source,
        trains: bool,
    ) -> None:
        self.limits = limits
        self._forward = forward
        self._generator = generator
        self._prompts = len(batch.prompts)
        self._device = batch.target.tokens.device
        self._source = source
        self._trains = trains
        # listed once: a mode is switched several times a step, and walking a model takes longer than switching it
        self._modules = tuple(model.modules())
        self._kept: dict[int, _Kept] = {}
        self._kept_in_eval: dict[int, _Kept] = {}
        self._together: tuple[Sequences, ...] = ()
        self._layers: tuple[int, ...] = ()

    def score_together(self, *several: Sequences) -> None:
        """Say that all of these will be scored with gradients: the first use of one runs the model over all."""
        self._together = tuple({id(one): one for one in several}.values())

    def read_prompts(self) -> None:
        """Read the prompts now, where they are read apart from the sequences and have not been."""
        self._forward.read_prompts()

    def capture(self, *layers: int) -> None:
        """Say that `hidden` will be asked for these layers: every run from now on keeps their hidden states."""
        self._layers = tuple(dict.fromkeys((*self._layers, *layers)))

    def scored_states(self, sequences: Sequences) -> ScoredHiddenStates:
        """Run the model over the sequences (once, where gradients are wanted) and give all scored tokens."""
        if not self._has_gradients:
            return self.eval_states(sequences)
        if id(sequences) not in self._kept:
            expected = any(one is sequences for one in self._together)
            several = self._together if expected else (sequences,)
            for one, states in zip(several, self._forward.run_together(several, self._layers), strict=True):
                self._kept[id(one)] = _Kept(one, states)
        return self._kept[id(sequences)].states

    def eval_states(self, sequences: Sequences) -> ScoredHiddenStates:
        """The same in eval mode and without gradients; once, where layers are captured."""
        if id(sequences) in self._kept_in_eval:
            return self._kept_in_eval[id(sequences)].states
        with evaluating(self._modules):
            states = self._forward.run(sequences, self._layers)
        if self._layers:
            self._kept_in_eval[id(sequences)] = _Kept(sequences, states)
        return states

    def eval_logits(self, states: ScoredHiddenStates, part: slice) -> Tensor:
        """Logits [n, V] of a part of what `eval_states` gave, in eval mode and without gradients too."""
        with evaluating(self._modules):
            return states.logits(part)

    def hidden(self, sequences: Sequences, layers: Sequence[int]) -> list[Tensor]:
        """See `kdzoo.methods.step.ConditionedModel.hidden`."""
        self.capture(*layers)
        states = self.scored_states(sequences)
        if not set(layers) <= states.hidden.keys():
            # it was run before anyone asked for these layers
            (self._kept if self._has_gradients else self._kept_in_eval).pop(id(sequences))
            states = self.scored_states(sequences)
        mask = sequences.mask[..., None]
        return [
            rows.new_zeros(*sequences.tokens.shape, rows.shape[-1]).masked_scatter(mask, rows)
            for rows in (states.hidden[layer] for layer in layers)
        ]

    @property
    def _has_gradients(self) -> bool:
        return self._trains and torch.is_grad_enabled()

    def _mode(self) -> AbstractContextManager[None]:
        """The mode that the model is in: what it was run in, its projection is to be in too."""
        return nullcontext() if self._has_gradients else evaluating(self._modules)

    def logits(self, sequences: Sequences) -> Tensor:
        """See `kdzoo.methods.step.ConditionedModel.logits`."""
        states = self.scored_states(sequences)
        with self._mode():
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
            states = self.eval_states(sequences)
            if where is not None:
                states = states.only(mask[scored])
            known = slice(self.limits.vocabulary)
            if given is None:
                values = map_tokens(states, lambda logits, part: function(logits[:, known]))
            else:
                values = map_tokens(states, lambda logits, part: function(logits[:, known], given[part]))
        found = values.new_zeros(*mask.shape, *values.shape[1:])
        found[mask] = values
        return found

    def log_probs(self, sequences: Sequences, labels: Sequences | None = None) -> Tensor:
        """See `kdzoo.methods.step.ConditionedModel.log_probs`."""
        mask = sequences.mask
        ids = _label_ids(sequences, labels)
        states = self.scored_states(sequences)
        with self._mode():
            values = log_probabilities(states, ids, self.limits.vocabulary)
        return values.new_zeros(mask.shape).masked_scatter(mask, values)

    def cross_entropy(self, sequences: Sequences, labels: Sequences | None = None) -> Tensor:
        """See `kdzoo.methods.step.ConditionedModel.cross_entropy`."""
        ids = _label_ids(sequences, labels)
        states = self.scored_states(sequences)
        with self._mode():
            return sum_of_cross_entropies(states, ids) / max(1, len(states))

    def generate(
        self,
        *,
        temperature: float = 1.0,
        rows: Tensor | None = None,
        prefix: Sequences | None = None,
        beside: ConditionedModel | None = None,
        choose: Callable[..., Tensor] | None = None,
        draws: int = 1,
    ) -> Sequences:
        """See `kdzoo.methods.step.ConditionedModel.generate`."""
        check_generate_arguments(
            prompts=self._prompts,
            output_limit=self.limits.output,
            temperature=temperature,
            prefix=prefix,
            beside=beside,
            choose=choose,
            draws=draws,
        )
        models = [self] if beside is None else [self, self._beside(beside)]
        if choose is None:
            pick = sampling(temperature, None if temperature == 0 else self._uniform(draws))
        else:
            pick = choosing(choose, self._uniform(draws))
        every = torch.ones(self._prompts, dtype=torch.bool, device=self._device)
        modules = [module for model in models for module in model._modules]
        # processes may generate sequences of different lengths
        with evaluating(modules), gathered(modules):
            tokens, lengths = generate(
                [model._forward for model in models],
                pick,
                self.limits,
                every if rows is None else rows.to(self._device),
                None if prefix is None else prefix.to(self._device),
            )
        longest = int(lengths.max()) if self._prompts else 0
        return Sequences(tokens[:, :longest], lengths, torch.full_like(lengths, int(self._source)))

    def _uniform(self, draws: int) -> Tensor:
        """Float32 [B, output limit, draws]: each row's own numbers for each of its tokens."""
        numbers = self._generator.per_row(self.limits.output * draws)
        return numbers.to(self._device).reshape(-1, self.limits.output, draws)

    def _beside(self, other: ConditionedModel) -> ModelOnPrompts:
        """The other model, if it can read the same tokens after as many prompts.

        Raises:
            RunError: it is no model of this step.
        """
        if (
            not isinstance(other, ModelOnPrompts)
            or other._prompts != self._prompts
            or other.limits != self.limits
        ):
            raise RunError("generate: beside must be a model of the same step, conditioned on the same batch")
        return other


class _Kept(NamedTuple):
    """``sequences`` stand here too, so that no others get their identity meanwhile."""

    sequences: Sequences
    states: ScoredHiddenStates


def _label_ids(sequences: Sequences, labels: Sequences | None) -> Tensor:
    """Int64 [N]: the label of each scored token."""
    if labels is None:
        labels = sequences
    elif labels is not sequences:
        check_labels(sequences, labels)
    return labels.tokens[sequences.mask]
