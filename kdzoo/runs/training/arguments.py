"""The recipe's words for a training, as transformers' Trainer takes them."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import TrainingArguments

from kdzoo.engine.prompts.step_shares import StepSize
from kdzoo.recipe import Training


def step_size(training: Training) -> StepSize:
    """How many prompts a step takes, and how many of them are run at once."""
    return StepSize(training.batch_size, training.part_size)


def trainer_arguments(
    training: Training, seed: int, steps: int, checkpoints: Path, processes: int = 1
) -> TrainingArguments:
    """How each of so many processes is to train so many ``steps``, with checkpoints in a folder of which the latest two are kept."""
    size = step_size(training)
    return TrainingArguments(
        output_dir=str(checkpoints),
        per_device_train_batch_size=size.part(processes),
        gradient_accumulation_steps=size.parts(processes),
        num_train_epochs=training.epochs,
        max_steps=-1 if training.max_steps is None else training.max_steps,
        learning_rate=training.learning_rate,
        lr_scheduler_type=training.schedule,
        warmup_steps=training.warmup,  # below 1 it is a fraction of the steps
        weight_decay=training.weight_decay,
        max_grad_norm=training.max_gradient_norm,
        bf16=training.precision == "bf16",
        seed=seed,
        data_seed=seed,
        logging_steps=training.logging_steps or max(1, min(10, steps // 20)),
        save_strategy="epoch" if training.save_steps is None else "steps",
        save_steps=training.save_steps or 500,
        save_total_limit=2,  # should the latest be damaged, there is one before it
        report_to=list(training.loggers) or "none",
        dataloader_pin_memory=torch.cuda.is_available(),
        use_cpu=not torch.cuda.is_available() and not torch.backends.mps.is_available(),
    )
