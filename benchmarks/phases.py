"""Where a step of kdzoo's methods spends its time, and how far it is from the least that the machine needs.

    python benchmarks/phases.py --shape cpu --out phases

The least is computed: the operations of all matrix products of the step (counted by torch) at the rate that this
machine reaches on a large product, plus the bytes of the optimizer and of the logits at the rate at which it copies.
Prints a table, and writes OUT.json.
"""

from __future__ import annotations

import json
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import torch
from contenders import make_module, now
from rich.console import Console
from rich.table import Table
from torch.utils.flop_counter import FlopCounterMode
from workload import SHAPES, Shape, make_examples, reduced

from kdzoo.engine.prompts import conditioned_model
from kdzoo.engine.prompts.batches import EncodedExample, make_batch
from kdzoo.engine.prompts.prefix_cached import PrefixCachedForward
from kdzoo.engine.training import step as training_step
from kdzoo.engine.training.distillation_module import DistillationModule
from kdzoo.engine.training.training_step import Moment

METHODS = ("sft", "rkd", "kid", "gkd")
PHASES = (
    "student prompt",
    "teacher prompt",
    "student branches",
    "teacher branches",
    "generation",
    "projection and losses",
    "backward",
    "optimizer",
)
_LARGE = 2048
_COPIED = 1 << 26


class Stopwatch:
    """Adds up the seconds of each phase; of phases within phases, the innermost has the time."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._running: list[str] = []
        self._since = now()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time a block."""
        self._note()
        self._running.append(name)
        try:
            yield
        finally:
            self._note()
            self._running.pop()

    def _note(self) -> None:
        moment = now()
        if self._running:
            self.seconds[self._running[-1]] += moment - self._since
        self._since = moment

    def around(self, function: Callable[..., Any], name: Callable[..., str]) -> Callable[..., Any]:
        """The function, timed; ``name`` gives the phase from its arguments."""

        def timed(*arguments: Any, **settings: Any) -> Any:
            with self.phase(name(*arguments)):
                return function(*arguments, **settings)

        return timed


def watch(stopwatch: Stopwatch) -> None:
    """Time the parts of the engine, in this process."""

    def of_forward(what: str) -> Callable[..., str]:
        return lambda forward, *_: f"{'student' if forward._trains else 'teacher'} {what}"

    phases = {"_read": "prompt", "_run_repeated": "branches", "_run_packed": "branches"}
    for name, phase in phases.items():
        timed = stopwatch.around(getattr(PrefixCachedForward, name), of_forward(phase))
        setattr(PrefixCachedForward, name, timed)
    losses = "projection and losses"
    for module, name, phase in (
        (conditioned_model, "generate", "generation"),
        (conditioned_model, "sum_of_cross_entropies", losses),
        (conditioned_model, "log_probabilities", losses),
        (conditioned_model, "map_tokens", losses),
        (training_step, "sum_over_tokens", losses),
    ):
        function = stopwatch.around(getattr(module, name), lambda *_, phase=phase: phase)
        setattr(module, name, function)


def take_step(
    module: DistillationModule, batch: Any, optimizer: torch.optim.Optimizer, stopwatch: Stopwatch | None
) -> None:
    """One optimizer step."""
    if stopwatch is None:
        stopwatch = Stopwatch()
    module.train()
    loss = module(batch, Moment(step=0, progress=0.0)).total
    with stopwatch.phase("backward"):
        loss.backward()
    with stopwatch.phase("optimizer"):
        torch.nn.utils.clip_grad_norm_(module.student.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()


def rates(dtype: torch.dtype, device: str) -> tuple[float, float]:
    """Operations per second of a large matrix product, and bytes per second (read and written) of a large copy."""
    a, b = (torch.randn(_LARGE, _LARGE, device=device).to(dtype) for _ in range(2))
    source = torch.ones(_COPIED, dtype=torch.float32, device=device)
    target = torch.empty_like(source)

    def fastest(action: Callable[[], Any]) -> float:
        seconds = []
        for _ in range(8):
            begin = now()
            action()
            seconds.append(now() - begin)
        return min(seconds)

    product = fastest(lambda: a @ b)
    copy = fastest(lambda: target.copy_(source))
    return 2 * _LARGE**3 / product, 8 * _COPIED / copy


def least_bytes(module: DistillationModule, shape: Shape, method: str) -> int:
    """What must be read and written beside the operands of products: optimizer states, and every logit's tensor.

    AdamW reads weights, gradients and two moments and writes all but the gradients. Logits are written and read by
    each model, and the gradient of the student's is written and read twice (for the hidden states and the weights).
    """
    trained = sum(p.numel() for p in module.student.parameters() if p.requires_grad)
    scored = shape.batch * shape.target * shape.vocabulary
    tensors = {"sft": 5, "rkd": 7, "kid": 12, "gkd": 7}[method]
    return 28 * trained + 4 * scored * tensors


@click.command()
@click.option("--shape", "shape_name", type=click.Choice(list(SHAPES)), default="cpu", show_default=True)
@click.option("--steps", default=6, show_default=True, help="Measured steps of each method, after a warm-up.")
@click.option("--layers", default=0, help="Reduce both models to so many layers (0: leave them).")
@click.option("--batch", default=0, help="Reduce the batch to so many rows (0: leave it).")
@click.option("--sharing", type=click.Choice(["prompt", "on"]), default="on", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("phases"), show_default=True)
def main(shape_name: str, steps: int, layers: int, batch: int, sharing: str, out: Path) -> None:
    """Time the phases of every method's step, methods in turn."""
    shape = reduced(SHAPES[shape_name], layers, batch)
    stopwatch = Stopwatch()
    watch(stopwatch)
    modules = {name: make_module(shape, name, sharing) for name in METHODS}
    optimizers = {
        name: torch.optim.AdamW((p for p in one.student.parameters() if p.requires_grad), lr=1e-4)
        for name, one in modules.items()
    }
    rows = [
        EncodedExample(i, prompt, target)
        for i, (prompt, target) in enumerate(make_examples(shape, steps + 1))
    ]
    device = next(modules["sft"].student.parameters()).device
    timed: dict[str, list[dict[str, float]]] = {name: [] for name in METHODS}
    totals: dict[str, list[float]] = {name: [] for name in METHODS}
    for step in range(steps + 1):
        part = rows[step * shape.batch : (step + 1) * shape.batch]
        made = make_batch(part, share_beginnings=sharing == "on").to(device)
        for name in METHODS:
            stopwatch.seconds.clear()
            begin = time.perf_counter()
            take_step(modules[name], made, optimizers[name], stopwatch)
            totals[name].append(time.perf_counter() - begin)
            timed[name].append(dict(stopwatch.seconds))
    product_rate, copy_rate = rates(getattr(torch, shape.dtype), str(device))
    report: dict[str, Any] = {
        "shape": shape_name,
        "device": str(device),
        "threads": torch.get_num_threads(),
        "product_rate": product_rate,
        "copy_rate": copy_rate,
        "methods": {},
    }
    for name in METHODS:
        with FlopCounterMode(display=False) as counter:
            take_step(modules[name], made, optimizers[name], None)
        operations = counter.get_total_flops()
        size = least_bytes(modules[name], shape, name)
        report["methods"][name] = {
            "seconds": statistics.median(totals[name][1:]),
            "phases": {
                phase: statistics.median(one.get(phase, 0.0) for one in timed[name][1:]) for phase in PHASES
            },
            "operations": operations,
            "bytes": size,
            "least_seconds": operations / product_rate + size / copy_rate,
        }
    out.with_suffix(".json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    Console(width=120).print(_table(report))


def _table(report: dict[str, Any]) -> Table:
    methods: dict[str, Any] = report["methods"]
    title = (
        f"milliseconds of a step, shape {report['shape']}, {report['device']}: products at "
        f"{report['product_rate'] / 1e9:.0f} Gop/s, copies at {report['copy_rate'] / 1e9:.1f} GB/s"
    )
    table = Table(box=None, title=title)
    table.add_column("phase")
    for name in methods:
        table.add_column(name, justify="right")
    for phase in PHASES:
        table.add_row(phase, *(f"{1000 * one['phases'][phase]:.0f}" for one in methods.values()))
    table.add_row("whole step", *(f"{1000 * one['seconds']:.0f}" for one in methods.values()))
    table.add_row("Gop of products", *(f"{one['operations'] / 1e9:.0f}" for one in methods.values()))
    table.add_row("least", *(f"{1000 * one['least_seconds']:.0f}" for one in methods.values()))
    table.add_row(
        "whole / least", *(f"{one['seconds'] / one['least_seconds']:.2f}" for one in methods.values())
    )
    return table


if __name__ == "__main__":
    main()
