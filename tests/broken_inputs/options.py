"""The command line, and options of methods."""

from __future__ import annotations

from broken_inputs.rows import DRY, edit, row

row(
    "--set of a deep value",
    f"{DRY} --set training.epochs={'[' * 5000}",
    "--set training.epochs=[[[",
    "must be a number",
)
row("--set of 5000 digits", f"{DRY} --set seed={'9' * 5000}", "--set seed=999", "must be")
row("--set of nothing", f"{DRY} --set nope.epochs=3", '--set nope.epochs=3: no stage or table "nope"')
row("--seeds that are none", f"{DRY} --seeds 1,x", "--seeds 1,x: write whole numbers")
row("--methods that are none", f"{DRY} --methods kid,kidd", "no method 'kidd' is installed")
row("--jobs 0", f"{DRY} --jobs 0", "Error: Invalid value for '--jobs': 0 is not in the range x>=1.")
row(
    "--out a file",
    "run r.toml --out r.toml/runs",
    "cannot write below r.toml/runs/r-",
    "r.toml: Not a directory",
    code=1,
)
for call in (
    "run {}",
    "run r.toml --out {}",
    "compare {}",
    "data check {}",
    "data check spider --evaluation {}",
    "data fuzz {} --questions spider/dev.json",
    "score --data {} --databases spider/database --predictions predictions.sql",
    "score --data spider/dev.json --databases {} --predictions predictions.sql",
    "score --data spider/dev.json --databases spider/database --predictions {}",
    "report {}",
    "new mine {}",
):
    row(f"a name that is too long: {call}", call.format("x" * 5000), "x" * 50, code=None)
row("no such command", "rum r.toml", "Error: No such command 'rum'")

for bad, told in (
    ("{ alpa = 0.5 }", 'options.alpa: unknown option of method kid; did you mean "alpha"?'),
    ("{ alpha = 3 }", "options.alpha: must be greater than 0 and at most 1, not 3"),
    ('{ alpha = "x" }', "options.alpha: must be a number"),
    ('{ strategy = "best" }', "options.strategy: must be"),
    ("[1]", "options: must be a table"),
):
    row(f"options = {bad}", DRY, told, break_=edit("r.toml", "{ alpha = 0.5 }", bad))
row("an option of check", "check kid --options alpha=x", "alpha: must be a number")
row("check of nothing", "check kidd", "no method 'kidd' is installed")
row("show of nothing", "show kidd", "no method 'kidd' is installed")
