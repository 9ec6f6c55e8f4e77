"""Whether a model can continue from a prompt's key-value cache, and in what way, found out by trying."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import PreTrainedModel

from kdzoo.engine.anatomy import evaluating, vocabulary_of
from kdzoo.engine.batches import Batch, EncodedExample, make_batch
from kdzoo.engine.conditioning import condition
from kdzoo.engine.sampling import SamplingLimits
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
        packed, repeated = (probe.logits(probe.pairs, shares=True, packs=packs) for packs in (True, False))
    except torch.OutOfMemoryError:
        raise
    except Exception:  # an architecture that was not made for this may raise anything
        return False
    return _difference(packed, repeated) <= _tolerance(model)


def _compare(model: PreTrainedModel | PeftModel) -> str | None:
    probe = _Probe.on(model)
    ours, theirs = (probe.logits(probe.batch.target, shares=shares) for shares in (True, False))
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
    """A made-up batch on which two ways of computing are compared; ``pairs`` are two sequences for each prompt."""

    model: PreTrainedModel | PeftModel
    batch: Batch
    pairs: Sequences

    @staticmethod
    def on(model: PreTrainedModel | PeftModel) -> _Probe:
        """A batch of tokens that the model has, on its device."""
        last = vocabulary_of(model) - 1

        def known(rows: list[list[int]]) -> list[list[int]]:
            return [[token % last for token in row] for row in rows]

        prompts = known([list(range(1, 20)), [*range(1, 20), 3, 5], [2] * 3])
        targets = known([[7], [4, 6, 1], [8, 9]])
        others = known([[6, 7], [4, 5, 1, 2], [8, 9, 3]])
        rows = [EncodedExample(i, *row) for i, row in enumerate(zip(prompts, targets, strict=True))]
        device = next(model.parameters()).device
        batch = make_batch(rows, share_beginnings=True).to(device)
        return _Probe(model, batch, batch.target.beside(Sequences.of(others, Kind.IMPERFECT).to(device)))

    def logits(self, sequences: Sequences, *, shares: bool, packs: bool = False) -> Tensor:
        """Float32 [N, V]: what predicts the tokens of the sequences, in eval mode."""
        limits, generator = SamplingLimits(4, (0,)), StepGenerator(0, 0, self.batch.examples)
        with evaluating(self.model):
            conditioned = condition(
                self.model, self.batch, limits, generator, kind=Kind.STUDENT, shares=shares, packs=packs
            )
            features = conditioned.eval_features(sequences)
            return features.project(features.rows).float()
