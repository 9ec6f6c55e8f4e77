"""What the stages of a run have in common: the recipe, its data, its tokenizer, its models."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from peft import PeftModel
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from kdzoo.engine.models.adapter_folder import is_adapter
from kdzoo.engine.models.end_tokens import end_ids
from kdzoo.engine.models.kept_layers import cut
from kdzoo.engine.models.loading import (
    add_lora,
    build_model,
    load_pretrained,
    load_trained,
    make_config,
)
from kdzoo.engine.models.placement import Placement, is_placed
from kdzoo.engine.models.tokenizers import (
    as_read_beside,
    load_tokenizer,
    reads_special_tokens,
    special_ids,
    train_tokenizer,
)
from kdzoo.engine.prompts.chat import ChatTemplate
from kdzoo.errors import UserError
from kdzoo.files import new_folder
from kdzoo.methods.model_names import STUDENT, TEACHER
from kdzoo.recipe import ModelConfig, Recipe
from kdzoo.recipe.model_tables import LoraConfig
from kdzoo.recipe.places import place_of_model
from kdzoo.recipe.tables import Role
from kdzoo.report.progress import Reporter
from kdzoo.runs.chat import chat_of
from kdzoo.runs.devices import own_device
from kdzoo.runs.interruption import Interruption
from kdzoo.runs.lora import as_peft_s, take_base_along
from kdzoo.runs.processes import Processes
from kdzoo.runs.prompts import Prompts
from kdzoo.runs.run_directory import RunDirectory
from kdzoo.tasks.dataset import DataConfig
from kdzoo.tasks.example import Splits
from kdzoo.tasks.load import DataReader


@dataclass(frozen=True)
class ModelRef:
    """A model of the run: one of the recipe's, as it is or as a stage left it in ``folder``.

    ``begins_as`` is the model that the stage trained, where it was another one. ``seed`` is that of random weights, where it
    is not the recipe's for the model.
    """

    role: Role
    folder: Path | None = None
    begins_as: Role | None = None
    seed: int | None = None


class RunContext:
    """Loads what stages need when they need it, and keeps it."""

    def __init__(
        self,
        recipe: Recipe,
        directory: RunDirectory,
        data: DataReader,
        reporter: Reporter,
        interruption: Interruption | None = None,
        processes: Processes | None = None,
    ) -> None:
        self.recipe = recipe
        self.directory = directory
        self.data = data
        self.reporter = reporter
        self.interruption = interruption or Interruption()
        self.processes = processes or Processes()
        self.device = self.processes.device or own_device()
        self._told: set[str] = set()

    def splits(self, data: DataConfig) -> Splits:
        """The examples of a dataset's table, narrowed to the part that is wanted."""
        splits = self.data.read(data)
        for what, count in splits.report.items():
            if count:
                self._say_once(f"data: {count} {what}")
        return splits

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokenizer that all models of the run share."""
        source = self.recipe.tokenizer_source
        if source.path is not None:
            tokenizer = load_tokenizer(
                source.path,
                source.revision,
                source.gguf_file,
                trust_remote_code=source.trust_remote_code,
            )
            return tokenizer if self.recipe.prompt.template == "plain" else reads_special_tokens(tokenizer)
        folder = self._tokenizer_folder
        if not folder.is_dir():
            with new_folder(folder) as temporary:
                self.trained_tokenizer.save_pretrained(str(temporary))
        return load_tokenizer(str(folder))

    @cached_property
    def chat(self) -> ChatTemplate | None:
        """The tokenizer's chat template, where prompts are written by it.

        Raises:
            UserError: it has none, or one that cannot be used.
        """
        return chat_of(self.recipe, self.tokenizer)

    @cached_property
    def prompts(self) -> Prompts:
        """How prompts become what the run's models read."""
        return Prompts(self.tokenizer, self.chat)

    @cached_property
    def trained_tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokenizer of a recipe that trains one on all that its stages train on. Nothing is written."""
        settings = self.recipe.tokenizer_source.train
        assert settings is not None
        if self._tokenizer_folder.is_dir():
            return load_tokenizer(str(self._tokenizer_folder))
        examples = (example for data in self.recipe.training_data for example in self.splits(data).train)
        texts = (text for example in examples for text in example.texts)
        trained = train_tokenizer(texts, settings.vocab_size)
        models = self.recipe.models.values()
        built = [m.from_scratch for m in models if m.from_scratch is not None]
        configs = (make_config(model, len(trained), special_ids(trained)) for model in built)
        return as_read_beside(trained, configs)

    @property
    def _tokenizer_folder(self) -> Path:
        return self.directory.path / "tokenizer"

    def _untrained(self, ref: ModelRef) -> PreTrainedModel:
        """Load or build one of the recipe's models without its LoRA."""
        config = self._config(ref.role)
        if config.path is not None:
            whole = load_pretrained(
                config.path,
                config.revision,
                config.dtype,
                config.attention,
                config.gguf_file,
                placement=_placement(config),
                trust_remote_code=config.trust_remote_code,
            )
            return _with_kept_layers(config, whole)
        assert config.from_scratch is not None
        built = make_config(config.from_scratch, len(self.tokenizer), special_ids(self.tokenizer))
        # models of one architecture must not start from the same numbers
        number = {TEACHER: 1, STUDENT: 0}.get(ref.role)
        if number is None:
            number = 2 + zlib.crc32(ref.role.encode())
        seed = self.recipe.seed_of(ref.role, ref.seed) * 2 + number
        return build_model(built, seed, config.dtype, config.attention)

    def model_to_train(self, ref: ModelRef, folder: Path) -> PreTrainedModel | PeftModel:
        """Give the model in a state to be trained: from the recipe or a finished stage, with LoRA if it has it.

        A base built here is kept in ``folder`` if only an adapter on it will be saved, so that the stage's result needs
        no other stage.
        """
        config = self._config(ref.role)
        model: PreTrainedModel | PeftModel
        if ref.folder is None or ref.begins_as is not None:
            model = self._untrained(ref) if ref.folder is None else self._begun_as(config, ref.folder)
            if config.lora is not None:
                model = self._with_adapter(model, ref, config.lora, folder / "base")
        else:
            model = _load_trained(config, ref.folder, trainable=True)
            if isinstance(model, PeftModel) and (ref.folder / "base").is_dir():
                take_base_along(model, ref.folder / "base", folder / "base")
        if config.gradient_checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
            if isinstance(model, PeftModel):
                model.enable_input_require_grads()
        return self._on_device(model)

    def _begun_as(self, config: ModelConfig, folder: Path) -> PreTrainedModel:
        """What a stage has made of another model, with its adapter merged, and with as many layers as this one has."""
        whole = _load_trained(config, folder, trainable=False)
        if isinstance(whole, PeftModel):
            whole = whole.merge_and_unload()
        return _with_kept_layers(config, whole.requires_grad_(True))

    def _with_adapter(self, model: PreTrainedModel, ref: ModelRef, lora: LoraConfig, base: Path) -> PeftModel:
        config = self._config(ref.role)
        is_built = config.from_scratch is not None or bool(config.gguf_file or config.keep_layers)
        is_made_here = is_built or ref.folder is not None
        is_kept_elsewhere = config.path is not None and not (is_made_here or is_adapter(Path(config.path)))
        if not is_kept_elsewhere:
            if not base.is_dir():
                with new_folder(base) as temporary:
                    model.save_pretrained(str(temporary))
                    self.tokenizer.save_pretrained(str(temporary))
            placement = _placement(config)
            model = load_pretrained(
                str(base.resolve()),
                None,
                config.dtype,
                config.attention,
                placement=placement,
                trust_remote_code=config.trust_remote_code,
            )
        revision = config.revision if is_kept_elsewhere else None
        return add_lora(model, as_peft_s(lora, revision), self.recipe.seed_of(ref.role, ref.seed))

    def model_to_use(self, ref: ModelRef) -> PreTrainedModel | PeftModel:
        """Give the model in eval mode, without gradients: a teacher, or one to evaluate."""
        config = self._config(ref.role)
        model: PreTrainedModel | PeftModel
        if ref.folder is None:
            model = self._untrained(ref)
        else:
            model = _load_trained(config, ref.folder, trainable=False)
        return self._on_device(model).eval().requires_grad_(False)

    def _on_device(self, model: PreTrainedModel | PeftModel) -> PreTrainedModel | PeftModel:
        return model if is_placed(model) else model.to(self.device)

    def end_ids(
        self,
        student: PreTrainedModel | PeftModel,
        *teachers: PreTrainedModel | PeftModel | None,
    ) -> tuple[int, ...]:
        """The tokens that end what any model generates. Says once that a teacher ends otherwise than the student, if one does."""
        models = [student, *(model for model in teachers if model is not None)]
        ends = [set(self._ends_of(model)) for model in models]
        other = next((ids for ids in ends if ids != ends[0]), None)
        if other is not None:
            names = [", ".join(self.tokenizer.convert_ids_to_tokens(sorted(ids))) for ids in (ends[0], other)]
            which = "the teacher" if len(models) == 2 else "a teacher"
            self._say_once(
                f"the student ends with {names[0]}, {which} with {names[1]}: either ends a sequence"
            )
        return self._ends_of(*models)

    def _ends_of(self, *models: PreTrainedModel | PeftModel) -> tuple[int, ...]:
        end_of_turn = None if self.chat is None else self.chat.end
        return end_ids(self.tokenizer, *models, end_of_turn=end_of_turn)

    def _say_once(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self.reporter.say(text)

    def _config(self, role: Role) -> ModelConfig:
        config = self.recipe.model(role)
        if config is None:
            table = ".".join(str(part) for part in place_of_model(role))
            raise UserError(f"the recipe has no [{table}], and a stage needs it")
        return config


def _with_kept_layers(config: ModelConfig, whole: PreTrainedModel) -> PreTrainedModel:
    if config.keep_layers is None:
        return whole
    return cut(whole, config.keep_layers, trust_remote_code=config.trust_remote_code)


def _load_trained(config: ModelConfig, folder: Path, *, trainable: bool) -> PreTrainedModel | PeftModel:
    return load_trained(
        folder / "model",
        config.dtype,
        config.attention,
        placement=_placement(config),
        trainable=trainable,
        trust_remote_code=config.trust_remote_code,
    )


def _placement(config: ModelConfig) -> Placement:
    return Placement(config.device_map, config.quantization)
