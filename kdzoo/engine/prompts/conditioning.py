"""Letting a model read a batch's prompts, in the way that it can be run."""

from __future__ import annotations

from peft import PeftModel
from transformers import PreTrainedModel

from kdzoo.engine.prompts.batches import Batch
from kdzoo.engine.prompts.conditioned import ModelOnPrompts
from kdzoo.engine.prompts.full_forward import FullForward
from kdzoo.engine.prompts.prefix_cached import PrefixCachedForward
from kdzoo.engine.prompts.prefix_groups import group_prefixes
from kdzoo.engine.prompts.sampling import SamplingLimits
from kdzoo.engine.prompts.way import Ordinary, Way
from kdzoo.methods.randomness import StepGenerator
from kdzoo.methods.sequences import Kind


def condition(
    model: PreTrainedModel | PeftModel,
    batch: Batch,
    limits: SamplingLimits,
    generator: StepGenerator,
    *,
    kind: Kind,
    way: Way,
    trains: bool = False,
) -> ModelOnPrompts:
    """Condition a model on a batch's prompts.

    ``kind`` is that of the sequences which it generates; ``trains`` as in `PrefixCachedForward`.
    """
    device = batch.target.tokens.device
    if isinstance(way, Ordinary):
        return FullForward(
            model,
            batch.prompts,
            limits,
            generator,
            kind=kind,
            device=device,
            rows_at_once=way.rows_at_once,
            caches=way.caches,
        )
    layout = batch.layout
    if not way.fits(layout, limits.output):
        layout = group_prefixes(batch.prompts, share_beginnings=False).to(device)
    return PrefixCachedForward(
        model,
        layout,
        limits,
        generator,
        kind=kind,
        trains=trains,
        packs=way.packs,
        widest=way.widest,
        repeatable=way.repeatable,
    )
