"""Models."""

from __future__ import annotations

from pathlib import Path

from broken_inputs.rows import AT, DRY, DRY_SPIDER, all_of, as_pickle, cut, edit, remove, row, set_json, write

for role, line in (("teacher", 7), ("student", 9)):
    at = f"r.toml:{line}: {role}.path: "
    row(f"{role}: no config", DRY, at, break_=remove(f"{role}/config.json"))
    row(f"{role}: config torn", DRY, at, break_=cut(f"{role}/config.json"))
    row(f"{role}: weights cut off", DRY, at, "cannot be loaded", break_=cut(f"{role}/model.safetensors"))
row("config is a list", DRY, AT, break_=write("student/config.json", "[1]"))
row("config of wrong types", DRY, AT, break_=set_json("student/config.json", hidden_size="wide"))
row("config nested deeply", DRY, AT, break_=write("student/config.json", '{"a":' * 100_000))
row("config in another encoding", DRY, AT, break_=write("student/config.json", b"\xff\xfe{"))
row("unknown architecture", DRY, AT, "lama", break_=set_json("student/config.json", model_type="lama"))
row(
    "another shape",
    DRY,
    AT,
    "have another shape",
    break_=set_json("student/config.json", intermediate_size=16),
)
row(
    "weights that are missing", DRY, AT, "lack 9", break_=set_json("student/config.json", num_hidden_layers=2)
)
row("no weights", DRY, AT, "model.safetensors", break_=remove("student/model.safetensors"))
row("empty weights", DRY, AT, "cannot be loaded", break_=write("student/model.safetensors", b""))
row(
    "weights that are noise",
    DRY,
    AT,
    "cannot be loaded",
    break_=write("student/model.safetensors", b"\x07" * 999),
)
row("an empty folder", DRY, AT, break_=remove("student/*"))
row("no folder", "run r.toml", AT, break_=remove("student"))
row(
    "a file for a folder",
    DRY,
    AT,
    "is a file, not the folder of a model",
    break_=all_of(remove("student"), write("student", b"")),
)
row(
    "an index of shards that are gone",
    DRY,
    AT,
    "model-1.safetensors",
    break_=all_of(
        remove("student/model.safetensors"),
        write(
            "student/model.safetensors.index.json",
            '{"metadata": {}, "weight_map": {"a": "model-1.safetensors"}}',
        ),
    ),
)


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
    "attention to download",
    DRY,
    AT,
    "asks for code to download as its attention, 'someone/kernel'",
    "trust_remote_code = true",
    break_=set_json("student/config.json", attn_implementation="someone/kernel"),
)
row(
    "trust without a path",
    DRY_SPIDER,
    "spider.toml:7: teacher.trust_remote_code: belongs to path",
    break_=edit("spider.toml", "[teacher]", "[teacher]\ntrust_remote_code = true"),
)
row(
    "GGUF that is none",
    DRY,
    AT,
    "cannot be loaded",
    break_=all_of(
        edit("r.toml", '"student"', '"student"\ngguf_file = "m.gguf"'),
        write("student/m.gguf", b"GGUF" + b"\xff" * 99),
    ),
)
row(
    "GGUF that is noise",
    DRY,
    AT,
    "cannot be loaded",
    break_=all_of(
        edit("r.toml", '"student"', '"student"\ngguf_file = "m.gguf"'), write("student/m.gguf", b"x" * 99)
    ),
)


def gguf_of_an_unknown_architecture(world: Path) -> None:
    from gguf import GGUFWriter

    writer = GGUFWriter(world / "student/m.gguf", "nosuchmodel")
    writer.add_block_count(1)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


row(
    "GGUF of an architecture that transformers does not know",
    DRY,
    AT,
    "architecture nosuchmodel is not supported",
    break_=all_of(
        edit("r.toml", '"student"', '"student"\ngguf_file = "m.gguf"'), gguf_of_an_unknown_architecture
    ),
)
row(
    "GGUF that is gone",
    DRY,
    AT,
    "m.gguf",
    break_=edit("r.toml", '"student"', '"student"\ngguf_file = "m.gguf"'),
)
row(
    "an architecture that is none",
    DRY_SPIDER,
    "no architecture 'lama'",
    break_=edit("spider.toml", '"llama"', '"lama"'),
)
row(
    "sizes that do not fit",
    DRY_SPIDER,
    "spider.toml:",
    "student",
    break_=edit(
        "spider.toml",
        '[student]\nfrom_scratch = { architecture = "llama", hidden_size = 16',
        '[student]\nfrom_scratch = { architecture = "llama", hidden_size = -3',
    ),
)
