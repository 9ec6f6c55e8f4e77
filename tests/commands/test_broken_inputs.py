"""Broken inputs of every kind: each ends in one clear message and exit code 1 or 2, and leaves nothing half written.

A row breaks one thing in a small world that is right (recipes, data, databases, models, an adapter, a finished run) and says
what the command must tell: pieces of one line on standard error.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from outside_package import forget, install
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import AutoConfig, AutoModelForCausalLM

from kdzoo.testing import make_tokenizer

WORDS = ["<unk>", "<s>", "</s>", "select", "from", "where"]
QUESTION = {"db_id": "shop", "question": "How many?", "query": "SELECT count(*) FROM item"}

STAGES = """\
[training]
max_steps = 1
batch_size = 2
input_limit = 256
output_limit = 32
[[stage]]
kind = "distill"
method = "kid"
options = { alpha = 0.5 }
[[stage]]
kind = "evaluate"
"""
MODELS = """\
[teacher]
path = "teacher"
[student]
path = "student"
"""
RECIPE = f"""\
name = "r"
[data]
kind = "jsonl"
train = "train.jsonl"
evaluation = "evaluation.jsonl"
{MODELS}{STAGES}"""
SPIDER = f"""\
[data]
kind = "spider"
path = "spider"
[tokenizer]
train = {{ vocab_size = 400 }}
[teacher]
from_scratch = {{ architecture = "llama", hidden_size = 16, num_hidden_layers = 1, num_attention_heads = 1 }}
[student]
from_scratch = {{ architecture = "llama", hidden_size = 16, num_hidden_layers = 1, num_attention_heads = 1 }}
{STAGES}"""


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything as it should be."""
    world = tmp_path_factory.mktemp("whole")
    (world / "r.toml").write_text(RECIPE)
    (world / "spider.toml").write_text(SPIDER)
    for name in ("train", "evaluation"):
        (world / f"{name}.jsonl").write_text('{"prompt": "select", "target": "from where"}\n' * 4)
    tokenizer = make_tokenizer(WORDS, unk_token="<unk>", bos_token="<s>", eos_token="</s>")
    tokenizer.backend_tokenizer.pre_tokenizer = WhitespaceSplit()
    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    for role in ("teacher", "student"):
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model("llama", vocab_size=6, **sizes))
        model.save_pretrained(world / role)
        tokenizer.save_pretrained(world / role)
    config = LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM")
    get_peft_model(AutoModelForCausalLM.from_pretrained(world / "student"), config).save_pretrained(
        world / "adapter"
    )
    content = json.loads((world / "adapter/adapter_config.json").read_text())
    (world / "adapter/adapter_config.json").write_text(
        json.dumps({**content, "base_model_name_or_path": "student"})
    )
    database = world / "spider/database/shop/shop.sqlite"
    database.parent.mkdir(parents=True)
    connection = sqlite3.connect(database)
    connection.executescript("CREATE TABLE item (name TEXT, price INTEGER); CREATE INDEX i ON item (name);")
    connection.executemany("INSERT INTO item VALUES (?, ?)", [(f"thing {n}", n) for n in range(500)])
    connection.commit()
    connection.close()
    for name in ("train_spider", "dev"):
        (world / f"spider/{name}.json").write_text(json.dumps([QUESTION] * 3, indent=1))
    (world / "spider/tables.json").write_text("[]")
    (world / "predictions.sql").write_text("SELECT 1\n" * 3)
    (world / "site").mkdir()
    return world


@dataclass(frozen=True)
class Row:
    """One thing that is broken: how, what is then called, and what that tells on one line of standard error."""

    name: str
    call: str
    told: tuple[str, ...]
    break_: Callable[[Path], object] = field(default=lambda world: None)
    code: int = 2
    on: str = "err"


ROWS: list[Row] = []


def row(
    name: str,
    call: str,
    *told: str,
    break_: Callable[[Path], object] = lambda world: None,
    code: int = 2,
    on: str = "err",
) -> None:
    ROWS.append(Row(name, call, told, break_, code, on))


def write(name: str, content: str | bytes) -> Callable[[Path], object]:
    raw = content.encode() if isinstance(content, str) else content
    return lambda world: ((world / name).parent.mkdir(exist_ok=True), (world / name).write_bytes(raw))


def edit(name: str, old: str, new: str) -> Callable[[Path], object]:
    def change(world: Path) -> None:
        text = (world / name).read_text()
        assert old in text
        (world / name).write_text(text.replace(old, new, 1))

    return change


def cut(name: str, share: float = 0.5) -> Callable[[Path], object]:
    return lambda world: os.truncate(world / name, int((world / name).stat().st_size * share))


def remove(*names: str) -> Callable[[Path], object]:
    def change(world: Path) -> None:
        for name in names:
            for path in world.glob(name):
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    return change


def set_json(name: str, **keys: Any) -> Callable[[Path], object]:
    def change(world: Path) -> None:
        content = json.loads((world / name).read_text())
        (world / name).write_text(json.dumps({**content, **keys}))

    return change


def all_of(*changes: Callable[[Path], object]) -> Callable[[Path], object]:
    return lambda world: [change(world) for change in changes]


def with_key(key: str) -> Callable[[Path], object]:
    """Put a key before the recipe's tables."""
    return edit("r.toml", 'name = "r"', f'name = "r"\n{key}')


def method(source: str) -> Callable[[Path], object]:
    """Install a method named "outside", and let the recipe use it."""

    def change(world: Path) -> None:
        install(world / "site", "theirs", {"theirs": source}, {"kdzoo": {"outside": "theirs"}})
        edit("r.toml", '"kid"\noptions = { alpha = 0.5 }', '"outside"')(world)

    return change


DRY = "run r.toml --dry-run"

# ---- recipes
row("no recipe", "run absent.toml", "absent.toml: there is no such recipe")
row("a folder", "run teacher", "teacher: is a folder, not a recipe")
row("not UTF-8", DRY, "r.toml:2: not UTF-8 text", break_=write("r.toml", b'name = "r"\nx = "\xe9"\n'))
row("UTF-16", DRY, "r.toml: is UTF-16 text", break_=write("r.toml", "name = 'r'".encode("utf-16")))
row("a binary", "run student/model.safetensors", "student/model.safetensors:1: not UTF-8 text")
row("empty", DRY, "r.toml: stage: the recipe has no stage", break_=write("r.toml", ""))
row("torn", DRY, "r.toml:", "not valid TOML", break_=cut("r.toml", 0.3))
row("no TOML", DRY, "r.toml:1: not valid TOML", break_=write("r.toml", "{}"))
row("a deep array", DRY, "r.toml: nested too deeply", break_=write("r.toml", "x = " + "[" * 100_000))
row("a deep inline table", DRY, "r.toml:2: nested too deeply", break_=with_key("x = " + "{a=" * 80 + "1" + "}" * 80))
row("a key of many dots", DRY, "r.toml:2: nested too deeply", break_=with_key("a." * 300_000 + "a = 1"))
row("more than a recipe holds", DRY, "r.toml: is larger than 1,048,576 bytes", break_=with_key("#" * (1 << 20)))
row("no end", "run /dev/zero", "/dev/zero: is larger than 1,048,576 bytes")
row("too many keys", DRY, "keys and items; a recipe has 10,000 at most", break_=with_key(f"x = [{'1,' * 20_000}]"))
row("a number of 5000 digits", DRY, "r.toml:2: not valid TOML: a whole number", break_=with_key("seed = " + "9" * 5000))
row("extends itself", DRY, "r.toml:2: extends: the recipe extends itself", break_=with_key('extends = "r.toml"'))
row(
    "extends in a circle",
    DRY,
    "b.toml:1: extends: goes in a circle: r.toml -> b.toml -> r.toml",
    break_=all_of(with_key('extends = "b.toml"'), write("b.toml", 'extends = "r.toml"')),
)
row("extends nothing", DRY, "r.toml:2: extends: b.toml: there is no such recipe", break_=with_key('extends = "b.toml"'))
row("extends a number", DRY, "r.toml:2: extends: must be the path of a recipe", break_=with_key("extends = 3"))
row(
    "extends what is broken",
    DRY,
    "b.toml:1: not valid TOML",
    break_=all_of(with_key('extends = "b.toml"'), write("b.toml", "x = ")),
)
for bad in ("../../x", "/tmp/x", "a\\u0000b", "a/b", "..", ".", "", "x" * 81, "A b"):
    row(f"recipe named {bad[:9]}", DRY, "r.toml:1: name: must consist of", break_=edit("r.toml", '"r"', f'"{bad}"'))
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
row("a value of another type", DRY, "max_steps: must be", break_=edit("r.toml", "max_steps = 1", 'max_steps = "x"'))
row("an unknown method", DRY, "no method 'kidd' is installed", break_=edit("r.toml", '"kid"', '"kidd"'))
row("a stage that is no table", DRY, "stage: must be an array of tables", break_=write("r.toml", "stage = 3\nname = 'r'\n" + RECIPE.split("[training]")[0].removeprefix('name = "r"\n')))
row("a variable that is not set", DRY, "KDZOO_NOT_SET is not set", break_=edit("r.toml", '"train.jsonl"', '"${KDZOO_NOT_SET}/t"'))
row(
    "a path without end",
    DRY,
    "r.toml:4: data.train: the path has more than 65,536 characters",
    break_=edit("r.toml", '"train.jsonl"', f'"{"${PATH}" * 50_000}"'),
)
row("a path with a NUL", DRY, "r.toml:4: data.train: ", break_=edit("r.toml", '"train.jsonl"', '"a\\u0000b"'))
row("a path of 5000 characters", DRY, "r.toml:4: data.train: there is no", break_=edit("r.toml", '"train.jsonl"', f'"{"x" * 5000}"'))
row(
    "a sweep without end",
    DRY,
    "sweep: stands for 4000000 runs; 1000 at most",
    break_=lambda world: (world / "r.toml").open("a").write(
        f"[sweep]\nseed = {list(range(200))}\nstudent_seed = {list(range(200))}\ntraining.epochs = {list(range(1, 101))}\n"
    ),
)

# ---- the command line
row("--set of a deep value", f"{DRY} --set training.epochs={'[' * 5000}", "--set training.epochs=[[[", "must be a number")
row("--set of 5000 digits", f"{DRY} --set seed={'9' * 5000}", "--set seed=999", "must be")
row("--set of nothing", f"{DRY} --set nope.epochs=3", '--set nope.epochs=3: no stage or table "nope"')
row("--seeds that are none", f"{DRY} --seeds 1,x", "--seeds 1,x: write whole numbers")
row("--methods that are none", f"{DRY} --methods kid,kidd", "no method 'kidd' is installed")
row("--jobs 0", f"{DRY} --jobs 0", "Error: Invalid value for '--jobs': 0 is not in the range x>=1.")
row("--out a file", "run r.toml --out r.toml/runs", "cannot write below r.toml/runs/r-", "r.toml: Not a directory", code=1)
row("no such command", "rum r.toml", "Error: No such command 'rum'")

# ---- options
for bad, told in (
    ("{ alpa = 0.5 }", 'options.alpa: unknown option of method kid; did you mean "alpha"?'),
    ("{ alpha = 3 }", "options.alpha: must be less than or equal to 1"),
    ('{ alpha = "x" }', "options.alpha: must be a number"),
    ('{ strategy = "best" }', "options.strategy: must be"),
    ("[1]", "options: must be a table"),
):
    row(f"options = {bad}", DRY, told, break_=edit("r.toml", "{ alpha = 0.5 }", bad))
row("an option of check", "check kid --options alpha=x", "alpha: must be a number")
row("check of nothing", "check kidd", "no method 'kidd' is installed", on="out", code=1)
row("show of nothing", "show kidd", "no method 'kidd' is installed")

# ---- data in JSON lines
row("no training file", "run r.toml", "r.toml:4: data.train: there is no", "train.jsonl", break_=remove("train.jsonl"))
row("a folder for a file", "run r.toml", "data.train: ", "is not a file of examples", break_=edit("r.toml", '"train.jsonl"', '"teacher"'))
for content, told in (
    (b'{"prompt": "a", "target": "b"}\n{"prompt": "a",\n', "train.jsonl:2: not valid JSON"),
    (b'{"prompt": "a", "target": "b"}\n[1]\n', "train.jsonl:2: "),
    (b'{"prompt": "a"}\n', "train.jsonl:1: "),
    (b'{"prompt": "a", "target": 3}\n', "train.jsonl:1: "),
    (b'{"prompt": "\xff", "target": "b"}\n', "train.jsonl:1: not UTF-8 text"),
    (b'{"prompt": ' + b"[" * 100_000 + b"\n", "train.jsonl:1: nested too deeply"),
    (b"", "train.jsonl"),
):
    row(f"JSON lines {content[-20:]!r}", DRY, told, break_=write("train.jsonl", content))
row("data check of torn lines", "data check train.jsonl", "train.jsonl:4: not valid JSON", break_=cut("train.jsonl", 0.9))
row("data check of nothing", "data check absent", "absent")

# ---- data in Spider's format
CHECK = "data check spider"
for command in (CHECK, "run spider.toml --dry-run"):
    for content, *told in (
        ('[{"db_id": "shop", "quest', "dev.json:1: not valid JSON"),
        (b'[\n{"db_id": "\xe9"}]', "dev.json:2: not UTF-8 text"),
        ('{"db_id": "shop"}', "dev.json: must hold a list"),
        ("[" * 100_000, "dev.json: nested too deeply"),
        ("[3]", "dev.json: entry 0"),
        ('[{"db_id": "shop", "question": "How many?"}]', "dev.json: entry 0"),
        ('[{"db_id": "shop", "question": 3, "query": "SELECT 1"}]', "dev.json: entry 0"),
        (json.dumps([{**QUESTION, "db_id": "../../shop"}]), "dev.json: entry 0"),
        (json.dumps([{**QUESTION, "db_id": "mall"}]), "dev.json: entry 0", "mall"),
    ):
        row(f"{command[:4]} of {str(content)[:45]}", command, *told, break_=write("spider/dev.json", content))
row("no questions file", CHECK, "dev.json", break_=remove("spider/dev.json"))
row("tables.json torn", CHECK, "tables.json:1: not valid JSON", break_=write("spider/tables.json", "[{"))
row("tables.json of another form", CHECK, "tables.json: entry 0: not in the official format", break_=write("spider/tables.json", '[{"db_id": 3}]'))

# ---- databases
DATABASE = "spider/database/shop/shop.sqlite"
for command in (CHECK, "run spider.toml --dry-run"):
    row(f"{command[:4]}: a torn database", command, DATABASE, break_=cut(DATABASE), code=1)
    row(f"{command[:4]}: no database", command, DATABASE, "is not a database", break_=write(DATABASE, "x" * 5000), code=1)
row("a database that is gone", CHECK, "dev.json: entry 0", "shop", break_=remove("spider/database/shop"))
row(
    "a folder for a database",
    CHECK,
    "entry 0",
    "shop",
    break_=all_of(remove(DATABASE), lambda world: (world / DATABASE).mkdir()),
)
row("fuzz of no database", "data fuzz spider/database --questions spider/dev.json --out suite", DATABASE, break_=write(DATABASE, "x" * 5000), code=1)

# ---- kdzoo score
SCORE = f"score --data spider/dev.json --databases spider/database --predictions predictions.sql --json scores.json"
row("score: no questions file", SCORE, "spider/dev.json: there is no such file", break_=remove("spider/dev.json"))
row("score: torn questions", SCORE, "spider/dev.json:", "not valid JSON", break_=cut("spider/dev.json"))
row("score: no predictions", SCORE, "predictions.sql: there is no such file", break_=remove("predictions.sql"))
row("score: too few predictions", SCORE, "predictions.sql: ", "3", break_=write("predictions.sql", "SELECT 1\n"))
row("score: predictions in another encoding", SCORE, "predictions.sql:1: not UTF-8 text", break_=write("predictions.sql", b"\xff\n" * 3))
row("score: no database", SCORE, "no gold query runs", "shop.sqlite", break_=write(DATABASE, "x" * 5000), code=1)
row("score: no folder of databases", SCORE, "spider/database: there is no such folder", break_=remove("spider/database"))

# ---- models
for role, line in (("teacher", 7), ("student", 9)):
    at = f"r.toml:{line}: {role}.path: "
    row(f"{role}: no config", DRY, at, break_=remove(f"{role}/config.json"))
    row(f"{role}: config torn", DRY, at, break_=cut(f"{role}/config.json"))
    row(f"{role}: weights cut off", DRY, at, "cannot be loaded", break_=cut(f"{role}/model.safetensors"))
AT = "r.toml:9: student.path: "
row("config is a list", DRY, AT, break_=write("student/config.json", "[1]"))
row("config of wrong types", DRY, AT, break_=set_json("student/config.json", hidden_size="wide"))
row("config nested deeply", DRY, AT, break_=write("student/config.json", '{"a":' * 100_000))
row("config in another encoding", DRY, AT, break_=write("student/config.json", b"\xff\xfe{"))
row("unknown architecture", DRY, AT, "lama", break_=set_json("student/config.json", model_type="lama"))
row("an encoder", DRY, AT, break_=set_json("student/config.json", model_type="vit"))
row("another shape", DRY, AT, "have another shape", break_=set_json("student/config.json", intermediate_size=16))
row("weights that are missing", DRY, AT, "lack 9", break_=set_json("student/config.json", num_hidden_layers=2))
row("no weights", DRY, AT, "model.safetensors", break_=remove("student/model.safetensors"))
row("empty weights", DRY, AT, "cannot be loaded", break_=write("student/model.safetensors", b""))
row("weights that are noise", DRY, AT, "cannot be loaded", break_=write("student/model.safetensors", b"\x07" * 999))
row("an empty folder", DRY, AT, break_=remove("student/*"))
row("no folder", DRY, AT, break_=remove("student"))
row("a file for a folder", DRY, AT, "is a file, not the folder of a model", break_=all_of(remove("student"), write("student", b"")))
row(
    "an index of shards that are gone",
    DRY,
    AT,
    "model-1.safetensors",
    break_=all_of(
        remove("student/model.safetensors"),
        write("student/model.safetensors.index.json", '{"metadata": {}, "weight_map": {"a": "model-1.safetensors"}}'),
    ),
)


def as_pickle(file: str, name: str) -> Callable[[Path], object]:
    def change(world: Path) -> None:
        torch.save(load_file(world / file), (world / file).with_name(name))
        (world / file).unlink()

    return change


row(
    "a pickle",
    DRY,
    AT,
    "holds its weights as a pickle (pytorch_model.bin)",
    "convert them: python -c",
    break_=as_pickle("student/model.safetensors", "pytorch_model.bin"),
)
CODE = {"AutoConfig": "modeling_own.Config", "AutoModelForCausalLM": "modeling_own.Model"}
row(
    "a model with code of its own",
    DRY,
    AT,
    "needs code that comes with it",
    "trust_remote_code = true",
    break_=all_of(
        set_json("student/config.json", model_type="own", auto_map=CODE),
        write("student/modeling_own.py", "raise SystemExit('this code has run')\n"),
    ),
)
row(
    "trust without a path",
    "run spider.toml --dry-run",
    "spider.toml:7: teacher.trust_remote_code: belongs to path",
    break_=edit("spider.toml", "[teacher]", "[teacher]\ntrust_remote_code = true"),
)
row("GGUF that is none", DRY, AT, "cannot be loaded", break_=all_of(edit("r.toml", '"student"', '"student"\ngguf_file = "m.gguf"'), write("student/m.gguf", b"GGUF" + b"\xff" * 99)))
row("GGUF that is noise", DRY, AT, "cannot be loaded", break_=all_of(edit("r.toml", '"student"', '"student"\ngguf_file = "m.gguf"'), write("student/m.gguf", b"x" * 99)))
row("GGUF that is gone", DRY, AT, "m.gguf", break_=edit("r.toml", '"student"', '"student"\ngguf_file = "m.gguf"'))
row("an architecture that is none", "run spider.toml --dry-run", "no architecture 'lama'", break_=edit("spider.toml", '"llama"', '"lama"'))
row("sizes that do not fit", "run spider.toml --dry-run", "spider.toml:", "student", break_=edit("spider.toml", "[student]\nfrom_scratch = { architecture = \"llama\", hidden_size = 16", "[student]\nfrom_scratch = { architecture = \"llama\", hidden_size = -3"))

# ---- tokenizers
row("no tokenizer", DRY, AT, "tokenizer", break_=remove("student/tokenizer*"))
row("tokenizer torn", DRY, AT, "tokenizer", break_=cut("student/tokenizer.json"))
row("tokenizer of another form", DRY, AT, "tokenizer", break_=write("student/tokenizer.json", '{"model": 3}'))
row("tokenizer's configuration torn", DRY, AT, "tokenizer", break_=cut("student/tokenizer_config.json"))
row("tokenizer's configuration a list", DRY, AT, "tokenizer", break_=write("student/tokenizer_config.json", "[]"))
row("another vocabulary", DRY, AT, "different tokenizers", "'select'", break_=edit("student/tokenizer.json", '"select"', '"choose"'))
row("no end of sequence", DRY, AT, "no end-of-sequence token", break_=all_of(remove("student/special_tokens_map.json"), set_json("student/tokenizer_config.json", eos_token=None)))
row("more tokens than the model has", DRY, "knows only 6 tokens", break_=all_of(*(edit(f"{role}/tokenizer.json", '"where": 5', '"where": 50') for role in ("student", "teacher"))))
row(
    "a tokenizer with code of its own",
    DRY,
    AT,
    "needs code that comes with it",
    "trust_remote_code = true",
    break_=all_of(
        set_json(
            "student/tokenizer_config.json",
            tokenizer_class="OwnTokenizer",
            auto_map={"AutoTokenizer": ["own.OwnTokenizer", None]},
        ),
        write("student/own.py", "raise SystemExit('this code has run')\n"),
    ),
)
row("a tokenizer that is none for data check", "data check train.jsonl --tokenizer teacher", "the tokenizer of 'teacher'", break_=cut("teacher/tokenizer.json"))
row(
    "a named tokenizer that is not there",
    DRY,
    "r.toml:7: tokenizer.path: there is no folder",
    break_=edit("r.toml", "[teacher]", '[tokenizer]\npath = "./nope"\n[teacher]'),
)

# ---- adapters
ON_ADAPTER = edit("r.toml", '"student"', '"adapter"')
CONFIG = "adapter/adapter_config.json"
for name, told, break_ in (
    ("no weights", "adapter has no weights of its adapter", remove("adapter/adapter_model.safetensors")),
    ("weights cut off", "cannot be put on its base", cut("adapter/adapter_model.safetensors")),
    ("configuration torn", CONFIG, cut(CONFIG)),
    ("configuration a list", CONFIG, write(CONFIG, "[]")),
    ("configuration empty", CONFIG, write(CONFIG, "{}")),
    ("no base", "names no base model", set_json(CONFIG, base_model_name_or_path=None)),
    ("a base that is gone", "absent/base", set_json(CONFIG, base_model_name_or_path="absent/base")),
    ("itself its base", "leads back to the adapter itself", set_json(CONFIG, base_model_name_or_path="adapter")),
    ("another rank", "size mismatch", set_json(CONFIG, r=3)),
    ("a rank of nothing", "adapter", set_json(CONFIG, r=-1)),
    ("layers that are not there", "q_prj", set_json(CONFIG, target_modules=["q_prj"])),
    ("an unknown kind", CONFIG, set_json(CONFIG, peft_type="LORAX")),
    ("a module to import", "megatron_config would import", set_json(CONFIG, megatron_config={"a": 1}, megatron_core="antigravity")),
    ("another task", "task_type is SEQ_CLS, not CAUSAL_LM", set_json(CONFIG, task_type="SEQ_CLS")),
    ("a base that is torn", "student", cut("student/model.safetensors")),
    ("a pickle", "holds its weights as a pickle (adapter_model.bin)", as_pickle("adapter/adapter_model.safetensors", "adapter_model.bin")),
):
    row(f"adapter: {name}", DRY, AT, told, break_=all_of(ON_ADAPTER, break_))

# ---- plugins
for name, source, told in (
    ("that raises", "raise ValueError('first line\\nsecond line')", "ValueError: first line"),
    ("that ends the program", "raise SystemExit(3)", "SystemExit: 3"),
    ("that imports nothing", "import no_such_module", "No module named 'no_such_module'"),
    ("that is no Python", "def (", "SyntaxError"),
    ("that nests without end", "def f():\n    f()\nf()", "RecursionError"),
    ("that registers nothing", "", "register_method"),
):
    row(f"a method {name}", DRY, "method 'outside' (package theirs) cannot be loaded", told, break_=method(source))
row("check of a method that raises", "check outside", "method 'outside' (package theirs) cannot be loaded", break_=method("1 / 0"), code=1, on="out")
row("show of a method that raises", "show outside", "method 'outside' (package theirs) cannot be loaded", break_=method("1 / 0"))
row(
    "a dataset that raises",
    DRY,
    "dataset 'outside' (package theirs) cannot be loaded: ZeroDivisionError",
    break_=all_of(
        lambda world: install(world / "site", "theirs", {"theirs": "1 / 0"}, {"kdzoo.datasets": {"outside": "theirs:X"}}),
        edit("r.toml", '"jsonl"', '"outside"'),
    ),
)
row(
    "a metric that raises",
    DRY,
    "metric 'outside' (package theirs) cannot be loaded: ZeroDivisionError",
    break_=all_of(
        lambda world: install(world / "site", "theirs", {"theirs": "1 / 0"}, {"kdzoo.metrics": {"outside": "theirs:X"}}),
        edit("r.toml", "[training]", '[evaluation]\nmetrics = ["outside"]\n[training]'),
    ),
)

# ---- what runs leave
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


@pytest.fixture
def world(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the world, which is the working directory."""
    world = tmp_path / "world"
    shutil.copytree(whole, world, symlinks=True)
    monkeypatch.chdir(world)
    monkeypatch.syspath_prepend(world / "site")
    yield world
    if any((world / "site").iterdir()):
        forget(world / "site")


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_world_is_right_as_long_as_nothing_is_broken(world: Path, kdzoo: Callable[..., Any]) -> None:
    for call in (DRY, "run spider.toml --dry-run", CHECK, SCORE, "data check train.jsonl --tokenizer teacher"):
        done = kdzoo(*call.split())
        assert (done.code, done.err) == (0, ""), call
    ON_ADAPTER(world)
    done = kdzoo(*DRY.split())
    assert (done.code, done.err) == (0, "")


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_one_message_and_nothing_half_written(row: Row, world: Path, kdzoo: Callable[..., Any]) -> None:
    row.break_(world)
    before = files_of(world)
    done = kdzoo(*row.call.split())
    assert done.code == row.code, done
    told = (done.err if row.on == "err" else done.out).splitlines()
    assert any(all(piece in line for piece in row.told) for line in told), done
    if row.on == "err":
        assert len([line for line in told if not line.startswith(("Usage: ", "Try "))]) in (1, 2), done
        assert told[0].startswith(("kdzoo: ", "Usage: ")), done
    assert "Traceback" not in done.out + done.err
    after = {name: content for name, content in files_of(world).items() if not name.startswith("runs/.cache/")}
    assert after == before
