"""Data in JSON lines and in Spider's format."""

from __future__ import annotations

import json

from broken_inputs.rows import CHECK, DRY, DRY_SPIDER, all_of, cut, edit, remove, row, write
from broken_inputs.world import QUESTION

row(
    "no training file",
    "run r.toml",
    "r.toml:4: data.train: there is no",
    "train.jsonl",
    break_=remove("train.jsonl"),
)
row(
    "a folder for a file",
    "run r.toml",
    "data.train: ",
    "is not a file of examples",
    break_=edit("r.toml", '"train.jsonl"', '"teacher"'),
)
for content, told in (
    (b'{"prompt": "a", "target": "b"}\n{"prompt": "a",\n', "train.jsonl:2: not valid JSON"),
    (b'{"prompt": "a", "target": "b"}\n[1]\n', "train.jsonl:2: "),
    (b'{"prompt": "a"}\n', "train.jsonl:1: "),
    (b'{"prompt": "a", "target": 3}\n', "train.jsonl:1: "),
    (b'{"prompt": "\xff", "target": "b"}\n', "train.jsonl:1: not UTF-8 text"),
    (b'{"prompt": ' + b"[" * 100_000 + b"\n", "train.jsonl:1: nested too deeply"),
    (b"", "stage 'kid': the data hold no example to train on"),
):
    row(f"JSON lines {content[-20:]!r}", DRY, told, break_=write("train.jsonl", content))
READ_BY_DATASETS = edit(
    "r.toml", 'kind = "jsonl"\ntrain = "train.jsonl"\nevaluation = "evaluation.jsonl"', 'kind = "hf"\nHF'
)
for name, keys, *told in (
    (
        "a column that is not there",
        'path = "train.jsonl"\nevaluation = "train"\ncolumns = { prompt = "question", target = "target" }',
        "data.columns.prompt: the split train has no column 'question'; it has prompt, target",
    ),
    (
        "columns of other names",
        'path = "other.jsonl"\nevaluation = "train"',
        "the split train has the columns question, answer, and none of the forms",
        'columns = { prompt = "question", target = "answer" }',
    ),
    (
        "a split that is not there",
        'path = "train.jsonl"\nevaluation = "validation"',
        "data.evaluation: there is no split 'validation'; it has train",
    ),
):
    row(
        f"hf: {name}",
        DRY,
        *told,
        break_=all_of(
            write("other.jsonl", '{"question": "select", "answer": "from"}\n' * 4),
            READ_BY_DATASETS,
            edit("r.toml", "HF", keys),
        ),
    )
row(
    "data check of torn lines",
    "data check train.jsonl",
    "train.jsonl:4: not valid JSON",
    break_=cut("train.jsonl", 0.9),
)
row("data check of nothing", "data check absent", "absent")

for command in (CHECK, DRY_SPIDER):
    for content, *told in (
        ('[{"db_id": "shop", "quest', "dev.json:1: not valid JSON"),
        (b'[\n{"db_id": "\xe9"}]', "dev.json:2: not UTF-8 text"),
        ('{"db_id": "shop"}', "dev.json: must hold a JSON list, not an object"),
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
row(
    "tables.json of another form",
    CHECK,
    "tables.json: entry 0: not in the official format",
    break_=write("spider/tables.json", '[{"db_id": 3}]'),
)
