"""Recipes."""

from __future__ import annotations

from broken_inputs.rows import DRY, all_of, cut, edit, row, with_key, write
from broken_inputs.world import RECIPE

row("no recipe", "run absent.toml", "absent.toml: there is no such recipe")
row("a folder", "run teacher", "teacher: is a folder, not a recipe")
row("not UTF-8", DRY, "r.toml:2: not UTF-8 text", break_=write("r.toml", b'name = "r"\nx = "\xe9"\n'))
row("UTF-16", DRY, "r.toml: is UTF-16 text", break_=write("r.toml", "name = 'r'".encode("utf-16")))
row("a binary", "run student/model.safetensors", "student/model.safetensors:1: not UTF-8 text")
row(
    "no stage",
    DRY,
    "r.toml: stage: the recipe has no stage",
    break_=write("r.toml", RECIPE.split("[[stage]]")[0]),
)
row("torn", DRY, "r.toml:", "not valid TOML", break_=cut("r.toml", 0.3))
row("no TOML", DRY, "r.toml:1: not valid TOML", break_=write("r.toml", "{}"))
row("a deep array", DRY, "r.toml: nested too deeply", break_=write("r.toml", "x = " + "[" * 100_000))
row(
    "a deep inline table",
    DRY,
    "r.toml:2: nested too deeply",
    break_=with_key("x = " + "{a=" * 80 + "1" + "}" * 80),
)
row("a key of many dots", DRY, "r.toml:2: nested too deeply", break_=with_key("a." * 300_000 + "a = 1"))
row(
    "more than a recipe holds",
    DRY,
    "r.toml: is larger than 1,048,576 bytes",
    break_=with_key("#" * (1 << 20)),
)
row("no end", "run /dev/zero", "/dev/zero: is larger than 1,048,576 bytes")
row(
    "too many keys",
    DRY,
    "keys and items; a recipe has 10,000 at most",
    break_=with_key(f"x = [{'1,' * 10_000}]"),
)
row(
    "a number of 5000 digits",
    DRY,
    "r.toml:2: not valid TOML: a whole number",
    break_=with_key("seed = " + "9" * 5000),
)
row(
    "extends itself",
    DRY,
    "r.toml:2: extends: the recipe extends itself",
    break_=with_key('extends = "r.toml"'),
)
row(
    "extends in a circle",
    DRY,
    "b.toml:1: extends: goes in a circle: r.toml -> b.toml -> r.toml",
    break_=all_of(with_key('extends = "b.toml"'), write("b.toml", 'extends = "r.toml"')),
)
row(
    "extends nothing",
    DRY,
    "r.toml:2: extends: b.toml: there is no such recipe",
    break_=with_key('extends = "b.toml"'),
)
row(
    "extends a number", DRY, "r.toml:2: extends: must be the path of a recipe", break_=with_key("extends = 3")
)
row(
    "extends what is broken",
    DRY,
    "b.toml: not valid TOML",
    break_=all_of(with_key('extends = "b.toml"'), write("b.toml", "x = ")),
)
for bad in ("../../x", "/tmp/x", "a\\u0000b", "a/b", "..", ".", "", "x" * 81, "A b"):
    row(
        f"recipe named {bad[:9]}",
        DRY,
        "r.toml:1: name: must consist of",
        break_=edit("r.toml", '"r"', f'"{bad}"'),
    )
for bad in ("../x", "a/b", "..", "/x", "a\\u0000", "x" * 300, "-x"):
    row(
        f"stage named {bad[:9]}",
        DRY,
        "name: must consist of 1 to 80 letters, digits, _ and -",
        break_=edit("r.toml", 'method = "kid"', f'method = "kid"\nname = "{bad}"'),
    )
for table in ("evaluation_sets", "datasets", "teachers"):
    row(
        f"{table} named ../x",
        DRY,
        f"r.toml:3: {table}.../x: a name must consist of 1 to 80 letters",
        break_=edit("r.toml", "[data]", f'# a\n[{table}."../x"]\n[data]'),
    )
row(
    "a stage named as another folder of the run",
    DRY,
    'name: "tokenizer" names another part of a recipe',
    break_=edit("r.toml", 'method = "kid"', 'method = "kid"\nname = "tokenizer"'),
)
row(
    "two stages of one name",
    DRY,
    "another stage has this name already",
    break_=edit("r.toml", 'kind = "evaluate"', 'kind = "evaluate"\nname = "kid"'),
)
row("an unknown key", DRY, 'r.toml:2: sead: unknown key; did you mean "seed"?', break_=with_key("sead = 1"))
row(
    "a value of another type",
    DRY,
    "max_steps: must be",
    break_=edit("r.toml", "max_steps = 1", 'max_steps = "x"'),
)
row("an unknown method", DRY, "no method 'kidd' is installed", break_=edit("r.toml", '"kid"', '"kidd"'))
row(
    "a stage that is no table",
    DRY,
    "stage: must be an array of tables",
    break_=write(
        "r.toml", "stage = 3\nname = 'r'\n" + RECIPE.split("[training]")[0].removeprefix('name = "r"\n')
    ),
)
row(
    "a variable that is not set",
    DRY,
    "KDZOO_NOT_SET is not set",
    break_=edit("r.toml", '"train.jsonl"', '"${KDZOO_NOT_SET}/t"'),
)
row(
    "a path without end",
    DRY,
    "r.toml:4: data.train: no path can be so long",
    break_=edit("r.toml", '"train.jsonl"', f'"{"${PATH}" * 50_000}"'),
)
row("a path with a NUL", DRY, "r.toml:4: data.train: ", break_=edit("r.toml", '"train.jsonl"', '"a\\u0000b"'))
row(
    "a path of 5000 characters",
    DRY,
    "r.toml:4: data.train: no path can be so long",
    break_=edit("r.toml", '"train.jsonl"', f'"{"x" * 5000}"'),
)
row(
    "a sweep without end",
    DRY,
    "sweep: stands for 4000000 runs; 1000 at most",
    break_=lambda world: (
        (world / "r.toml")
        .open("a")
        .write(
            f"[sweep]\nseed = {list(range(200))}\nstudent_seed = {list(range(200))}\ntraining.epochs = {list(range(1, 101))}\n"
        )
    ),
)
