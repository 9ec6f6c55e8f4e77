"""What runs leave, as it is read again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from broken_inputs.rows import DRY, all_of, cut, remove, row, write


def link(name: str) -> Callable[[Path], object]:
    return lambda world: ((world / name).unlink(missing_ok=True), (world / name).symlink_to("/etc/hostname"))


row("compare of nothing", "compare absent", "absent: there is no such folder")
row("compare of what is no run", "compare student", "student: is no run")
row(
    "a link out of the folder of runs",
    "run r.toml",
    "runs/.cache is a link to ",
    "a run writes only below runs",
    break_=lambda world: ((world / "runs").mkdir(), (world / "runs/.cache").symlink_to("/tmp")),
    code=1,
)

MODEL = "runs/r/kid/model/model.safetensors"
for call in (DRY, "run r.toml"):
    row(
        f"{call}: a finished stage whose weights are torn",
        call,
        "stage 'kid' was finished before, and what it left is broken",
        "remove runs/r-",
        break_=all_of(cut(MODEL), remove("runs/r/evaluate")),
        code=1,
        ran=True,
    )
    for place in ("runs/r/kid/metrics.jsonl", "runs/r/.lock", "runs/r/evaluate/stage.json"):
        row(
            f"{call}: {place} is a link out of the folder of runs",
            call,
            f"/{place.removeprefix('runs/r/')} is a link to /etc/hostname, and a run writes only below runs",
            break_=link(place),
            code=1,
            ran=True,
        )
row("chat with nothing", "chat runs/absent --ask x", "runs/absent: there is no such run")
row("chat with what is no run", "chat student --ask x", "student: is no run")
for name, broken, *told in (
    (
        "an unfinished stage",
        remove("runs/r/kid/stage.json"),
        'stage "kid" has left no model: it is not finished',
    ),
    ("a torn record", cut("runs/r/kid/stage.json"), "its record is damaged: runs/r/kid/stage.json:"),
    ("no model", remove("runs/r/kid/model"), "its model is gone"),
):
    row(f"chat: {name}", "chat runs/r --ask x", *told, break_=broken, code=1, ran=True)
row(
    "chat: torn weights",
    "chat runs/r/kid --ask x",
    "runs/r/kid/model",
    "cannot be loaded",
    break_=cut(MODEL),
    ran=True,
)
row(
    "compare: run.json torn",
    "compare runs/r",
    "runs/r/run.json:",
    "not valid JSON",
    break_=cut("runs/r/run.json"),
    ran=True,
)
row("compare: no run.json", "compare runs/r", "runs/r: is no run", break_=remove("runs/r/run.json"), ran=True)
row(
    "compare: recipe.toml torn",
    "compare runs/r",
    "runs/r/recipe.toml:",
    "not valid TOML",
    break_=cut("runs/r/recipe.toml", 0.04),
    ran=True,
)
row(
    "compare: no recipe.toml",
    "compare runs/r",
    "runs/r/recipe.toml: there is no such",
    break_=remove("runs/r/recipe.toml"),
    ran=True,
)
row(
    "compare: sweep.json torn",
    "compare sweep",
    "sweep/sweep.json:1: not valid JSON",
    break_=write("sweep/sweep.json", '{"members"'),
)
row(
    "compare: sweep.json of another form",
    "compare sweep",
    "sweep/sweep.json: must hold",
    break_=write("sweep/sweep.json", '{"members": [3]}'),
)
