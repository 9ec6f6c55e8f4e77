"""The tables of a recipe that say what is trained: models, their adapters, their tokenizer."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from kdzoo.recipe.tables import Location, Table, conflict

_TRUST = "run the code that comes with it; without, what needs such code is refused"


def _is_false(value: bool) -> bool:
    return not value


class TrainedTokenizer(Table):
    """A byte-level BPE tokenizer trained on the prompts and targets of the training data."""

    vocab_size: int = Field(2000, ge=300, le=200_000, description="tokens, the special ones included")


class TokenizerConfig(Table):
    """[tokenizer]: the tokenizer of all models, loaded or trained. Without this table it is the student's own."""

    path: Location | None = Field(None, description="a folder or hub name")
    trust_remote_code: bool = Field(False, description=_TRUST, exclude_if=_is_false)
    train: TrainedTokenizer | None = Field(None, description="train one on the prompts and targets")

    @model_validator(mode="after")
    def _one_of_both(self) -> TokenizerConfig:
        if self.path is not None and self.train is not None:
            raise conflict("give either path or train, not both", "train", "path")
        if self.path is None and self.train is None:
            raise conflict("needs path or train, for example train = { vocab_size = 2000 }")
        if self.trust_remote_code and self.path is None:
            raise conflict("belongs to path; a tokenizer that is trained brings no code", "trust_remote_code")
        return self


class LoraConfig(Table):
    """lora = { ... } in [teacher] and [student]: low-rank adapters (peft); all other weights are frozen."""

    rank: int = Field(ge=1, description="rank of the adapters")
    alpha: float = Field(32.0, gt=0, description="the adapters' product is scaled by alpha / rank")
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout before an adapter")
    target_modules: str | tuple[str, ...] = Field(
        "all-linear", description='which layers get one: "all-linear", a regular expression, or names'
    )


LayerCount = Annotated[int, Field(ge=1)]
LayerNumbers = Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)]
# Keys that say how a model is read, and what they name.
_OF_PATH = {
    "revision": "revision",
    "trust_remote_code": "code of its own",
    "gguf_file": "file",
    "keep_layers": "layers to leave out",
    "device_map": "weights to place",
    "quantization": "weights to quantise",
}

# The keys that say which weights a model begins with.
SOURCE = ("path", "revision", "gguf_file", "from_scratch")


class ModelConfig(Table):
    """[teacher], [teachers.NAME], [student]: a pretrained model by ``path``, or a random one ``from_scratch``.

    Further teachers are for methods whose options name them.
    """

    path: Location | None = Field(
        None, description="a folder (of a model, or of an adapter, which is merged into its base) or hub name"
    )
    revision: Location | None = Field(None, description="the revision of a hub name")
    trust_remote_code: bool = Field(False, description=_TRUST, exclude_if=_is_false)
    gguf_file: Location | None = Field(
        None, description="the file of that folder that holds the model, in GGUF"
    )
    keep_layers: LayerCount | LayerNumbers | None = Field(
        None,
        description="begin with some of the layers only: so many, evenly spaced with the first and the last, or "
        "those of these numbers, from 0",
    )
    from_scratch: dict[str, Any] | None = Field(
        None,
        description="random weights: architecture is a model type of transformers, all other keys go to its configuration",
    )
    lora: LoraConfig | None = Field(None, description="train low-rank adapters instead of all weights")
    dtype: Literal["float32", "bfloat16"] = Field(
        "float32",
        description="that of the weights; float32 where all of them are trained, while adapters are float32 on any",
    )
    attention: Literal["sdpa", "eager", "flash_attention_2"] | None = Field(
        None, description="transformers' implementation of attention; unless given, the model's usual one"
    )
    gradient_checkpointing: bool = Field(
        False,
        description="compute activations again in the backward pass: less memory, and more time",
    )
    device_map: Literal["auto"] | None = Field(
        None, description="spread the weights over the GPUs there are; for a teacher that one cannot hold"
    )
    quantization: Literal["4bit", "8bit"] | None = Field(
        None,
        description="keep the linear layers in so many bits; for a teacher, needs the package bitsandbytes (4bit) or torchao (8bit)",
    )

    def begins_as(self, other: ModelConfig) -> bool:
        """Whether this model's weights begin as the other's do, all or some of its layers."""
        return other.keep_layers is None and all(getattr(self, key) == getattr(other, key) for key in SOURCE)

    @model_validator(mode="after")
    def _one_of_both(self) -> ModelConfig:
        if self.path is not None and self.from_scratch is not None:
            raise conflict("give either path or from_scratch, not both", "from_scratch", "path")
        if self.path is None and self.from_scratch is None:
            raise conflict("needs path (a folder or hub name) or from_scratch (an architecture)")
        if self.from_scratch is not None:
            if not isinstance(self.from_scratch.get("architecture"), str):
                raise conflict('needs a model type of transformers: architecture = "llama"', "from_scratch")
            for key, what in _OF_PATH.items():
                if getattr(self, key):
                    raise conflict(f"belongs to path; a model from scratch has no {what}", key)
        for key in ("device_map", "quantization"):
            for other in ("gguf_file", "keep_layers"):
                if getattr(self, key) is not None and getattr(self, other) is not None:
                    raise conflict(
                        f"goes with a whole model in Hugging Face format, without {other}", key, other
                    )
        return self
