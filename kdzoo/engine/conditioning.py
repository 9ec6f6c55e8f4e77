"""Letting a model read a batch's prompts, in the way that it can be run."""

from __future__ import annotations

from peft import PeftModel
from transformers import PreTrainedModel

from kdzoo.engine.batches import Batch
from kdzoo.engine.conditioned import Conditioned
from kdzoo.engine.ordinary import OrdinaryPrompt
from kdzoo.engine.sampling import SamplingLimits
from kdzoo.engine.shared import SharedPrompt
from kdzoo.randomness import StepGenerator
from kdzoo.sequences import Kind


def condition(
    model: PreTrainedModel | PeftModel,
    batch: Batch,
    limits: SamplingLimits,
    generator: StepGenerator,
    *,
    kind: Kind,
    shares: bool,
    trains: bool = False,
    packs: bool = False,
) -> Conditioned:
    """Condition a model on a batch's prompts, shared or each by itself.

    ``kind`` is that of the sequences which it generates; ``trains`` and ``packs`` as in `SharedPrompt`.
    """
    if shares:
        return SharedPrompt(model, batch.layout, limits, generator, kind=kind, trains=trains, packs=packs)
    device = batch.target.tokens.device
    return OrdinaryPrompt(model, batch.prompts, limits, generator, kind=kind, device=device)
