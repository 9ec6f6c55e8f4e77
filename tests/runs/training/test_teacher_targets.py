"""What a teacher generates before training: by which decoding, from where it was stopped, and for which recipe."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from kdzoo.recipe import load_recipe
from kdzoo.report.progress import Reporter
from kdzoo.runs import pipeline

RECIPE = """\
name = "small"
[data]
kind = "jsonl"
train = "train.jsonl"
evaluation = "train.jsonl"
[tokenizer]
train = { vocab_size = 320 }
[teacher]
from_scratch = { architecture = "llama", hidden_size = 32, intermediate_size = 64, num_hidden_layers = 2, num_attention_heads = 4 }
[student]
from_scratch = { architecture = "llama", hidden_size = 16, intermediate_size = 32, num_hidden_layers = 1, num_attention_heads = 2 }
[training]
max_steps = 4
batch_size = 4
learning_rate = 1e-3
input_limit = 64
output_limit = 8
[[stage]]
kind = "finetune"
[[stage]]
kind = "distill"
method = "fdistill"
"""
PROMPTS = [f"count {'on ' * (i % 4)}{i}:" for i in range(10)]

Run = Callable[..., Path]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a teacher's fine-tune and a distill stage, and give the run's folder."""
    monkeypatch.chdir(tmp_path)
    lines = [json.dumps({"prompt": prompt, "target": f"{i} {i + 1}"}) for i, prompt in enumerate(PROMPTS)]
    Path("train.jsonl").write_text("".join(f"{line}\n" for line in lines))

    def run(*options: str, text: str = RECIPE, printed: Any = None) -> Path:
        Path("r.toml").write_text(text)
        recipe = load_recipe(Path("r.toml"), [f"distill.{option}" for option in options])
        return pipeline.run(
            recipe, Path("runs"), Reporter(Console(file=printed or StringIO(), width=160))
        ).path

    return run


def with_options(options: str, method: str = "fdistill") -> str:
    return RECIPE.replace(
        'method = "fdistill"', f'method = "{method}"\nname = "distill"\noptions = {{ {options} }}'
    )


def targets(folder: Path) -> list[list[int]]:
    """The targets that a run has kept, in the order of the prompts."""
    lines = (folder / "distill" / "teacher_targets.jsonl").read_text().splitlines()
    kept = dict(json.loads(line) for line in lines if line.endswith("]]"))
    return [kept[i] for i in range(len(PROMPTS))]


def by_generate(folder: Path, beams: int) -> list[list[int]]:
    """What transformers' generate gives for one prompt at a time, with the teacher that the run has saved."""
    saved = folder / "finetune" / "model"
    model, tokenizer = AutoModelForCausalLM.from_pretrained(saved), AutoTokenizer.from_pretrained(saved)
    settings = GenerationConfig.from_pretrained(saved, num_beams=beams, max_new_tokens=8)
    found = []
    for prompt in PROMPTS:
        tokens = tokenizer(prompt, return_tensors="pt")
        with torch.no_grad():
            output = model.generate(**tokens, generation_config=settings)
        found.append(output[0, tokens["input_ids"].shape[1] :].tolist())
    return found


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "distill" / "model" / "model.safetensors")


def test_each_decoding_is_that_of_transformers(run: Run) -> None:
    greedy = run(text=with_options('teacher_decoding = "greedy"'))
    assert targets(greedy) == by_generate(greedy, 1)
    beam = run(text=with_options('teacher_decoding = "beam", teacher_beams = 3'))
    assert targets(beam) == by_generate(beam, 3)
    assert targets(beam) != targets(greedy)
    sampled = [
        targets(run(text=with_options(options)))
        for options in (
            "",
            'teacher_decoding = "sample"',
            "teacher_temperature = 2.0",
            "teacher_temperature = 0",
        )
    ]
    assert sampled[0] == sampled[1] != sampled[2]
    assert sampled[2] != targets(greedy) == sampled[3]


def test_every_method_that_needs_them_may_choose(run: Run) -> None:
    options = 'lambda = 0.5, seq_kd = true, teacher_decoding = "beam"'
    folder = run(text=with_options(options, "gkd"))
    assert targets(folder) == by_generate(folder, 5)


def test_answers_only_what_the_steps_draw_and_says_the_same_there(run: Run) -> None:
    answers = targets(run(text=with_options("")))
    short = run(text=RECIPE.replace('"fdistill"', '"fdistill"\ntraining = { max_steps = 2 }'))
    lines = (short / "fdistill" / "teacher_targets.jsonl").read_text().splitlines()
    kept = dict(json.loads(line) for line in lines if line)
    assert len(kept) in (8, 9)  # the first, too
    assert all(ids == answers[index] for index, ids in kept.items())


def test_options_that_do_not_count_are_told_of(run: Run) -> None:
    printed = StringIO()
    run(text=with_options("teacher_beams = 7"), printed=printed)
    assert "teacher_beams = 7 changed nothing in 4 steps" in printed.getvalue()


class TestInterrupted:
    @pytest.fixture
    def stop(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
        """Let Ctrl-C be pressed at the fourth target, once."""

        def stop() -> None:
            advance = Reporter.advance

            def press(self: Reporter, now: int, numbers: str = "") -> None:
                advance(self, now, numbers)
                if self._name == "distill: teacher generates" and now == 4:
                    monkeypatch.setattr(Reporter, "advance", advance)
                    raise KeyboardInterrupt

            monkeypatch.setattr(Reporter, "advance", press)

        return stop

    BEAM = with_options('teacher_decoding = "beam", teacher_beams = 2')

    def test_a_search_goes_on_and_ends_the_same(self, run: Run, stop: Callable[[], None]) -> None:
        whole = run(text=self.BEAM)
        expected = targets(whole), weights(whole)
        (whole / "distill").rename("before")
        stop()
        with pytest.raises(KeyboardInterrupt):
            run(text=self.BEAM)
        printed = StringIO()
        again = run(text=self.BEAM, printed=printed)
        assert "distill: continues after 4 of the teacher's generations" in printed.getvalue()
        assert targets(again) == expected[0]
        assert all(tensor.equal(expected[1][name]) for name, tensor in weights(again).items())

    def test_what_another_decoding_has_made_is_not_taken(self, run: Run, stop: Callable[[], None]) -> None:
        stop()
        with pytest.raises(KeyboardInterrupt):
            run(text=self.BEAM)
        printed = StringIO()
        greedy = run(text=with_options('teacher_decoding = "greedy"'), printed=printed)
        assert "finetune: finished before, reused" in printed.getvalue()
        assert "continues" not in printed.getvalue()
        assert targets(greedy) == by_generate(greedy, 1)
