"""A run with a stage of each sort that leaves a model: adapters on two sorts of bases, and a whole model."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

from gguf_models import VOCABULARY, make, tokenizer_of
from rich.console import Console

from kdzoo.recipe import load_recipe
from kdzoo.report.progress import Reporter
from kdzoo.runs import pipeline

RECIPE = """\
name = "small"
seed = 3
[data]
kind = "jsonl"
train = "train.jsonl"
evaluation = "train.jsonl"
[tokenizer]
path = "small-base"
[teacher]
from_scratch = { architecture = "llama", hidden_size = 64, intermediate_size = 96, num_hidden_layers = 2, num_attention_heads = 4 }
lora = { rank = 2 }
[teachers.other]
path = "small-base"
[student]
path = "small-base"
lora = { rank = 2 }
[training]
max_steps = 2
batch_size = 4
learning_rate = 0.02
input_limit = 64
output_limit = 8
[[stage]]
kind = "finetune"
[[stage]]
kind = "finetune"
name = "whole"
model = "other"
[[stage]]
kind = "distill"
method = "fkd"
[[stage]]
kind = "evaluate"
"""
ASKED = "SELECT name FROM singer"
CHAT = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' }}"
    "{% endfor %}"
)


# What the run's predictions call the models that its stages left.
MODELS = {"finetune": "teacher", "whole": "other", "fkd": "fkd"}


def make_small_run(folder: Path) -> Path:
    """Run the recipe in a folder, and give the run's. Stages: finetune (an adapter on a base that the run made), whole
    (a whole model), fkd (an adapter on the local folder small-base), evaluate.
    """
    base = folder / "small-base"
    make("llama").save_pretrained(base)
    tokenizer = tokenizer_of("qwen2", begins=True)
    tokenizer.chat_template = CHAT
    tokenizer.save_pretrained(base)
    assert len(tokenizer) < VOCABULARY  # a vocabulary that is padded, as many are
    lines = [{"prompt": f"{ASKED} {n}", "target": f" WHERE age > {n}"} for n in range(4)]
    (folder / "train.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "r.toml").write_text(RECIPE)
    reporter = Reporter(Console(file=StringIO()))
    return pipeline.run(load_recipe(folder / "r.toml"), folder / "runs", reporter).path
