"""Beam search over a dataset, by transformers' own ``generate``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from peft import PeftModel
from transformers import GenerationConfig, PreTrainedModel

from kdzoo.engine.models.adapters import base_model
from kdzoo.engine.models.decoder_and_head import vocabulary_of
from kdzoo.engine.prompts.batches import EncodedExample
from kdzoo.engine.prompts.full_forward import side_by_side
from kdzoo.engine.prompts.probe.choice import choose_way
from kdzoo.engine.prompts.sampling import SamplingLimits
from kdzoo.engine.prompts.way import Full


def search_all(
    model: PreTrainedModel | PeftModel,
    examples: Sequence[EncodedExample],
    limits: SamplingLimits,
    *,
    role: str,
    beams: int,
    batch_size: int,
) -> Iterator[tuple[int, list[int]]]:
    """Find one sequence per example, yielding (the example's index, token ids without the padding).

    The sequence is the best that a search with so many ``beams`` meets, by the mean log-probability of its tokens in
    the vocabulary of ``limits`` (transformers' ``length_penalty`` 1). ``batch_size`` counts beams: prompts of about one
    length are searched together, padded on the left; by itself each, where the model cannot be padded. Prompts come by
    length, the longest first, so that what is too much for the memory is so at once. ``role`` is what messages call the
    model, which is put in eval mode.
    """
    model.eval()
    order = sorted(examples, key=lambda example: (-len(example.prompt), example.index))
    prompt = max((len(example.prompt) for example in examples), default=0)
    way = choose_way(model, role, prompt=prompt, output=limits.output, sharing="off")
    assert isinstance(way, Full)  # nothing is shared
    size = way.rows_at_once or max(1, batch_size // beams)
    settings = _settings(model, limits, beams, caches=way.caches)
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        for row, ids in zip(rows, _searched(model, [row.prompt for row in rows], settings), strict=True):
            yield row.index, _through_first_end(ids, limits.end_ids)


def _settings(
    model: PreTrainedModel | PeftModel, limits: SamplingLimits, beams: int, *, caches: bool
) -> GenerationConfig:
    unknown = list(range(limits.vocabulary or vocabulary_of(model), vocabulary_of(model)))
    return GenerationConfig(
        max_new_tokens=limits.output,
        do_sample=False,
        num_beams=beams,
        eos_token_id=list(limits.end_ids),
        pad_token_id=limits.end_ids[0],
        # what is left of a distribution without them is one again
        suppress_tokens=unknown or None,
        renormalize_logits=True,
        use_cache=caches,
    )


def _searched(
    model: PreTrainedModel | PeftModel, prompts: Sequence[list[int]], settings: GenerationConfig
) -> list[list[int]]:
    """Token ids after each prompt, with anything behind a first end."""
    device = next(model.parameters()).device
    tokens, mask = side_by_side(
        [torch.tensor(prompt, device=device) for prompt in prompts], padding_side="left"
    )
    with torch.no_grad(), _nothing_preset(model) as inner:
        found = inner.generate(input_ids=tokens, attention_mask=mask.long(), generation_config=settings)
    ids: list[list[int]] = found[:, tokens.shape[1] :].tolist()
    return ids


@contextmanager
def _nothing_preset(model: PreTrainedModel | PeftModel) -> Iterator[PreTrainedModel]:
    """The model without its generation config, which would fill in whatever we leave open.

    A checkpoint may name a repetition penalty, forced or suppressed tokens or a least length there: none of them is
    part of the distribution that a method samples from.
    """
    inner = base_model(model)
    preset, inner.generation_config = inner.generation_config, GenerationConfig()
    try:
        yield inner
    finally:
        inner.generation_config = preset


def _through_first_end(ids: list[int], end_ids: tuple[int, ...]) -> list[int]:
    end = next((place for place, token in enumerate(ids) if token in end_ids), len(ids))
    return ids[: end + 1]
