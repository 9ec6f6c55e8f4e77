"""The smallest models that behave like language models, random tables, and what they give after a batch's prompts.

Written for clarity, with plain loops, and independent of the engine: what a method does on these can be
worked out by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from kdzoo.errors import RunError
from kdzoo.methods.earlier_names import earlier_name
from kdzoo.methods.model_arguments import check_chosen, check_generate_arguments, check_labels
from kdzoo.methods.randomness import StepGenerator
from kdzoo.methods.sequences import Sequences
from kdzoo.methods.source import Source
from kdzoo.methods.step import ConditionedModel

VOCABULARY = 12
"""Tokens of the tables' vocabulary: `kdzoo.testing.make_tokenizer` names them."""

LAYERS = 2
"""Layers of a table model."""

_STATES = 61
_CHUNK = 3


class TableModel:
    """A language model whose next-token logits stand in a table, in the row that all tokens before hash to.

    ``table`` is float [61, V], with gradients where the model is trained. It has ``LAYERS`` layers, whose hidden
    states are of size V: the last one's are the logits.
    """

    def __init__(
        self, seed: int, *, vocabulary: int = VOCABULARY, dtype: torch.dtype = torch.float32, trains: bool
    ) -> None:
        generator = torch.Generator().manual_seed(seed)
        table = 2 * torch.randn(_STATES, vocabulary, generator=generator, dtype=torch.float64)
        self.table = table.to(dtype).requires_grad_(trains)

    def frozen(self) -> TableModel:
        """The same model without gradients."""
        copy = object.__new__(TableModel)
        copy.table = self.table.detach()
        return copy

    def next_logits(self, prompt: int, prefix: Sequence[int]) -> Tensor:
        """Logits [V] of the token that follows ``prefix`` after the prompt of that number."""
        state = prompt
        for token in prefix:
            state = 31 * state + token + 1
        return self.table[state % _STATES]

    def hidden_states(self, prompt: int, prefix: Sequence[int]) -> list[Tensor]:
        """``LAYERS`` + 1 vectors [V]: the embedding, which is that of the last token alone, and each layer's output.

        The layers lead from the embedding to the logits in equal steps.
        """
        embedding = self.table[(prefix[-1] + 1 if prefix else prompt) % _STATES]
        logits = self.next_logits(prompt, prefix)
        return [torch.lerp(embedding, logits, n / LAYERS) for n in range(LAYERS + 1)]


class ConditionedTable:
    """A table model that has read a batch's prompts (here: numbers). Implements `kdzoo.ConditionedModel`."""

    @earlier_name("kind", "source")
    def __init__(
        self,
        model: TableModel,
        prompts: Sequence[int],
        generator: StepGenerator,
        *,
        source: Source,
        end: int,
        output_limit: int,
    ) -> None:
        self.model = model
        self._prompts = list(prompts)
        self._generator = generator
        self._source = source
        self._end = end
        self._output_limit = output_limit

    def logits(self, sequences: Sequences) -> Tensor:
        """See `kdzoo.ConditionedModel.logits`."""
        rows, width = sequences.tokens.shape
        nothing = torch.zeros_like(self.model.table[0])
        found = []
        for row in range(rows):
            prompt, tokens = self._prompts[row // sequences.per_prompt], sequences.tokens[row].tolist()
            length = int(sequences.lengths[row])
            found += [self.model.next_logits(prompt, tokens[:t]) for t in range(length)]
            found += [nothing] * (width - length)
        return torch.stack(found).reshape(rows, width, -1) if found else nothing.expand(rows, width, -1)

    def per_token(
        self,
        sequences: Sequences,
        function: Callable[..., Tensor],
        inputs: Tensor | None = None,
        where: Tensor | None = None,
    ) -> Tensor:
        """See `kdzoo.ConditionedModel.per_token`."""
        mask = sequences.mask if where is None else sequences.mask & where
        with torch.no_grad():
            logits = self.logits(sequences)[mask]
            given = () if inputs is None else (inputs[mask],)
            parts = []
            for start in range(0, max(1, len(logits)), _CHUNK):
                part = slice(start, start + _CHUNK)
                parts.append(function(logits[part], *(values[part] for values in given)))
            values = torch.cat(parts)
        found = values.new_zeros(*mask.shape, *values.shape[1:])
        found[mask] = values
        return found

    def log_probs(self, sequences: Sequences, labels: Sequences | None = None) -> Tensor:
        """See `kdzoo.ConditionedModel.log_probs`."""
        if labels is not None:
            check_labels(sequences, labels)
        found = torch.zeros(sequences.tokens.shape)
        for row, length in enumerate(sequences.lengths.tolist()):
            tokens = sequences.tokens[row].tolist()
            for t in range(length):
                logits = self.model.next_logits(self._prompts[row // sequences.per_prompt], tokens[:t])
                label = (labels or sequences).tokens[row, t]
                found[row, t] = logits[label] - logits.logsumexp(0)
        return found

    def cross_entropy(self, sequences: Sequences, labels: Sequences | None = None) -> Tensor:
        """See `kdzoo.ConditionedModel.cross_entropy`."""
        if labels is not None:
            check_labels(sequences, labels)
        ids = (labels or sequences).tokens[sequences.mask]
        log_q = self.logits(sequences)[sequences.mask].log_softmax(-1)
        return -log_q.gather(1, ids[:, None]).sum() / max(1, len(ids))

    def hidden(self, sequences: Sequences, layers: Sequence[int]) -> list[Tensor]:
        """See `kdzoo.ConditionedModel.hidden`."""
        for layer in layers:
            if not -LAYERS - 1 <= layer <= LAYERS:
                raise RunError(f"hidden: there is no layer {layer}; the model has 0 to {LAYERS}")
        found = []
        for layer in layers:
            states = self.model.table.new_zeros(*sequences.tokens.shape, self.model.table.shape[1])
            for row, length in enumerate(sequences.lengths.tolist()):
                prompt, tokens = self._prompts[row // sequences.per_prompt], sequences.tokens[row].tolist()
                for t in range(length):
                    states[row, t] = self.model.hidden_states(prompt, tokens[:t])[layer]
            found.append(states)
        return found

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
        """See `kdzoo.ConditionedModel.generate`."""
        check_generate_arguments(
            prompts=len(self._prompts),
            output_limit=self._output_limit,
            temperature=temperature,
            prefix=prefix,
            beside=beside,
            choose=choose,
            draws=draws,
        )
        if beside is not None and not isinstance(beside, ConditionedTable):
            raise RunError("generate: beside must be a model of the same step, conditioned on the same batch")
        models = [self] if beside is None else [self, beside]
        numbers = None
        if choose is not None or temperature:
            numbers = self._generator.per_row(self._output_limit * draws)
        generated = []
        for row in range(len(self._prompts)):
            wanted = rows is None or bool(rows[row])
            tokens: list[int] = []
            if prefix is not None and wanted:
                tokens = prefix.tokens[row, : int(prefix.lengths[row])].tolist()
            while wanted and len(tokens) < self._output_limit and self._end not in tokens:
                uniform = None
                if numbers is not None:
                    uniform = numbers[row, len(tokens) * draws : (len(tokens) + 1) * draws]
                logits = [model.model.next_logits(model._prompts[row], tokens).detach() for model in models]
                if choose is None:
                    tokens.append(_sample(logits[0].double(), temperature, uniform))
                else:
                    assert uniform is not None
                    chosen = choose(*(one[None] for one in logits), uniform[None])
                    check_chosen(chosen, 1)
                    tokens.append(int(chosen))
            generated.append(tokens)
        return Sequences.of(generated, self._source)


def _sample(logits: Tensor, temperature: float, uniform: Tensor | None) -> int:
    """Sample from logits [V] by a uniform number [1], or take the most probable where there is none."""
    if uniform is None:
        return int(logits.argmax())
    cumulative = ((logits - logits.max()) / temperature).softmax(-1).cumsum(-1)
    return int((cumulative <= float(uniform) * float(cumulative[-1])).sum())
