"""What the stages of a run have in common: the recipe, its data, its tokenizer, its models."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from peft import PeftModel
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from kdzoo.data.example import Splits
from kdzoo.data.load import load as load_data
from kdzoo.engine.encoding import count_prompt_tokens
from kdzoo.engine.models import Lora, ModelSource, add_lora, build_model, load_pretrained, load_trained
from kdzoo.engine.tokenizers import load_tokenizer, train_tokenizer
from kdzoo.errors import UserError
from kdzoo.files import new_folder
from kdzoo.recipe import ModelConfig, Recipe
from kdzoo.report.progress import Reporter
from kdzoo.run_directory import RunDirectory


@dataclass(frozen=True)
class ModelRef:
    """A model of the run: the recipe's ``teacher`` or ``student``, as it is or as a stage left it in ``folder``."""

    role: str
    folder: Path | None = None


class RunContext:
    """Loads what stages need when they need it, and keeps it."""

    def __init__(self, recipe: Recipe, directory: RunDirectory, cache: Path, reporter: Reporter) -> None:
        self.recipe = recipe
        self.directory = directory
        self.cache = cache
        self.reporter = reporter
        self.device = _device()

    @cached_property
    def splits(self) -> Splits:
        """The recipe's examples."""
        splits = load_data(self.recipe.data, cache=self.cache)
        for what, count in splits.report.items():
            if count:
                self.reporter.say(f"data: {count} {what}")
        return splits

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokenizer that all models of the run share."""
        config = self.recipe.tokenizer
        if config is not None and config.train is not None:
            folder = self.directory.path / "tokenizer"
            if not folder.is_dir():
                texts = (text for e in self.splits.train for text in (e.prompt, e.target))
                tokenizer = train_tokenizer(texts, config.train.vocab_size)
                with new_folder(folder) as temporary:
                    tokenizer.save_pretrained(str(temporary))
            return load_tokenizer(str(folder))
        if config is not None and config.path is not None:
            return load_tokenizer(config.path)
        models = (self.recipe.student, self.recipe.teacher)
        source = next(m for m in models if m is not None and m.path is not None)
        assert source.path is not None
        return load_tokenizer(source.path, source.revision)

    def untrained_model(self, role: str) -> tuple[PreTrainedModel, ModelSource]:
        """Load or build one of the recipe's models without its LoRA."""
        config = self._config(role)
        source = source_of(config)
        tokenizer = self.tokenizer
        special = {
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
        }
        # teacher and student of one architecture must not start from the same numbers
        seed = self.recipe.seed * 2 + (role == "teacher")
        return build_model(source, len(tokenizer), special, seed), source

    def model_to_train(self, ref: ModelRef, folder: Path) -> PreTrainedModel | PeftModel:
        """Give the model in a state to be trained: from the recipe or a finished stage, with LoRA if it has it.

        A base built from scratch is kept in ``folder`` if only an adapter on it will be saved.
        """
        config = self._config(ref.role)
        model: PreTrainedModel | PeftModel
        if ref.folder is not None:
            model = load_trained(ref.folder / "model", source_of(config), config.dtype, trainable=True)
        else:
            model, source = self.untrained_model(ref.role)
            if config.lora is not None:
                if source.path is None:
                    base = folder / "base"
                    if not base.is_dir():
                        with new_folder(base) as temporary:
                            model.save_pretrained(str(temporary))
                            self.tokenizer.save_pretrained(str(temporary))
                    model = load_pretrained(str(base.resolve()), None, config.dtype, config.attention)
                lora = Lora(
                    config.lora.rank, config.lora.alpha, config.lora.dropout, config.lora.target_modules
                )
                model = add_lora(model, lora, self.recipe.seed)
        if config.gradient_checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
            if isinstance(model, PeftModel):
                model.enable_input_require_grads()
        return model.to(self.device)

    def model_to_use(self, ref: ModelRef) -> PreTrainedModel | PeftModel:
        """Give the model in eval mode, without gradients: a teacher, or one to evaluate."""
        config = self._config(ref.role)
        model: PreTrainedModel | PeftModel
        if ref.folder is None:
            model, _ = self.untrained_model(ref.role)
        else:
            model = load_trained(ref.folder / "model", source_of(config), config.dtype, trainable=False)
        return model.to(self.device).eval().requires_grad_(False)

    def prompt_tokens(self, prompt: str) -> int:
        """The number of tokens of a prompt."""
        return count_prompt_tokens(self.tokenizer, prompt)

    def _config(self, role: str) -> ModelConfig:
        config = self.recipe.teacher if role == "teacher" else self.recipe.student
        if config is None:
            raise UserError(f"the recipe has no [{role}], and a stage needs it")
        return config


def source_of(config: ModelConfig) -> ModelSource:
    """The recipe's words for a model, as the engine takes them."""
    return ModelSource(
        path=config.path,
        revision=config.revision,
        architecture=None if config.from_scratch is None else dict(config.from_scratch),
        dtype=config.dtype,
        attention=config.attention,
    )


def _device() -> torch.device:
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")
