"""What the Trainer is told of a recipe's training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kdzoo.recipe import Training
from kdzoo.runs.training.arguments import trainer_arguments


def told(steps: int = 100, **training: Any) -> Any:
    return trainer_arguments(Training(**training), seed=7, steps=steps, checkpoints=Path("there"))


def test_settings_keep_their_meaning_under_the_trainer_s_names() -> None:
    arguments = told(
        epochs=1.5,
        learning_rate=3e-4,
        schedule="constant_with_warmup",
        weight_decay=0.1,
        max_gradient_norm=0.5,
        precision="bf16",
        save_steps=9,
    )
    assert arguments.output_dir == "there"
    assert (arguments.num_train_epochs, arguments.max_steps) == (1.5, -1)
    assert arguments.learning_rate == 3e-4
    assert arguments.lr_scheduler_type == "constant_with_warmup"
    assert (arguments.weight_decay, arguments.max_grad_norm) == (0.1, 0.5)
    assert (arguments.bf16, told().bf16) == (True, False)
    assert (arguments.seed, arguments.data_seed) == (7, 7)
    assert (arguments.save_strategy, arguments.save_steps, arguments.save_total_limit) == ("steps", 9, 2)
    assert told().save_strategy == "epoch"
    assert told(max_steps=12).max_steps == 12


def test_the_warm_up_is_a_fraction_of_the_steps() -> None:
    assert told(warmup=0.25).get_warmup_steps(80) == 20
    assert told(warmup=0.0).get_warmup_steps(80) == 0


@pytest.mark.parametrize(("micro", "parts"), [(None, (16, 1)), (16, (16, 1)), (4, (4, 4))])
def test_a_batch_is_computed_in_parts(micro: int | None, parts: tuple[int, int]) -> None:
    arguments = told(batch_size=16, micro_batch_size=micro)
    assert (arguments.per_device_train_batch_size, arguments.gradient_accumulation_steps) == parts


@pytest.mark.parametrize(("steps", "every"), [(1, 1), (60, 3), (10_000, 10)])
def test_a_training_is_logged_some_twenty_times_or_every_ten_steps(steps: int, every: int) -> None:
    assert told(steps).logging_steps == every
    assert told(steps, logging_steps=4).logging_steps == 4


def test_nothing_is_reported_to_loggers_that_are_not_named() -> None:
    assert told().report_to == []
    assert told(loggers=("tensorboard",)).report_to == ["tensorboard"]
