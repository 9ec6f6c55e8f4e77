"""Whether a model can continue from a prompt's key-value cache, and in what way, found out by trying."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import PreTrainedModel

from kdzoo.engine.anatomy import Anatomy, evaluating
from kdzoo.engine.conditioned import Conditioned
from kdzoo.engine.layout import lay_out
from kdzoo.engine.ordinary import OrdinaryPrompt
from kdzoo.engine.sampling import SamplingLimits
from kdzoo.engine.shared import SharedPrompt
from kdzoo.randomness import StepGenerator
from kdzoo.sequences import Kind, Sequences

logger = logging.getLogger(__name__)


def shares_prompts(
    model: PreTrainedModel | PeftModel, role: str, longest: int, *, trains: bool = False
) -> bool:
    """Say whether a model can be run with shared prompts, and log the reason if it cannot.

    ``role`` is what the log calls the model; the rest as in `why_not_shared`.
    """
    reason = why_not_shared(model, longest, trains=trains)
    if reason is not None:
        logger.warning("the %s is computed without prompt sharing: %s", role, reason)
    return reason is None


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
        return _compare(model)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # an architecture that was not made for this may raise anything
        return (
            f"its architecture does not allow it ({type(error).__name__}: {str(error).splitlines()[0][:200]})"
        )


def can_pack(model: PreTrainedModel | PeftModel) -> bool:
    """Say whether a model that can share prompts takes masks that keep apart several sequences in one row.

    A model that cannot is run over a row for each sequence, with the same results.
    """
    if model.config._attn_implementation not in ("eager", "sdpa"):
        return False
    try:
        probe = _Probe.on(model)
        packed, repeated = (
            probe.logits(probe.shared(model, packs=packs), probe.pairs) for packs in (True, False)
        )
    except torch.OutOfMemoryError:
        raise
    except Exception:  # an architecture that was not made for this may raise anything
        return False
    return _difference(packed, repeated) <= _tolerance(model)


def _compare(model: PreTrainedModel | PeftModel) -> str | None:
    probe = _Probe.on(model)
    ours = probe.logits(probe.shared(model), probe.sequences)
    theirs = probe.logits(probe.ordinary(model), probe.sequences)
    if ours.shape != theirs.shape:
        return "its logits come from more than the hidden states of the last layer"
    difference = _difference(ours, theirs)
    if not difference <= _tolerance(model):
        return f"its logits differ when the prompt is shared (relative {difference:.1e})"
    return None


def _difference(ours: Tensor, theirs: Tensor) -> float:
    return float((ours - theirs).norm() / theirs.norm().clamp_min(1e-12))


def _tolerance(model: nn.Module) -> float:
    return 1e-4 if next(model.parameters()).dtype in (torch.float32, torch.float64) else 0.1


@dataclass(frozen=True, eq=False)
class _Probe:
    """A made-up batch on which two ways of computing are compared."""

    prompts: list[list[int]]
    sequences: Sequences
    pairs: Sequences

    @staticmethod
    def on(model: PreTrainedModel | PeftModel) -> _Probe:
        """A batch of tokens that the model has, on its device."""
        last = Anatomy.of(model).vocabulary - 1
        prompts = [[*range(1, 20), 3, 5], list(range(1, 20)), [2] * 3]
        first = [[4, 6, 1], [7], [8, 9]]
        second = [[4, 5, 1, 2], [6, 7], [8, 9, 3]]

        def known(rows: list[list[int]]) -> list[list[int]]:
            return [[token % last for token in row] for row in rows]

        device = next(model.parameters()).device
        sequences = Sequences.of(known(first), Kind.GROUND_TRUTH)
        pairs = sequences.beside(Sequences.of(known(second), Kind.IMPERFECT))
        return _Probe(known(prompts), sequences.to(device), pairs.to(device))

    def shared(self, model: PreTrainedModel | PeftModel, packs: bool = False) -> SharedPrompt:
        """The model with shared prompts."""
        layout = lay_out(self.prompts, share_beginnings=True).to(self.sequences.tokens.device)
        limits, generator = SamplingLimits(4, (0,)), StepGenerator(0, 0, range(3))
        return SharedPrompt(model, layout, limits, generator, kind=Kind.STUDENT, trains=False, packs=packs)

    def ordinary(self, model: PreTrainedModel | PeftModel) -> OrdinaryPrompt:
        """The model as it is."""
        limits, generator = SamplingLimits(4, (0,)), StepGenerator(0, 0, range(3))
        device = self.sequences.tokens.device
        return OrdinaryPrompt(model, self.prompts, limits, generator, kind=Kind.STUDENT, device=device)

    def logits(self, conditioned: Conditioned, sequences: Sequences) -> Tensor:
        """Float32 [N, V]: what predicts the tokens of the sequences, in eval mode."""
        with evaluating(conditioned.model):
            features = conditioned.eval_features(sequences)
            return features.project(features.rows).float()
