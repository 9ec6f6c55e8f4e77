"""A run's model answers a user as it answered in the run's evaluation, and as plain transformers has it."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import chat_kinds
import pytest
import torch
from rich.console import Console
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from kdzoo.errors import UserError
from kdzoo.recipe import load_recipe
from kdzoo.report.progress import Reporter
from kdzoo.runs import pipeline
from kdzoo.runs.answering import AnsweringModel
from kdzoo.runs.asked_data import choose_data
from kdzoo.runs.trained_stage import find_trained_stage

QUESTIONS = ["table singer : name", "table : age", "table : " + "age , name , " * 20 + "which ?"]
RECIPE = """\
[data]
kind = "jsonl"
train = "a.jsonl"
evaluation = "a.jsonl"
[student]
path = "student"
lora = { rank = 2 }
[prompt]
template = "TEMPLATE"
[training]
max_steps = 1
batch_size = 2
input_limit = 90
output_limit = 12
[[stage]]
kind = "distill"
method = "sft"
[[stage]]
kind = "evaluate"
"""
REPORTER = Reporter(Console(file=StringIO()))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plain run and one of a chat model, each evaluated on what it has learnt."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        tokenizer = chat_kinds.KINDS["qwen25"].make()
        torch.manual_seed(3)
        config = AutoConfig.for_model(
            "llama",
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=160,
            initializer_range=0.3,
        )
        model = AutoModelForCausalLM.from_config(config)
        # what a chat model's own says of sampling and penalties was not in force in the run
        model.generation_config = GenerationConfig(
            do_sample=True, temperature=0.6, repetition_penalty=1.3, eos_token_id=tokenizer.eos_token_id
        )
        model.save_pretrained("student")
        tokenizer.save_pretrained("student")
        lines = [json.dumps({"prompt": question, "target": "SELECT name"}) for question in QUESTIONS]
        Path("a.jsonl").write_text("\n".join(lines))
        for template in ("plain", "chat"):
            Path(f"{template}.toml").write_text(RECIPE.replace("TEMPLATE", template))
            pipeline.run(load_recipe(Path(f"{template}.toml")), Path("runs"), REPORTER)
    return folder / "runs"


@pytest.fixture
def load(runs: Path) -> Callable[..., AnsweringModel]:
    def load(template: str, **settings: float) -> AnsweringModel:
        (run,) = runs.glob(f"{template}-*")
        found = find_trained_stage(run)
        asked = choose_data(found, runs / ".cache", None, None)
        return AnsweringModel(found, asked, REPORTER, **settings)  # type: ignore[arg-type]

    return load


@pytest.mark.parametrize("template", ["plain", "chat"])
def test_answers_are_the_evaluation_s(runs: Path, load: Callable[..., AnsweringModel], template: str) -> None:
    (file,) = runs.glob(f"{template}-*/evaluate/predictions.jsonl")
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert len({line["prediction"] for line in lines}) > 1
    model = load(template)
    assert model.has_turns == (template == "chat")
    for question, line in zip(QUESTIONS, lines, strict=True):
        pieces: list[str] = []
        answered = model.answer(question, tell=pieces.append)
        assert answered.text == line["prediction"] == "".join(pieces).strip()
        assert answered.was_shortened == (question == QUESTIONS[-1])
        assert answered.was_cut
        assert len(pieces) > 1


def test_what_was_said_before_stands_before_a_question(
    runs: Path, load: Callable[..., AnsweringModel]
) -> None:
    (student,) = runs.parent.glob("student")
    tokenizer = AutoTokenizer.from_pretrained(student)
    messages = [
        {"role": "user", "content": "table : age"},
        {"role": "assistant", "content": "age > 12"},
        {"role": "user", "content": "which ?"},
    ]
    inputs = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt")
    model = load("chat")
    output = model._model.generate(**inputs, do_sample=False, repetition_penalty=1.0, max_new_tokens=12)
    expected = tokenizer.decode(output[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True).strip()
    earlier = [("user", "table : age"), ("assistant", "age > 12")]
    assert model.answer("which ?", earlier).text == expected
    assert not model.answer("which ?", earlier).was_shortened
    assert model.answer("which ?", earlier * 4).was_shortened


def test_sampling_depends_on_the_seed(load: Callable[..., AnsweringModel]) -> None:
    first, same, other = (
        load("plain", temperature=1.0, seed=seed).answer(QUESTIONS[0]).text for seed in (1, 1, 2)
    )
    assert first == same
    assert first != other


def test_an_answer_may_have_other_lengths(load: Callable[..., AnsweringModel]) -> None:
    short, usual = (load("plain", **most).answer(QUESTIONS[0]).text for most in ({"most": 2}, {}))
    assert len(short) < len(usual)
    assert usual.startswith(short.rstrip("\ufffd"))
    with pytest.raises(UserError, match=r"160 positions, fewer than the 191 .*--max-new-tokens"):
        load("plain", most=101)
