"""What a method prepares is kept as it comes, and an interrupted preparation makes the rest alone."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from kdzoo.engine.prompts.batches import Batch, EncodedExample
from kdzoo.recipe import Training
from kdzoo.runs.processes import Processes
from kdzoo.runs.training.prepared import kept_tensors, with_prepared


class Module:
    """Prepares each prompt's tokens, and as many numbers as it has; ends with an error after ``batches`` batches."""

    shares_beginnings = True
    seed = 0

    def __init__(self, batches: int = 99) -> None:
        self.student = torch.nn.Linear(1, 1)
        self.seen: list[int] = []
        self.batches = batches

    def prepare(self, batch: Batch) -> dict[str, Tensor]:
        if self.batches == 0:
            raise KeyboardInterrupt
        self.batches -= 1
        self.seen += batch.examples
        width = max(len(prompt) for prompt in batch.prompts)
        rows = [[*prompt, *[0] * (width - len(prompt))] for prompt in batch.prompts]
        return {"tokens": torch.tensor(rows), "count": torch.tensor([len(p) for p in batch.prompts])}


EXAMPLES = [
    EncodedExample(number, [5 + number % 3, 4, *range(3, 3 + number % 4)], [2]) for number in range(11)
]


def prepare(module: Module, folder: Path, steps: int = 3) -> list[EncodedExample]:
    reporter = SimpleNamespace(start=lambda *_: None, advance=lambda *_: None, stop=lambda: None)
    context: Any = SimpleNamespace(reporter=reporter, processes=Processes())
    training = Training(max_steps=steps, batch_size=4)
    made: Any = module
    examples, seconds = with_prepared(context, "distill", folder, made, EXAMPLES, training)
    assert seconds >= 0
    return examples


def assert_complete(examples: list[EncodedExample]) -> None:
    assert [example.index for example in examples] == list(range(11))
    for example in examples:
        assert example.prepared is not None
        count = int(example.prepared["count"])
        assert count == len(example.prompt)
        assert example.prepared["tokens"][:count].tolist() == example.prompt
        assert not example.prepared["tokens"][count:].any()


def test_every_example_gets_its_own(tmp_path: Path) -> None:
    module = Module()
    assert_complete(prepare(module, tmp_path))
    assert sorted(module.seen) == list(range(11))
    assert_complete(prepare(Module(batches=0), tmp_path))  # everything is on disk


def test_those_that_no_step_draws_are_not_prepared(tmp_path: Path) -> None:
    module = Module()
    examples = prepare(module, tmp_path, steps=2)
    assert [example.index for example in examples] == list(range(11))
    assert {example.index for example in examples if example.prepared is not None} == set(module.seen)
    assert len(module.seen) in (8, 9)  # the first, too


@pytest.mark.parametrize("batches", [1, 2])
def test_an_interrupted_preparation_goes_on(tmp_path: Path, batches: int) -> None:
    first, second = Module(batches), Module()
    with pytest.raises(KeyboardInterrupt):
        prepare(first, tmp_path)
    assert_complete(prepare(second, tmp_path))
    assert sorted(first.seen + second.seen) == list(range(11))


def test_a_damaged_file_is_made_again(tmp_path: Path) -> None:
    prepare(Module(), tmp_path)
    damaged, *_ = sorted((tmp_path / "prepared").iterdir())
    lost = kept_tensors(tmp_path / "prepared").keys()
    damaged.write_bytes(damaged.read_bytes()[:20])
    lost -= kept_tensors(tmp_path / "prepared").keys()
    module = Module()
    assert_complete(prepare(module, tmp_path))
    assert set(module.seen) == set(lost) != set()
