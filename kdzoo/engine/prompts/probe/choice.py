"""The way in which a model is run, found out by trying."""

from __future__ import annotations

import logging
from collections.abc import Hashable

from peft import PeftModel
from transformers import PreTrainedModel

from kdzoo.engine.prompts.probe.likeness import likeness
from kdzoo.engine.prompts.probe.trial import Found, Trial, class_name
from kdzoo.engine.prompts.way import Sharing, Way

logger = logging.getLogger(__name__)

# The prompt that is tried where none is known.
_SOME_PROMPT = 24

_found: dict[Hashable, Found] = {}


def choose_way(
    model: PreTrainedModel | PeftModel,
    role: str,
    *,
    prompt: int,
    output: int,
    sharing: Sharing = "on",
    trains: bool = False,
) -> Way:
    """Find the way in which a model gives each row what the row has alone, and log where it is a slower one.

    ``role`` is what the log calls the model. ``prompt`` and ``output`` are the tokens of the run's longest prompt and
    sequence: a made-up batch of such rows is computed in each way and compared with each row by itself, and so are
    rows that cross each length of the configuration. ``trains``: the model will be run with gradients.

    A way depends on how a model is made and not on its weights: what was found for one is kept for others of this process
    that are made alike.

    Raises:
        UserError: the model cannot be run by itself, or what it gives depends on what it has been run on before, or
            on tokens that come later.
    """
    prompt = prompt or _SOME_PROMPT
    made = likeness(model)
    key = (made, prompt, output, sharing, trains)
    found = None if made is None else _found.get(key)
    if found is None:
        found = Trial(model, role, prompt, output, trains).found(sharing)
        if made is not None:
            _found[key] = found
    if found.faults:
        logger.warning("the %s (%s) is computed %s", role, class_name(model), ", ".join(found.faults))
    return found.way
