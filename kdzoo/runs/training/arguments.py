"""The recipe's words for a training, as transformers' Trainer takes them."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import TrainingArguments

from kdzoo.recipe import Training


def trainer_arguments(training: Training, seed: int, steps: int, checkpoints: Path) -> TrainingArguments:
    """How to train so many ``steps``, with checkpoints in a folder of which the latest is kept."""
    return TrainingArguments(
        output_dir=str(checkpoints),
        per_device_train_batch_size=training.part_size,
        gradient_accumulation_steps=training.batch_size // training.part_size,
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
        save_total_limit=1,
        report_to=list(training.loggers) or "none",
        dataloader_pin_memory=torch.cuda.is_available(),
        use_cpu=not torch.cuda.is_available() and not torch.backends.mps.is_available(),
    )
