"""Opening weights without reading them: are the files whole, and do they hold what the model needs?"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from huggingface_hub import is_offline_mode, try_to_load_from_cache
from transformers import AutoModelForCausalLM
from transformers.utils.logging import disable_progress_bar, enable_progress_bar, is_progress_bar_enabled

from kdzoo.engine.models.adapter_folder import base_of, is_adapter
from kdzoo.engine.models.adapters import load_adapter
from kdzoo.engine.models.loading import load_config
from kdzoo.engine.models.weights_format import check_model_format
from kdzoo.errors import UserError

_WHOLE = ("model.safetensors", "pytorch_model.bin")
_INDICES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")


def open_weights(
    path: str, revision: str | None, gguf_file: str | None = None, *, trust_remote_code: bool = False
) -> list[str]:
    """Open every file of a model's weights, an adapter's and those of its base, as loading them would.

    Sizes of files are compared with what their headers say, names and shapes with the model that the configuration
    describes; the numbers are not read, so that a model of any size takes seconds. Gives the names of weights that
    the model has no place for. Weights that only a model hub has, and quantized ones, are not looked at.

    Raises:
        UserError: a file is missing, broken or no safetensors, or weights of the model are missing or have another
            shape.
    """
    if gguf_file is not None:
        return []  # its configuration was read from it, and unpacking takes the numbers
    _, unused = _opened(path, revision, trust_remote_code)
    return unused


def _opened(path: str, revision: str | None, trust_remote_code: bool) -> tuple[Any, list[str]]:
    """The model without its numbers (None if it cannot be looked at), and the names of weights that it does not use."""
    if is_adapter(Path(path)):
        named = base_of(Path(path))
        base, unused = _opened(named.path, named.revision, trust_remote_code)
        if base is not None:
            _put_on(base, Path(path), named.path)
        return base, unused
    if not Path(path).is_dir() and not _is_downloaded(path, revision):
        if is_offline_mode():
            raise UserError(
                f"the weights of {path!r} are not on this machine, and HF_HUB_OFFLINE keeps from loading them"
            )
        return None, []
    if (
        getattr(load_config(path, revision, trust_remote_code=trust_remote_code), "quantization_config", None)
        is not None
    ):
        return None, []  # unpacking them takes the numbers
    check_model_format(Path(path))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model, loaded = _load_without_numbers(path, revision, trust_remote_code)
    except Exception as error:  # each format and architecture refuses broken files in its own way
        raise UserError(f"the weights of {path!r} cannot be loaded: {_reason(error)}") from error
    wrong_shape = [
        f"{name} is {list(held)} and must be {list(wanted)}"
        for name, held, wanted in loaded["mismatched_keys"]
    ]
    _raise_if_lacking(path, loaded["missing_keys"], wrong_shape)
    return model, sorted(loaded["unexpected_keys"])


def _load_without_numbers(
    path: str, revision: str | None, trust_remote_code: bool
) -> tuple[Any, dict[str, Any]]:
    shows = is_progress_bar_enabled()
    disable_progress_bar()
    try:
        opened: tuple[Any, dict[str, Any]] = AutoModelForCausalLM.from_pretrained(
            path,
            revision=revision,
            device_map="meta",
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=trust_remote_code,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
        )
        return opened
    finally:
        if shows:
            enable_progress_bar()


def _put_on(base: Any, adapter: Path, name: str) -> None:
    """Open an adapter's weights on its base; ``base`` is as before afterwards."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numbers that find no memory are what is wanted
        load_adapter(base, adapter, name, trainable=False).unload()


def _raise_if_lacking(path: str, missing: Iterable[str], wrong_shape: Iterable[str]) -> None:
    lacking = sorted(missing)
    if lacking:
        raise UserError(
            f"the weights of {path!r} lack {len(lacking)} that its configuration asks for: {lacking[0]}, for example"
        )
    wrong = sorted(wrong_shape)
    if wrong:
        raise UserError(
            f"the weights of {path!r} do not fit its configuration: {len(wrong)} have another shape, for example "
            f"{wrong[0]}"
        )


def _is_downloaded(name: str, revision: str | None) -> bool:
    """Whether all weights of a model on a hub are in the cache on this machine."""

    def cached(file: str) -> Path | None:
        found = try_to_load_from_cache(name, file, revision=revision)
        return Path(found) if isinstance(found, str) else None

    if any(cached(file) is not None for file in _WHOLE):
        return True
    for index in filter(None, map(cached, _INDICES)):
        try:
            shards = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        except (OSError, ValueError, KeyError, AttributeError):
            continue
        if all(cached(shard) is not None for shard in shards):
            return True
    return False


def _reason(error: Exception) -> str:
    """What an error says, without the lines that only name the place where it came up."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = next((line for line in lines if not line.endswith(":")), type(error).__name__)
    return (
        said if isinstance(error, OSError | ValueError | RuntimeError) else f"{said} ({type(error).__name__})"
    )
