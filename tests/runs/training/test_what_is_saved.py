"""What a run saves gives the run's own predictions with plain transformers, for every kind of tokenizer."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import chat_kinds
import pytest
import tokenizer_kinds
import torch
from peft import PeftModel
from rich.console import Console
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from kdzoo.errors import UserError
from kdzoo.recipe import load_recipe
from kdzoo.report.progress import Reporter
from kdzoo.runs import pipeline

INPUT_LIMIT, OUTPUT_LIMIT = 40, 16
EXAMPLES = [
    ("table singer : name", "SELECT name"),
    ("table <|im_end|> : x", "LIKE '%</s>%'"),
    ("<s> table : age", "x = '[SEP]'"),
    ("table : " + "age , name , " * 20 + "which ?", "SELECT age"),
]
PLAIN = [("table singer : name", "SELECT name"), ("table : " + "age , name , " * 20 + "which ?", "age > 12")]
RECIPE = f"""\
name = "small"
[data]
kind = "jsonl"
train = "train.jsonl"
evaluation = "evaluation.jsonl"
[teacher]
path = "teacher"
[student]
path = "student"
[training]
max_steps = 20
batch_size = 4
learning_rate = 1e-2
input_limit = {INPUT_LIMIT}
output_limit = {OUTPUT_LIMIT}
[[stage]]
kind = "distill"
name = "kid"
method = "kid"
[[stage]]
kind = "evaluate"
models = ["kid"]
"""


def save_model(folder: str, tokenizer: Any, seed: int, ends: list[str] | None = None) -> None:
    torch.manual_seed(seed)
    config = AutoConfig.for_model(
        "llama",
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = AutoModelForCausalLM.from_config(config)
    if ends is not None:
        model.generation_config.eos_token_id = tokenizer.convert_tokens_to_ids(ends)
    model.generation_config.update(do_sample=True, repetition_penalty=1.3)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def run(examples: list[tuple[str, str]], *overrides: str) -> tuple[Path, str]:
    """Train on the examples, evaluate on them, and give the run's folder and what was printed."""
    lines = [json.dumps({"prompt": prompt, "target": target}) + "\n" for prompt, target in examples]
    Path("train.jsonl").write_text("".join(lines * 2))
    Path("evaluation.jsonl").write_text("".join(lines))
    Path("r.toml").write_text(RECIPE)
    printed = StringIO()
    recipe = load_recipe(Path("r.toml"), overrides)
    return pipeline.run(
        recipe, Path("runs"), Reporter(Console(file=printed, width=200))
    ).path, printed.getvalue()


def predictions(path: Path, model: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (path / "evaluate/predictions.jsonl").read_text().splitlines()]
    return [line for line in lines if line["model"] == model]


def answer(folder: Path, prompts: list[str]) -> tuple[list[str], list[list[int]]]:
    """What plain transformers says to each prompt, as text and as ids."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    if (folder / "adapter_config.json").is_file():
        base = json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"]
        model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), folder)
        settings = GenerationConfig.from_pretrained(folder)
    else:
        model = AutoModelForCausalLM.from_pretrained(folder)
        settings = model.generation_config
    texts, generated = [], []
    for prompt in prompts:
        inputs = tokenizer(prompt, return_tensors="pt")
        output = model.generate(**inputs, generation_config=settings, max_new_tokens=OUTPUT_LIMIT)
        ids = output[0, inputs["input_ids"].shape[1] :]
        texts.append(tokenizer.decode(ids, skip_special_tokens=True).strip())
        generated.append(ids.tolist())
    return texts, generated


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


FULL = ("gpt2", "llama2_with_end", "unigram")
LORA = ("qwen", "llama3", "wordpiece")


@pytest.mark.parametrize(("kind", "lora"), [*((k, False) for k in FULL), *((k, True) for k in LORA)])
def test_plain_transformers_gives_the_predictions_of_the_run(kind: str, lora: bool) -> None:
    tokenizer = tokenizer_kinds.ALL[kind]()
    for seed, name in enumerate(("teacher", "student")):
        save_model(name, tokenizer, seed)
    examples = PLAIN if kind in tokenizer_kinds.SPECIAL_WORDS else EXAMPLES
    path, _ = run(examples, *(["student.lora={rank=16, alpha=64}"] if lora else []))
    lines = predictions(path, "kid")
    assert [line["prompt"] for line in lines[:-1]] == [prompt for prompt, _ in examples[:-1]]
    # the last one is too long, and it is what is left of it that the model got
    assert lines[-1]["prompt"].startswith("table : age")
    assert lines[-1]["prompt"].endswith("which ?")
    assert len(lines[-1]["prompt"]) < len(examples[-1][0])
    texts, generated = answer(path / "kid/model", [line["prompt"] for line in lines])
    assert texts == [line["prediction"] for line in lines]
    if not lora:  # it has learnt something, and stops
        assert any(ids[-1] == tokenizer.eos_token_id for ids in generated)


class TestTwoEnds:
    """A teacher that ends with other tokens than its student, of one vocabulary, as instruct models do."""

    SAID = "the student ends with <|im_end|>, the teacher with <|endoftext|>, <|im_end|>: either ends a sequence\n"

    @pytest.fixture
    def saved(self) -> Any:
        tokenizer = tokenizer_kinds.qwen()
        save_model("student", tokenizer, 1, ["<|im_end|>"])
        save_model("teacher", tokenizer, 0, ["<|im_end|>", "<|endoftext|>"])
        return tokenizer

    def ends(self, saved: Any, folder: Path) -> list[str]:
        names: list[str] = saved.convert_ids_to_tokens(GenerationConfig.from_pretrained(folder).eos_token_id)
        return names

    def test_both_are_ends_of_the_student_and_it_is_said_once(self, saved: Any) -> None:
        more = ["training.max_steps=2", "evaluation.metrics=['exact_match', 'exaccerr']"]
        path, printed = run(EXAMPLES, *more)
        assert printed.count(self.SAID) == 1
        assert "kid: 2 examples spell special tokens, which are read as plain text" in printed
        assert self.ends(saved, path / "kid/model") == ["<|im_end|>", "<|endoftext|>"]
        lines = predictions(path, "kid")
        texts, _ = answer(path / "kid/model", [line["prompt"] for line in lines])
        assert texts == [line["prediction"] for line in lines]

    def test_a_student_that_learns_alone_keeps_its_own(self, saved: Any) -> None:
        path, printed = run(EXAMPLES, "training.max_steps=2", "kid.method=sft")
        assert "ends with" not in printed
        assert self.ends(saved, path / "kid/model") == ["<|im_end|>"]


class TestChat:
    """A student of a chat model: what the run saves answers conversations, as plain transformers has them."""

    CHAT = ("prompt.template='chat'", "training.max_steps=25")

    def saved(self, kind: str) -> Any:
        tokenizer = chat_kinds.KINDS[kind].make()
        for seed, name in enumerate(("student", "teacher")):
            save_model(name, tokenizer, seed, list(chat_kinds.KINDS[kind].ends))
        return tokenizer

    @pytest.mark.parametrize("kind", ["gemma", "qwen25"])
    def test_plain_transformers_gives_the_predictions_of_the_run(self, kind: str) -> None:
        tokenizer = self.saved(kind)
        system = ("prompt.system='Answer in SQL.'",) if chat_kinds.KINDS[kind].has_system else ()
        path, _ = run(
            PLAIN,
            *self.CHAT,
            *system,
            "training.input_limit=80",
            "evaluation.metrics=['exact_match', 'exaccerr']",
        )
        lines, folder = predictions(path, "kid"), path / "kid/model"
        again, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
        end = chat_kinds.KINDS[kind].end_of_turn
        ends = again.convert_ids_to_tokens(model.generation_config.eos_token_id)
        assert ends[0] == end
        assert set(ends) == {tokenizer.eos_token, *chat_kinds.KINDS[kind].ends}
        messages = [{"role": "system", "content": "Answer in SQL."}] if system else []
        for line, (prompt, _) in zip(lines[:1], PLAIN[:1], strict=True):
            asked = [*messages, {"role": "user", "content": prompt}]
            inputs = again.apply_chat_template(asked, add_generation_prompt=True, return_tensors="pt")
            shown = again.apply_chat_template(asked, add_generation_prompt=True, tokenize=False)
            assert line["prompt"] == shown
            output = model.generate(**inputs, max_new_tokens=OUTPUT_LIMIT)
            said = output[0, inputs["input_ids"].shape[1] :]
            assert again.decode(said, skip_special_tokens=True).strip() == line["prediction"]
            assert again.convert_ids_to_tokens(said[-1].item()) == end  # it has learnt to end its turn

    def test_a_tokenizer_without_a_template_is_told_before_the_run(self) -> None:
        for name in ("teacher", "student"):
            save_model(name, tokenizer_kinds.qwen(), 0)
        with pytest.raises(UserError, match=r"prompt.template='chat': the tokenizer has no chat template"):
            run(PLAIN, *self.CHAT)
