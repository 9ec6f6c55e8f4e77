"""Tokenizers."""

from __future__ import annotations

from broken_inputs.rows import AT, DRY, all_of, cut, edit, remove, row, set_json, write

row("no tokenizer", DRY, AT, "tokenizer", break_=remove("student/tokenizer*"))
row("tokenizer torn", DRY, AT, "tokenizer", break_=cut("student/tokenizer.json"))
row("tokenizer of another form", DRY, AT, "tokenizer", break_=write("student/tokenizer.json", '{"model": 3}'))
row("tokenizer's configuration torn", DRY, AT, "tokenizer", break_=cut("student/tokenizer_config.json"))
row(
    "tokenizer's configuration a list",
    DRY,
    AT,
    "tokenizer",
    break_=write("student/tokenizer_config.json", "[]"),
)
row(
    "another vocabulary",
    DRY,
    AT,
    "different tokenizers",
    "'choose'",
    break_=edit("student/tokenizer.json", '"select"', '"choose"'),
)
row(
    "no chat template where one is asked for",
    DRY,
    "prompt.template: the tokenizer has no chat template",
    break_=edit("r.toml", "[training]", '[prompt]\ntemplate = "chat"\n[training]'),
)
row(
    "no end of sequence",
    DRY,
    AT,
    "no end-of-sequence token",
    break_=all_of(
        remove("student/special_tokens_map.json"), set_json("student/tokenizer_config.json", eos_token=None)
    ),
)
row(
    "more tokens than the model has",
    DRY,
    "knows only 6 tokens",
    break_=all_of(
        *(edit(f"{role}/tokenizer.json", '"where": 5', '"where": 50') for role in ("student", "teacher"))
    ),
)
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
row(
    "a tokenizer that is none for data check",
    "data check train.jsonl --tokenizer teacher",
    "the tokenizer of 'teacher'",
    break_=cut("teacher/tokenizer.json"),
)
row(
    "a named tokenizer that is not there",
    DRY,
    "r.toml:7: tokenizer.path: there is no folder",
    break_=edit("r.toml", "[teacher]", '[tokenizer]\npath = "./nope"\n[teacher]'),
)
