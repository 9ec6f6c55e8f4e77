"""Whether a model can continue from a prompt's key-value cache, found out by trying."""

from __future__ import annotations

import torch
from peft import PeftModel
from torch import nn
from transformers import PreTrainedModel

from kdzoo.engine.anatomy import Anatomy, evaluating
from kdzoo.engine.layout import lay_out
from kdzoo.engine.ordinary import OrdinaryPrompt
from kdzoo.engine.sampling import SamplingLimits
from kdzoo.engine.shared import SharedPrompt
from kdzoo.randomness import StepGenerator
from kdzoo.sequences import Kind, Sequences


def why_not_shared(model: PreTrainedModel | PeftModel, longest: int, *, trains: bool) -> str | None:
    """Give the reason why this model must be run in the ordinary way, or None.

    ``longest`` is the most tokens that prompt and target take together. Besides the settings that are known to
    forbid sharing, a short made-up batch is computed in both ways and compared, which finds every architecture whose
    cache, positions or projection differ from what sharing assumes.
    """
    if trains and any(getattr(m, "gradient_checkpointing", False) for m in model.modules()):
        return "gradient checkpointing recomputes the prompt and keeps no key-value cache"
    config = model.config.get_text_config()
    window = getattr(config, "sliding_window", None)
    if window is not None and getattr(config, "use_sliding_window", True) and window < longest:
        return f"its attention looks back {window} tokens, less than the {longest} of prompt and target"
    try:
        anatomy = Anatomy.of(model)
        return _compare(model, anatomy)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # an architecture that was not made for this may raise anything
        return (
            f"its architecture does not allow it ({type(error).__name__}: {str(error).splitlines()[0][:200]})"
        )


def _compare(model: nn.Module, anatomy: Anatomy) -> str | None:
    device = next(model.parameters()).device
    last = anatomy.vocabulary - 1
    prompts = [
        [i % last for i in range(1, 20)] + [3 % last, 5 % last],
        [i % last for i in range(1, 20)],
        [2 % last] * 3,
    ]
    sequences = Sequences.of(
        [[4 % last, 6 % last, 1 % last], [7 % last], [8 % last, 9 % last]], Kind.GROUND_TRUTH
    )
    sequences = sequences.to(device)
    limits, generator = SamplingLimits(4, (0,)), StepGenerator(0, 0, range(3))
    layout = lay_out(prompts, share_beginnings=True).to(device)
    with evaluating(model):
        shared = SharedPrompt(model, layout, limits, generator, kind=Kind.STUDENT, trains=False)
        ordinary = OrdinaryPrompt(model, prompts, limits, generator, kind=Kind.STUDENT, device=device)
        ours, theirs = (
            features.project(features.rows).float()
            for features in (shared.eval_features(sequences), ordinary.eval_features(sequences))
        )
    if ours.shape != theirs.shape:
        return "its logits come from more than the hidden states of the last layer"
    difference = float((ours - theirs).norm() / theirs.norm().clamp_min(1e-12))
    precise = next(model.parameters()).dtype in (torch.float32, torch.float64)
    if not difference <= (1e-4 if precise else 0.1):
        return f"its logits differ when the prompt is shared (relative {difference:.1e})"
    return None
