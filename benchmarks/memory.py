"""The memory of a training stage: what kdzoo estimates before it, and the most that it then takes.

    python benchmarks/memory.py --out memory

Every shape is trained for a few steps in a process of its own, as `kdzoo run` would, on made-up prompts in groups that begin
alike. Shapes that begin with ``smollm2`` are the pretrained model that ``make weights`` leaves in ~/.cache/kdzoo.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

WEIGHTS = Path(os.environ.get("KDZOO_WEIGHTS", "~/.cache/kdzoo")).expanduser()
_PRETRAINED = {"path": str(WEIGHTS / "smollm2-135m-instruct")}
_STEPS = 2


@dataclass(frozen=True)
class MemoryShape:
    """A student, its method, and ``rows`` prompts a step of about ``words`` words, ``shared`` of them common to four rows."""

    student: dict[str, Any]
    method: str
    rows: int
    words: int
    shared: int
    target: int = 24
    teacher: dict[str, Any] | None = None
    precision: str = "bf16"


def _scratch(architecture: str, hidden: int, layers: int) -> dict[str, Any]:
    return {
        "from_scratch": {
            "architecture": architecture,
            "hidden_size": hidden,
            "intermediate_size": 4 * hidden,
            "num_hidden_layers": layers,
            "num_attention_heads": hidden // 64,
            "max_position_embeddings": 2048,
        }
    }


SHAPES = {
    "smollm2-135m sft, 8 x 1024": MemoryShape(_PRETRAINED, "sft", 8, 990, 800),
    "smollm2-135m sft, 4 x 512": MemoryShape(_PRETRAINED, "sft", 4, 490, 400),
    "smollm2-135m kid, 4 x 256": MemoryShape(
        {**_PRETRAINED, "keep_layers": 20}, "kid", 4, 240, 180, teacher=_PRETRAINED
    ),
    "llama 4 x 256 rkd, 16 x 256": MemoryShape(
        _scratch("llama", 256, 4), "rkd", 16, 250, 200, teacher=_scratch("llama", 256, 8), precision="fp32"
    ),
    "gpt_neox 4 x 256 lora gkd, 8 x 384": MemoryShape(
        {**_scratch("gpt_neox", 256, 4), "lora": {"rank": 16}},
        "gkd",
        8,
        380,
        300,
        teacher=_scratch("gpt_neox", 256, 4),
        precision="fp32",
    ),
}


@click.command()
@click.option("--only", multiple=True, type=click.Choice(list(SHAPES)), help="These shapes only.")
@click.option(
    "--sharing",
    multiple=True,
    type=click.Choice(["on", "prompt", "off"]),
    default=("on", "off"),
    show_default=True,
)
@click.option("--checkpointing", is_flag=True, help="Gradient checkpointing, too.")
@click.option(
    "--precision",
    type=click.Choice(["fp32", "bf16"]),
    help="Another than the shapes' own: processors without bfloat16 of their own are slow at it.",
)
@click.option("--measure", hidden=True, help="Train this shape here.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("memory"), show_default=True)
def main(
    only: tuple[str, ...],
    sharing: tuple[str, ...],
    checkpointing: bool,
    precision: str | None,
    measure: str | None,
    out: Path,
) -> None:
    """Estimate and measure all shapes."""
    if measure is not None:
        shape = SHAPES[measure] if precision is None else replace(SHAPES[measure], precision=precision)
        print(json.dumps(_measured(shape, sharing[0], checkpointing)))
        return
    rows = []
    for name in only or SHAPES:
        for way in sharing:
            click.echo(f"{name}, sharing {way}", err=True)
            options = ["--checkpointing"] if checkpointing else []
            options += [] if precision is None else ["--precision", precision]
            done = subprocess.run(
                [sys.executable, __file__, "--measure", name, "--sharing", way, *options],
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            used = precision or SHAPES[name].precision
            rows.append(
                {"shape": name, "sharing": way, "precision": used, **json.loads(done.stdout.splitlines()[-1])}
            )
            click.echo(rows[-1], err=True)
    out.with_suffix(".json").write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    table = Table(box=None, title="MiB of memory")
    for heading in ("shape", "sharing", "precision"):
        table.add_column(heading)
    for heading in ("estimated", "measured", "estimated / measured", "seconds a step"):
        table.add_column(heading, justify="right")
    for row in rows:
        estimated, measured = row["estimated"] / 2**20, row["measured"] / 2**20
        table.add_row(
            row["shape"],
            row["sharing"],
            row["precision"],
            f"{estimated:.0f}",
            f"{measured:.0f}",
            f"{estimated / measured:.2f}",
            f"{row['seconds']:.2f}",
        )
    Console(width=140).print(table)


def _measured(shape: MemoryShape, sharing: str, checkpointing: bool) -> dict[str, Any]:
    """Bytes that a stage is estimated to take, and took at the most."""
    warnings.filterwarnings("ignore")
    from kdzoo.recipe import load_recipe
    from kdzoo.report.progress import Reporter
    from kdzoo.runs import checks
    from kdzoo.runs.context import ModelRef, RunContext
    from kdzoo.runs.memory.room import room_on
    from kdzoo.runs.run_directory import RunDirectory
    from kdzoo.runs.training import train
    from kdzoo.tasks.load import DataReader

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        _write(shape, sharing, checkpointing, folder)
        recipe = load_recipe(folder / "recipe.toml", ())
        directory = RunDirectory(folder / "run")
        context = RunContext(recipe, directory, DataReader(folder / "cache"), Reporter(quiet=True))
        memory = checks.check(context, {}, tables=("tokenizer", *recipe.models)).memory
        (stage,) = recipe.stages
        program = room_on(context.device).taken
        estimated = memory[stage.name].estimate().peak + program
        directory.path.mkdir()
        stage_folder = directory.path / stage.name
        stage_folder.mkdir()
        models = {name: ModelRef(model.role) for name, model in recipe.models_used(stage).items()}
        result = train.run(context, stage, stage_folder, models)
    return {
        "program": program,
        "estimated": estimated,
        "measured": result["peak_memory_bytes"],
        "seconds": result["step_seconds"],
    }


def _write(shape: MemoryShape, sharing: str, checkpointing: bool, folder: Path) -> None:
    """The recipe and its data."""
    import tomli_w

    source = random.Random(0)
    words = [
        "name", "table", "id", "age", "city", "date", "price", "of", "the", "order",
        "team", "year", "song", "road", "plane", "film", "user", "state", "bank", "ship",
    ]  # fmt: skip
    draw = lambda count: " ".join(source.choice(words) for _ in range(count))  # noqa: E731
    lines = []
    for _ in range(_STEPS * shape.rows // 4):
        beginning = draw(shape.shared)
        group = str(len(lines))
        for _ in range(4):
            prompt = f"{beginning} {draw(shape.words - shape.shared)}"
            lines.append({"prompt": prompt, "target": draw(shape.target), "group": group})
    (folder / "train.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    scratch = "from_scratch" in shape.student
    student = {**shape.student, **({"gradient_checkpointing": True} if checkpointing else {})}
    recipe: dict[str, Any] = {
        "name": "memory",
        "data": {"kind": "jsonl", "train": "train.jsonl", "evaluation": "train.jsonl"},
        "student": student,
        "training": {
            "max_steps": _STEPS,
            "batch_size": shape.rows,
            "precision": shape.precision,
            "input_limit": 1024,
            "output_limit": 64,
            "group_by": "database",
            "group_size": 4,
            "sharing": sharing,
            "logging_steps": 1,
        },
        "stage": [{"kind": "distill", "method": shape.method}],
    }
    if shape.teacher is not None:
        recipe["teacher"] = shape.teacher
    if scratch:
        recipe["tokenizer"] = {"train": {"vocab_size": 2000}}
    (folder / "recipe.toml").write_text(tomli_w.dumps(recipe), encoding="utf-8")


if __name__ == "__main__":
    main()
