"""The tokens that end a generated sequence: the tokenizer's, and those of the models' generation configurations."""

from __future__ import annotations

from peft import PeftModel
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from kdzoo.engine.models.adapters import base_model
from kdzoo.engine.models.plain_text import special_tokens


def end_ids(
    tokenizer: PreTrainedTokenizerBase,
    *models: PreTrainedModel | PeftModel,
    end_of_turn: int | None = None,
) -> tuple[int, ...]:
    """The ids that end what any of the models generates: that of a chat's turn, if there is one, and the tokenizer's own first.

    Instruct models end a turn and a text with different tokens, and may name both. An id that stands for ordinary text
    is no end: such come from the defaults of architectures, which know nothing of the tokenizer.
    """
    own: int = tokenizer.eos_token_id
    first = (own,) if end_of_turn in (None, own) else (end_of_turn, own)
    named = {number for model in models for number in _named(model)}
    return *first, *sorted(
        number for number in named.difference(first) if number in special_tokens(tokenizer)
    )


def ending_at(model: PreTrainedModel | PeftModel, ends: tuple[int, ...], pad: int | None) -> GenerationConfig:
    """A generation configuration under which plain ``generate`` says what an evaluation here does: greedily, to ``ends``.

    What else the checkpoint's own says (sampling, penalties) was not in force when the model was trained. What would
    change the most probable token is set to what does not, or an adapter's base would bring its own in again.
    """
    return GenerationConfig(
        bos_token_id=_generation(model).bos_token_id,
        eos_token_id=list(ends),
        pad_token_id=ends[0] if pad is None else pad,
        do_sample=False,
        num_beams=1,
        repetition_penalty=1.0,
        no_repeat_ngram_size=0,
        min_length=0,
    )


def _named(model: PreTrainedModel | PeftModel) -> list[int]:
    ids = _generation(model).eos_token_id
    return [] if ids is None else ids if isinstance(ids, list) else [ids]


def _generation(model: PreTrainedModel | PeftModel) -> GenerationConfig:
    inner = base_model(model)
    return inner.generation_config or GenerationConfig.from_model_config(inner.config)
