"""Step time and memory of kdzoo's methods and of their peers on the same work.

    python benchmarks/step_time.py --shape cpu --out step_time

Every contender runs in a process of its own, in rounds, so that a busy spell of the machine hits all of them. Prints a
table, and writes OUT.json and, where matplotlib is installed, OUT.png. ``pip install -e '.[benchmark]'`` brings what it
needs.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import torch
from contenders import CONTENDERS
from rich.console import Console
from rich.table import Table
from workload import SHAPES, Shape, reduced


@click.command()
@click.option("--shape", "shape_name", type=click.Choice(list(SHAPES)), default="cpu", show_default=True)
@click.option("--rounds", default=3, show_default=True, help="How often each contender's process is started.")
@click.option(
    "--steps", default=3, show_default=True, help="Measured steps in each round, after one warm-up step."
)
@click.option("--layers", default=0, help="Reduce both models to so many layers (0: leave them).")
@click.option("--batch", default=0, help="Reduce the batch to so many rows (0: leave it).")
@click.option("--only", multiple=True, type=click.Choice(list(CONTENDERS)), help="Run these contenders only.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("step_time"), show_default=True)
def main(
    shape_name: str, rounds: int, steps: int, layers: int, batch: int, only: tuple[str, ...], out: Path
) -> None:
    """Measure all contenders and compare them."""
    names = list(only) or list(CONTENDERS)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    peaks: dict[str, int] = {}
    failures: dict[str, str] = {}
    for number in range(rounds):
        for name in names:
            if name in failures:
                continue
            click.echo(f"round {number + 1}/{rounds}: {name}", err=True)
            result = _run(name, shape_name, steps, layers, batch)
            if isinstance(result, str):
                failures[name] = result
                click.echo(result, err=True)
                continue
            seconds[name] += result["seconds"]
            peaks[name] = max(peaks.get(name, 0), result["peak_bytes"])
    report = _report(shape_name, layers, batch, seconds, peaks, failures)
    out.with_suffix(".json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    Console(width=120).print(_table(report))
    _chart(report, out.with_suffix(".png"))


def _run(name: str, shape: str, steps: int, layers: int, batch: int) -> dict[str, Any] | str:
    script = str(Path(__file__).with_name("contenders.py"))
    done = subprocess.run(
        [sys.executable, script, name, shape, str(steps), str(layers), str(batch)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return f"{name} failed ({done.returncode}): {done.stderr.strip()[-600:]}"
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def _report(
    shape_name: str,
    layers: int,
    batch: int,
    seconds: dict[str, list[float]],
    peaks: dict[str, int],
    failures: dict[str, str],
) -> dict[str, Any]:
    shape: Shape = reduced(SHAPES[shape_name], layers, batch)
    tokens = shape.batch * (shape.prompt + shape.target)
    medians = {name: statistics.median(values) for name, values in seconds.items() if values}
    plain = medians.get("plain sft")
    rows = [
        {
            "name": name,
            "median_seconds": median,
            "fastest_seconds": min(seconds[name]),
            "relative_to_plain_sft": None if plain is None else median / plain,
            "tokens_per_second": tokens / median,
            "peak_mib": peaks[name] / 2**20,
            "seconds": seconds[name],
        }
        for name, median in medians.items()
    ]
    return {
        "shape": shape_name,
        "layers": layers or None,
        "batch": shape.batch,
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "threads": torch.get_num_threads(),
        "rows": rows,
        "failures": failures,
    }


def _table(report: dict[str, Any]) -> Table:
    table = Table(box=None, title=f"one optimizer step, shape {report['shape']}, {report['device']}")
    for heading in ("contender", "median s", "plain SFT = 1", "tokens/s", "peak MiB"):
        table.add_column(heading, justify="left" if heading == "contender" else "right")
    for row in report["rows"]:
        relative = row["relative_to_plain_sft"]
        table.add_row(
            row["name"],
            f"{row['median_seconds']:.2f}",
            "-" if relative is None else f"{relative:.2f}",
            f"{row['tokens_per_second']:.0f}",
            f"{row['peak_mib']:.0f}",
        )
    return table


def _chart(report: dict[str, Any], path: Path) -> None:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        click.echo("matplotlib is not installed: no chart", err=True)
        return
    rows = report["rows"][::-1]
    figure = Figure(figsize=(8, 0.35 * len(rows) + 1), layout="constrained")
    axes = figure.subplots()
    colours = ["tab:blue" if row["name"].startswith("kdzoo") else "tab:gray" for row in rows]
    bars = axes.barh([row["name"] for row in rows], [row["median_seconds"] for row in rows], color=colours)
    axes.bar_label(bars, fmt="%.2f", padding=3)
    axes.set_xlabel("median seconds per optimizer step")
    axes.set_title(f"shape {report['shape']}, {report['device']}")
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
