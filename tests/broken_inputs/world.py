"""A small world that is right: recipes, data, databases, models, an adapter, predictions."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

from peft import LoraConfig, get_peft_model
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


def make_world(world: Path) -> None:
    """Everything as it should be."""
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
