"""transformers' Trainer, taught to save the student alone, and each checkpoint aside until it is whole."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from peft import PeftModel, set_peft_model_state_dict
from peft.utils import load_peft_weights
from torch import Tensor, nn
from transformers import Trainer

from kdzoo.engine.models.sharding import is_sharded, of_this_process, whole_weights
from kdzoo.engine.models.without_card import save_without_card
from kdzoo.engine.training.checkpoints import ASIDE, publish, read_as_data
from kdzoo.engine.training.distillation_module import DistillationModule
from kdzoo.engine.training.method_state import load_state, save_state
from kdzoo.engine.training.nonfinite import DivergedError


class SavingTrainer(Trainer):  # type: ignore[misc]
    """Writes and reads the checkpoints of a `DistillationModule`: its student, what its method keeps, and an average."""

    def __init__(self, module: DistillationModule, **arguments: Any) -> None:
        super().__init__(model=module, **arguments)
        self._module = module
        self._aside: Path | None = None

    def save_more(self, folder: Path) -> None:
        """Write into a checkpoint what else a later start needs."""

    def load_student(self, checkpoint: Path) -> None:
        """Give the student the weights of a checkpoint."""
        self._load_from_checkpoint(str(checkpoint))

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Write the student; all processes call this, and the main one writes."""
        self._save(output_dir, whole_weights(self._module.student))

    def _get_output_dir(self, trial: Any = None) -> str:
        # where the Trainer writes a checkpoint, and removes others
        return str(self._aside or self.args.output_dir)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """Let the Trainer write a checkpoint aside, and give it its place when it is whole."""
        folder = Path(self.args.output_dir)
        self._aside = folder / ASIDE
        if self.args.should_save:
            shutil.rmtree(self._aside, ignore_errors=True)
        self.accelerator.wait_for_everyone()
        try:
            super()._save_checkpoint(model, trial)
            self.accelerator.wait_for_everyone()  # each process has its own part
            if self.args.should_save:
                written = self._aside / f"checkpoint-{self.state.global_step}"
                self.save_more(written)
                publish(written, folder, self.args.save_total_limit)
        finally:
            if self.args.should_save:
                shutil.rmtree(self._aside, ignore_errors=True)
            self._aside = None

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Tensor] | None = None) -> None:
        if not self.args.should_save:
            return
        trained = (of_this_process(weights) for weights in self._module.parameters() if weights.requires_grad)
        if not all(bool(weights.isfinite().all()) for weights in trained):
            # a checkpoint of it would let every later start diverge at once; the last step is saved too
            raise DivergedError(f"weights are not finite after step {self.state.global_step}")
        folder = output_dir or self.args.output_dir
        save_without_card(self._module.student, Path(folder), state_dict)
        self._module.tokenizer.save_pretrained(folder)
        save_state(self._module.method_state, Path(folder))
        if self._module.average is not None:
            self._module.average.save(Path(folder))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        student = self._module.student
        if is_sharded(self._module):
            return  # `load_student` has been called before that
        if isinstance(student, PeftModel):
            set_peft_model_state_dict(student, load_peft_weights(resume_from_checkpoint, device="cpu"))
        else:
            saved = type(student).from_pretrained(resume_from_checkpoint, dtype=student.dtype)
            student.load_state_dict(saved.state_dict())
        load_state(self._module.method_state, Path(resume_from_checkpoint))
        if self._module.average is not None:
            self._module.average.load(Path(resume_from_checkpoint))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        with read_as_data(checkpoint):
            super()._load_optimizer_and_scheduler(checkpoint)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        with read_as_data(checkpoint):
            super()._load_rng_state(checkpoint)
