"""One contender of the step-time benchmark, run in a process of its own.

``python benchmarks/contenders.py NAME SHAPE STEPS LAYERS BATCH`` prints one JSON object: the seconds of each step (the
first, a warm-up, left out) and the peak memory. LAYERS and BATCH are 0 for the shape's own.
"""

from __future__ import annotations

import json
import logging
import resource
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from typing import Any, Literal

import torch
from peft import LoraConfig, get_peft_model
from transformers import PreTrainedModel, TrainerCallback, TrainingArguments
from workload import SHAPES, Shape, as_text, make_examples, make_model, make_tokenizer, reduced

from kdzoo.engine.prompts.batches import EncodedExample, EncodedExamples
from kdzoo.engine.prompts.sampling import SamplingLimits
from kdzoo.engine.training.chosen_method import choose_method
from kdzoo.engine.training.distillation_module import DistillationModule
from kdzoo.engine.training.trainer import KDTrainer
from kdzoo.methods import registry

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"

SHARING: tuple[Literal["off", "prompt", "on"], ...] = ("off", "prompt", "on")


class _Clock(TrainerCallback):  # type: ignore[misc]
    """Measures each optimizer step, from its beginning to its end."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self._begin = now()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.seconds.append(now() - self._begin)


def now() -> float:
    """Seconds, when all that has been asked of the device is done."""
    if DEVICE == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def _models(shape: Shape) -> tuple[Any, PreTrainedModel]:
    student: Any = make_model(shape.student, shape, DEVICE, seed=1)
    teacher = make_model(shape.teacher, shape, DEVICE, seed=2)
    teacher.eval().requires_grad_(False)
    if shape.lora_rank is not None:
        config = LoraConfig(
            r=shape.lora_rank, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"
        )
        student = get_peft_model(student, config)
    return student, teacher


def _common(folder: str, shape: Shape, steps: int) -> dict[str, Any]:
    return {
        "output_dir": folder,
        "per_device_train_batch_size": shape.micro_batch,
        "gradient_accumulation_steps": shape.batch // shape.micro_batch,
        "max_steps": steps,
        "learning_rate": 1e-4,
        "save_strategy": "no",
        "report_to": "none",
        "logging_steps": 1000,
        "disable_tqdm": True,
        "bf16": shape.computes_in_bf16,
        "use_cpu": DEVICE == "cpu",
        "gradient_checkpointing": False,
        "dataloader_pin_memory": False,
    }


def make_module(shape: Shape, method: str, sharing: Any) -> DistillationModule:
    """A module of one of kdzoo's methods, over the shape's models."""
    student, teacher = _models(shape)
    described = registry.find(method).method
    return DistillationModule(
        student,
        teacher if described.uses_teacher else None,
        choose_method(method, described.options()),
        make_tokenizer(shape),
        SamplingLimits(shape.target, (2,)),
        seed=0,
        sharing=sharing,
        prompt_limit=shape.prompt,
    )


def run_ours(shape: Shape, steps: int, method: str, sharing: str) -> list[float]:
    """A step of one of kdzoo's methods."""
    module = make_module(shape, method, sharing)
    examples = [
        EncodedExample(i, prompt, target, str(i // shape.group))
        for i, (prompt, target) in enumerate(make_examples(shape, steps))
    ]
    clock = _Clock()
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(**_common(folder, shape, steps), remove_unused_columns=False)
        trainer = KDTrainer(
            module, EncodedExamples(examples), arguments, group_size=shape.group, callbacks=[clock]
        )
        trainer.train()
    return clock.seconds


def run_plain(shape: Shape, steps: int, *, teacher_reads: bool = False) -> list[float]:
    """An ordinary SFT step by hand: model(input_ids, labels).loss, backward (in parts, if there are), AdamW.

    With ``teacher_reads`` the teacher runs over the same tokens without gradients: the least that a distillation adds.
    """
    student, teacher = _models(shape)
    if not teacher_reads:
        del teacher
    optimizer = torch.optim.AdamW((p for p in student.parameters() if p.requires_grad), lr=1e-4)
    examples = make_examples(shape, steps)
    seconds = []
    student.train()
    for step in range(steps):
        rows = examples[step * shape.batch : (step + 1) * shape.batch]
        ids = torch.tensor([p + t for p, t in rows], device=DEVICE)
        labels = torch.tensor([[-100] * len(p) + t for p, t in rows], device=DEVICE)
        begin = now()
        # targets are of one length, so that the parts' means weigh the same
        parts = shape.batch // shape.micro_batch
        for part_ids, part_labels in zip(ids.chunk(parts), labels.chunk(parts), strict=True):
            with torch.autocast(DEVICE, torch.bfloat16, enabled=shape.computes_in_bf16):
                loss = student(input_ids=part_ids, labels=part_labels).loss / parts
                if teacher_reads:
                    with torch.no_grad():
                        teacher(input_ids=part_ids)
            loss.backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        seconds.append(now() - begin)
    return seconds


def run_trl_sft(shape: Shape, steps: int) -> list[float]:
    """TRL's SFTTrainer on prompts and completions."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    student, teacher = _models(shape)
    del teacher
    rows = [
        {"input_ids": p + t, "completion_mask": [0] * len(p) + [1] * len(t)}
        for p, t in make_examples(shape, steps)
    ]
    clock = _Clock()
    with tempfile.TemporaryDirectory() as folder:
        arguments = SFTConfig(**_common(folder, shape, steps), max_length=None, completion_only_loss=True)
        SFTTrainer(
            student,
            arguments,
            train_dataset=Dataset.from_list(rows),
            processing_class=make_tokenizer(shape),
            callbacks=[clock],
        ).train()
    return clock.seconds


def run_trl_gkd(shape: Shape, steps: int, lmbda: float) -> list[float]:
    """TRL's experimental GKDTrainer; ``lmbda`` 1 is on-policy, 0 the ground truth. ``beta`` 1 is the reverse KL."""
    from datasets import Dataset
    from trl.experimental.gkd import GKDConfig, GKDTrainer

    student, teacher = _models(shape)
    rows = [{"prompt_ids": p, "target_ids": t} for p, t in make_examples(shape, steps)]

    def collate(batch: list[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
        ids = torch.tensor([row["prompt_ids"] + row["target_ids"] for row in batch])
        prompts = torch.tensor([row["prompt_ids"] for row in batch])
        labels = torch.tensor([[-100] * len(row["prompt_ids"]) + row["target_ids"] for row in batch])
        return {
            "input_ids": ids,
            "attention_mask": torch.ones_like(ids),
            "labels": labels,
            "prompts": prompts,
            "prompt_attention_mask": torch.ones_like(prompts),
        }

    clock = _Clock()
    with tempfile.TemporaryDirectory() as folder:
        arguments = GKDConfig(
            **_common(folder, shape, steps),
            lmbda=lmbda,
            beta=1.0,
            temperature=1.0,
            max_new_tokens=shape.target,
        )
        GKDTrainer(
            student,
            teacher,
            arguments,
            data_collator=collate,
            train_dataset=Dataset.from_list(rows),
            processing_class=make_tokenizer(shape),
            callbacks=[clock],
        ).train()
    return clock.seconds


def run_trl_distillation(shape: Shape, steps: int) -> list[float]:
    """TRL's DistillationTrainer: on-policy, ``beta`` 1 (reverse KL)."""
    from datasets import Dataset
    from trl import DistillationConfig, DistillationTrainer

    student, teacher = _models(shape)
    rows = [{"prompt": as_text(p)} for p, _ in make_examples(shape, steps)]
    clock = _Clock()
    with tempfile.TemporaryDirectory() as folder:
        arguments = DistillationConfig(
            **_common(folder, shape, steps), beta=1.0, temperature=1.0, max_completion_length=shape.target
        )
        DistillationTrainer(
            student,
            teacher,
            arguments,
            train_dataset=Dataset.from_list(rows),
            processing_class=make_tokenizer(shape),
            callbacks=[clock],
        ).train()
    return clock.seconds


CONTENDERS: dict[str, Callable[[Shape, int], list[float]]] = {
    "plain sft": run_plain,
    "plain sft and teacher": lambda shape, steps: run_plain(shape, steps, teacher_reads=True),
    **{
        f"kdzoo {method} ({sharing})": lambda shape, steps, m=method, s=sharing: run_ours(shape, steps, m, s)
        for method in ("sft", "rkd", "kid", "gkd")
        for sharing in SHARING
    },
    "trl sft": run_trl_sft,
    "trl gkd, ground truth": lambda shape, steps: run_trl_gkd(shape, steps, 0.0),
    "trl gkd, on-policy": lambda shape, steps: run_trl_gkd(shape, steps, 1.0),
    "trl distillation": run_trl_distillation,
}


def main() -> None:
    """Run one contender and print its numbers as JSON."""
    name, shape_name = sys.argv[1:3]
    steps, layers, batch = (int(argument) for argument in sys.argv[3:6])
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    shape = reduced(SHAPES[shape_name], layers, batch)
    seconds = CONTENDERS[name](shape, steps + 1)[1:]
    if DEVICE == "cuda":
        peak = torch.cuda.max_memory_allocated()
    else:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "peak_bytes": peak}))


if __name__ == "__main__":
    main()
