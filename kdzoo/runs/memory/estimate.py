"""What a training stage will take of memory, from its models' shapes and its heaviest batch."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, MutableMapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, PretrainedConfig

from kdzoo.engine.losses.scored_hidden_states import CHUNK_ELEMENTS
from kdzoo.engine.memory.shadow import shadow_of
from kdzoo.engine.memory.step import Model, StepBytes, Work, bytes_of_step
from kdzoo.engine.models.kept_layers import cut_config
from kdzoo.engine.models.loading import add_lora
from kdzoo.engine.prompts.batches import EncodedExample, make_batch
from kdzoo.engine.prompts.way import Full, PrefixCached, Way
from kdzoo.engine.training.chosen_method import ChosenMethod, chosen
from kdzoo.errors import UserError
from kdzoo.methods.sequences import Sequences, Source
from kdzoo.recipe import ModelConfig, Recipe, Training, TrainingStage
from kdzoo.runs.lora import as_peft_s

# Of several chunks of logits, both models', with what losses make of them.
_LOGITS = 16 * 4 * CHUNK_ELEMENTS

# With the scales: of 4 bits one of 8 bits for each 64 weights, which have scales of their own.
_BITS = {"4bit": 4 + (8 + 32 / 256) / 64, "8bit": 8.0}


@dataclass(frozen=True)
class StageBytes:
    """What a training stage takes, in bytes, beside the program itself.

    ``average`` is the moving average of the weights, where the method keeps one; ``teacher`` are the teachers' weights;
    ``step`` is what the heaviest part of a step takes beside these, and ``in_parts`` says whether a step has several.
    """

    weights: int
    gradients: int
    optimizer: int
    average: int
    teacher: int
    step: StepBytes
    in_parts: bool

    @property
    def lasting(self) -> int:
        """What is there from the second step on, whatever is computed."""
        return self.weights + self.optimizer + self.average + self.teacher

    @property
    def loaded(self) -> int:
        """What is there when the models are loaded."""
        return self.weights + self.teacher

    @property
    def peak(self) -> int:
        """The most at a time."""
        return self.lasting + self.step.peak(self.gradients, in_parts=self.in_parts)


class StageEstimator:
    """Estimates one training stage under several settings.

    ``configs`` are those of the models by role. ``known`` keeps what steps take, for other stages whose steps are the same as
    far as memory is concerned.
    """

    def __init__(
        self,
        recipe: Recipe,
        stage: TrainingStage,
        configs: Mapping[str, PretrainedConfig],
        known: MutableMapping[Hashable, StepBytes] | None = None,
    ) -> None:
        self._known = {} if known is None else known
        self._method = chosen(stage.plugin(), stage.method_options())
        self._student = _Model(configs[stage.role], _table(recipe, stage.role), trains=True)
        roles = [model.role for name, model in recipe.models_used(stage).items() if name != stage.role]
        self._teachers = [_Model(configs[role], _table(recipe, role), trains=False) for role in roles]

    @property
    def table(self) -> ModelConfig:
        """The recipe's table of the model that is trained."""
        return self._student.table

    def estimate(
        self, part: Sequence[EncodedExample], training: Training, changed: Mapping[str, Any]
    ) -> StageBytes:
        """What the stage takes with a training's settings, ``part`` being the heaviest rows that are computed at a time.

        ``changed`` are keys that the table of the model to be trained has otherwise.
        """
        return self._with(changed)._estimate(part, training)

    @property
    def saved(self) -> tuple[int, int]:
        """Bytes of the weights that are saved, an adapter's alone if there is one, and of those that are trained."""
        trained = self._student.trained_bytes
        return (trained if self.table.lora is not None else self._student.bytes), trained

    def at_the_very_most(self, training: Training) -> int:
        """A bound that needs no example and no trial: far above the estimate, and below what there is for small models."""
        tokens = training.part_size * (training.input_limit + 2 * training.output_limit)
        trained = self._student.trained_bytes
        of_models = 4 * trained + sum(model.bytes for model in (self._student, *self._teachers))
        widths = (model.width(tokens // training.part_size) for model in (self._student, *self._teachers))
        return int(_LOGITS + of_models + tokens * sum(widths))

    def _with(self, changed: Mapping[str, Any]) -> StageEstimator:
        if not changed:
            return self
        other = copy(self)
        own = self._student
        other._student = _Model(own.config, own.table.model_copy(update=changed), trains=True)
        return other

    def _estimate(self, part: Sequence[EncodedExample], training: Training) -> StageBytes:
        of_trained = self._student.trained_bytes
        keeps_average = self._method.options.average_decay is not None
        return StageBytes(
            weights=self._student.bytes,
            gradients=of_trained,
            optimizer=2 * of_trained,  # AdamW's two moments
            average=of_trained if keeps_average else 0,
            teacher=sum(teacher.bytes for teacher in self._teachers),
            step=self._known_step(part, training),
            in_parts=len(part) < training.batch_size,
        )

    def _known_step(self, part: Sequence[EncodedExample], training: Training) -> StepBytes:
        options = self._method.options
        key = (
            *(model.key for model in (self._student, *self._teachers)),
            *(options.keeps_target_lengths, options.scores_target, self._method.makes_sequences),
            *(tuple(options.hidden_layers), tuple(options.teacher_hidden_layers)),
            *(training.sharing, training.output_limit, training.precision),
            *((tuple(example.prompt), tuple(example.target), example.group) for example in part),
        )
        if key not in self._known:
            self._known[key] = self._step(part, training)
        return self._known[key]

    def _step(self, part: Sequence[EncodedExample], training: Training) -> StepBytes:
        one = self._traced(1, part, training, with_losses=True)
        two = self._traced(2, part, training, with_losses=False)
        # layers take the same each, so that all follow from the second
        more = self._student.layers - 1
        more_of_teachers = max((teacher.layers - 1 for teacher in self._teachers), default=0)
        return replace(
            one,
            prompts=one.prompts + more * (two.prompts - one.prompts),
            sequences=one.sequences + more * (two.sequences - one.sequences),
            teacher=one.teacher + more_of_teachers * (two.teacher - one.teacher),
        )

    def _traced(
        self, layers: int, part: Sequence[EncodedExample], training: Training, *, with_losses: bool
    ) -> StepBytes:
        way = self._way(training)
        batch = make_batch(part, share_beginnings=training.sharing == "on" and isinstance(way, PrefixCached))
        student = shadow_of(self._student.of_layers(layers))
        teachers = [shadow_of(teacher.of_layers(layers)) for teacher in self._teachers]
        work = _work(self._method, batch.target, training.output_limit)
        autocast = torch.bfloat16 if training.precision == "bf16" else None
        return bytes_of_step(student, teachers, batch, work, way, autocast=autocast, with_losses=with_losses)

    def _way(self, training: Training) -> Way:
        if training.sharing == "off":
            return Full()
        return PrefixCached(packs=True, repeatable=True)


class _Model:
    def __init__(self, config: PretrainedConfig, table: ModelConfig, *, trains: bool) -> None:
        self.table = table
        self.config = config
        self._trains = trains
        self.layers = int(config.get_text_config().num_hidden_layers)

    @property
    def key(self) -> Hashable:
        """What models that take the same have in common."""
        return self.config.to_json_string(), self.table.model_dump_json(), self._trains

    @cached_property
    def bytes(self) -> int:
        """Those of the weights."""
        model = self.whole
        if self.table.quantization is None:
            return int(sum(t.nbytes for t in (*model.parameters(), *model.buffers())))
        head = model.get_output_embeddings()  # which stays as it is
        linear = {id(m.weight) for m in model.modules() if isinstance(m, torch.nn.Linear) and m is not head}
        each = _BITS[self.table.quantization] / 8
        return int(sum(p.numel() * each if id(p) in linear else p.nbytes for p in model.parameters()))

    @cached_property
    def trained_bytes(self) -> int:
        """Those of the weights that are trained."""
        return sum(p.nbytes for p in self.whole.parameters() if p.requires_grad)

    def width(self, columns: int) -> int:
        """Bytes of a token's activations in all layers, with the scores of its attention to so many columns."""
        config = self.config.get_text_config()
        inner = getattr(config, "intermediate_size", None) or 4 * config.hidden_size
        heads = getattr(config, "num_attention_heads", 1)
        numbers = 24 * config.hidden_size + 8 * max(inner, config.hidden_size) + 4 * heads * columns
        return int(4 * numbers * self.layers)

    @cached_property
    def whole(self) -> Model:
        return self._built(self.config)

    def of_layers(self, count: int) -> Model:
        """The model with its first layers only; all of them, where they cannot be told apart or are fewer."""
        try:
            return self._built(cut_config(self.config, tuple(range(min(count, self.layers)))))
        except UserError:
            return self._built(self.config)

    def _built(self, config: PretrainedConfig) -> Model:
        table = self.table
        with torch.device("meta"):
            model: Model = AutoModelForCausalLM.from_config(
                config,
                dtype=getattr(torch, table.dtype),
                attn_implementation=table.attention,
                trust_remote_code=table.trust_remote_code,
            )
            if not self._trains:
                return model.eval().requires_grad_(False)
            if table.lora is not None:
                model = add_lora(model, as_peft_s(table.lora), seed=0)
            if table.gradient_checkpointing:
                model.gradient_checkpointing_enable({"use_reentrant": False})
                if isinstance(model, PeftModel):
                    model.enable_input_require_grads()
            return model


def _table(recipe: Recipe, role: str) -> ModelConfig:
    table = recipe.model(role)
    assert table is not None  # told when the recipe was read
    return table


def _work(method: ChosenMethod, target: Sequences, output_limit: int) -> Work:
    options = method.options
    sequences = target
    if method.makes_sequences:
        # as if nothing were common with the ground truth
        lengths = target.lengths.tolist()
        if not options.keeps_target_lengths:
            lengths = [output_limit] * len(lengths)
        first = (target.tokens[:, 0] == 1).long() + 1
        rows = [[token, *[1] * (length - 1)] for token, length in zip(first.tolist(), lengths, strict=True)]
        sequences = Sequences.of(rows, Source.IMPERFECT)
    return Work(
        sequences,
        options.scores_target,
        tuple(options.hidden_layers),
        tuple(options.teacher_hidden_layers),
    )
