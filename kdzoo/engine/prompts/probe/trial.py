"""One model, run in each way on made-up rows: which ways are right."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import torch
from peft import PeftModel
from transformers import PreTrainedModel

from kdzoo.engine.models.adapters import base_model
from kdzoo.engine.models.eval_mode import mentions_dropout
from kdzoo.engine.models.first_layers import first_layers
from kdzoo.engine.prompts.layer_passes import Checkpoints
from kdzoo.engine.prompts.probe.batch import Probe, Rows
from kdzoo.engine.prompts.probe.generation import generated_logits
from kdzoo.engine.prompts.probe.likeness import is_as_made
from kdzoo.engine.prompts.probe.rounding import distance
from kdzoo.engine.prompts.probe.switches import lengths_named_in, numbers_in
from kdzoo.engine.prompts.way import Full, PrefixCached, Sharing, Way
from kdzoo.errors import UserError

# Two right computations of the same logits are no further apart than one is from itself with all numbers rounded anew:
# 0 to 1.2 times as far, in float32 as in bfloat16, over 140 architectures. Faults were 7 times as far and more.
_TIMES_ROUNDING = 3.0
# So many tokens are below every length that a computation may depend on.
_SHORT = 4
# Enough tokens to cross a length and to continue from a cache more than once.
_GENERATED = 5


@dataclass(frozen=True)
class Found:
    """The way that is right, and what is wrong with each faster one."""

    way: Way
    faults: tuple[str, ...] = ()


class Trial:
    """A model, and rows that it is tried on: as long as ``prompt`` and ``output`` tokens, and across lengths of its configuration.

    ``role`` is what errors call it. ``trains``: it will be run with gradients.
    """

    def __init__(
        self, model: PreTrainedModel | PeftModel, role: str, prompt: int, output: int, trains: bool
    ) -> None:
        self._model = model
        self._role = role
        self._prompt = prompt
        self._output = output
        self._trains = trains
        self._name = class_name(model)
        self._dtype = next(p.dtype for p in model.parameters() if p.is_floating_point())
        self._is_precise = torch.finfo(self._dtype).eps <= torch.finfo(torch.float32).eps
        self._config = model.config.get_text_config()
        self._drops_out = mentions_dropout(model)
        self._probe = Probe.of_run(model, prompt, output)
        self._longest = prompt + output
        lengths = sorted(n for n in lengths_named_in(self._config) if _SHORT <= n < self._longest)
        self._across = {length: Probe.across(model, length, self._longest) for length in lengths}

    def found(self, sharing: Sharing) -> Found:
        """Run the rows in one way after the other until one gives each what it has alone.

        A deep model shows what it does in its first layers already: the whole of it is only run where these show a fault, or
        where something was hung on it.

        Raises:
            UserError: the model cannot be run by itself, or what it gives depends on what it has been run on before,
                or on tokens that come later.
        """
        if is_as_made(self._model):
            with first_layers(self._model) as is_short, suppress(UserError):
                found = self._found(sharing) if is_short else None
                if found is not None and not found.faults:
                    return found
        return self._found(sharing)

    def _found(self, sharing: Sharing) -> Found:
        self._run_alone()
        reason = None
        if sharing != "off":
            found = self._tried_prefix_cached()
            if isinstance(found, PrefixCached):
                return Found(found)
            reason = found
        way, faults = self._tried_full()
        if reason is not None:
            faults = [f"without prompt sharing ({reason})", *faults]
        return Found(way, tuple(faults))

    def _tried_full(self) -> tuple[Full, list[str]]:
        """The first ordinary way that is right, and what is wrong with those before it."""
        faults = []
        if fault := self._full_fault(Full()):
            faults.append(f"row by row ({fault})")
            if fault := self._full_fault(Full(1)):
                faults.append(f"without a cache while it generates ({fault} row by row)")
        return (Full(), Full(1), Full(1, caches=False))[len(faults)], faults

    def _full_fault(self, way: Full) -> str | None:
        try:
            if way.rows_at_once is None and (
                fault := self._fault(self._probe.together(), self._alone, "rows are padded")
            ):
                return fault
            prompts = [self._probe.prompts[i] for i in (0, -1)]
            for some in [prompts, *(probe.prompts for probe in self._across.values())]:
                tokens = min(_GENERATED, self._longest - max(len(prompt) for prompt in some))
                ours, alone = generated_logits(self._model, some, way, tokens)
                if fault := self._fault(ours, alone, "it generates"):
                    return fault
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # an architecture that was not made for this may raise anything
            return f"a padded batch or a cache raises {_said(error)}"
        return None

    def _run_alone(self) -> None:
        """Run each row by itself, and find out how far apart two right ways may be."""
        try:
            Probe.across(self._model, _SHORT, 2 * _SHORT).alone()
            first = {length: probe.alone() for length, probe in self._across.items()}
            self._alone = self._probe.alone()
            # the longest row came last: a model that remembers a length now has another one
            again = {length: probe.alone() for length, probe in self._across.items()}
            # of the rows the shortest and the longest, and for what comes later the shortest
            ends, first_row = self._probe.only(0, -1), self._probe.only(0)
            rounding = self._distance(ends.alone_rounded_anew(), [self._alone[0], self._alone[-1]])
            other_end = self._distance(first_row.alone_with_another_end(), self._alone[:1])
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # an architecture may raise anything
            raise UserError(f"the {self._role} ({self._name}) cannot be run: {_said(error)}") from error
        self._tolerance = max(_TIMES_ROUNDING * rounding, 8 * torch.finfo(self._dtype).eps)
        for length, rows in first.items():
            if self._distance(again[length], rows) > self._tolerance:
                raise UserError(
                    f"the {self._role} ({self._name}) cannot be used with prompts and outputs of more than {length} "
                    "tokens: beyond, what it gives depends on what it was run on before; set lower limits"
                )
        if other_end > self._tolerance:
            raise UserError(
                f"the {self._role} ({self._name}) is no causal language model: what it predicts depends on tokens "
                "that come later"
            )
        self._alone_across = first

    def _tried_prefix_cached(self) -> PrefixCached | str:
        """How the model shares prompts, or why it cannot."""
        if self._trains and (reason := Checkpoints.of(self._model).why_not_beside_a_cache()):
            return reason
        try:
            shared = self._probe.shared(self._probe.apart)
            if reason := self._fault(shared, self._alone, "the prompt is shared"):
                return reason
            for length, probe in self._across.items():
                across = f"a shared prompt ends before {length} tokens and its sequence after"
                if reason := self._fault(probe.shared(probe.apart), self._alone_across[length], across):
                    return reason
            widest = self._widest()
            return PrefixCached(self._packs(widest), widest, self._trains and self._is_repeatable(shared))
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # an architecture that was not made for this may raise anything
            return f"its architecture does not allow it ({_said(error)})"

    def _distance(self, ours: Rows, theirs: Rows) -> float:
        # Where experts or keys are chosen, rounding to few bits may choose another one for a token or two: a fault
        # moves most of a row. In float32 no token may be off.
        return distance(ours, theirs, 1.0 if self._is_precise else 0.5)

    def _fault(self, ours: Rows, theirs: Rows, when: str) -> str | None:
        if any(one.shape != other.shape for one, other in zip(ours, theirs, strict=True)):
            return "its logits come from more than the hidden states of the last layer"
        apart = self._distance(ours, theirs)
        return None if apart <= self._tolerance else f"its logits differ when {when}: relative {apart:.1e}"

    def _widest(self) -> int | None:
        """The columns up to which beginnings may be shared; None for any number."""
        if self._are_grouped(self._probe, self._alone):
            return None
        # Padding between beginning, rest and sequence counts for this model, as columns do in a window: that window
        # is a number of the configuration. Prompts alone, without padding between, are as wide as the longest row.
        widest, bound = 0, 2 * self._longest
        numbers = sorted(n for n in numbers_in(self._config) if self._longest < n < bound)
        for width in [self._longest, *numbers]:
            probe = Probe.of_run(self._model, self._prompt, self._output, width)
            if not self._are_grouped(probe, probe.alone()):
                break
            widest = width
        return widest

    def _are_grouped(self, probe: Probe, alone: Rows) -> bool:
        try:
            return self._distance(probe.shared(probe.grouped), alone) <= self._tolerance
        except torch.OutOfMemoryError:
            raise
        except Exception:  # a mask that was made for so many columns and no more, for one
            return False

    def _packs(self, widest: int | None) -> bool:
        if self._model.config._attn_implementation not in ("eager", "sdpa"):
            return False
        groups = self._probe.grouped if widest is None else self._probe.apart
        repeated = self._probe.repeated(groups)
        try:
            return self._distance(self._probe.packed(groups), repeated) <= self._tolerance
        except torch.OutOfMemoryError:
            raise
        except Exception:  # an architecture that was not made for this may raise anything
            return False

    def _is_repeatable(self, shared: Rows) -> bool:
        """Whether training mode gives what eval mode gives: no dropout and no noise, whatever it comes from.

        A LoRA that is still zero hides its dropout from the numbers, so its modules are asked too.
        """
        if self._drops_out:
            return False
        return all(
            torch.equal(one, other)
            for one, other in zip(self._probe.shared_in_training_mode(), shared, strict=True)
        )


def class_name(model: PreTrainedModel | PeftModel) -> str:
    """The name of a model's class, without its adapter's."""
    return type(base_model(model)).__name__


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}"
