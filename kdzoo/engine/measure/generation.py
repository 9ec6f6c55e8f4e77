"""Generating for many prompts: batched, prompts that begin alike together, results in the order asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from peft import PeftModel
from transformers import PreTrainedModel

from kdzoo.engine.prompts.batches import EncodedExample, make_batch
from kdzoo.engine.prompts.conditioned_model import condition
from kdzoo.engine.prompts.prefix_groups import order_by_prefix
from kdzoo.engine.prompts.probe.choice import choose_way
from kdzoo.engine.prompts.sampling import SamplingLimits
from kdzoo.engine.prompts.way import PrefixCached, Sharing, Way
from kdzoo.methods.randomness import StepGenerator
from kdzoo.methods.sequences import Source


def generate_all(
    model: PreTrainedModel | PeftModel,
    examples: Sequence[EncodedExample],
    limits: SamplingLimits,
    *,
    source: Source,
    batch_size: int,
    temperature: float = 0.0,
    seed: int = 0,
    sharing: Sharing = "on",
    way: Way | None = None,
) -> Iterator[tuple[int, list[int]]]:
    """Generate one sequence per example, yielding (the example's index, token ids without the padding).

    Examples come in the order that shares most, not in the order given. The model is put in eval mode. Greedy unless
    ``temperature`` is set; sampling depends on the seed and the example's index alone. ``way`` is how the model is run, where
    that has been found out before, for prompts and sequences as long as these.
    """
    model.eval()
    device = next(model.parameters()).device
    if way is None:
        longest = max((len(example.prompt) for example in examples), default=0)
        way = choose_way(model, source.name.lower(), prompt=longest, output=limits.output, sharing=sharing)
    ordered = by_prefix(examples)
    for start in range(0, len(ordered), batch_size):
        rows = ordered[start : start + batch_size]
        batch = make_batch(rows, share_beginnings=isinstance(way, PrefixCached)).to(device)
        generator = StepGenerator(seed, 0, batch.examples)
        conditioned = condition(model, batch, limits, generator, source=source, way=way)
        with torch.no_grad():
            generated = conditioned.generate(temperature=temperature)
        for index, tokens, length in zip(
            batch.examples, generated.tokens.tolist(), generated.lengths.tolist(), strict=True
        ):
            yield index, tokens[:length]


def by_prefix(examples: Sequence[EncodedExample]) -> list[EncodedExample]:
    """The examples in the order in which neighbours share most of their prompts."""
    return [examples[i] for i in order_by_prefix([example.prompt for example in examples])]
