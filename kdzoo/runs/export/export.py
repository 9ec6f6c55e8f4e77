"""Fills a folder with a model that a run has trained: weights, tokenizer, configurations, card."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from kdzoo.engine.models.adapter_folder import BASE
from kdzoo.engine.models.exported import copy_base, save_adapter, save_tokenizer, save_whole, whole_model
from kdzoo.engine.models.loading import count_parameters
from kdzoo.errors import RunError, UserError
from kdzoo.files import new_folder, read_json, why_not_written
from kdzoo.recipe import ModelConfig
from kdzoo.runs.export.base import AdapterBase, adapter_base, source_of
from kdzoo.runs.export.card import Exported, card_of
from kdzoo.runs.export.licence import Licence, licence_of, take_files_along
from kdzoo.runs.export.place import check_room, new_place
from kdzoo.runs.trained_stage import TrainedStage

DTYPES = {"float32": 4, "float16": 2, "bfloat16": 2}
"""The types that weights can be written in, with their bytes."""


@dataclass(frozen=True)
class Wanted:
    """How a model is to be exported. ``dtype`` is one of `DTYPES`, or None: as it was trained; ``repo`` a hub name."""

    merge: bool = False
    dtype: str | None = None
    gguf: bool = False
    repo: str | None = None


def export(chosen: TrainedStage, folder: Path, wanted: Wanted, say: Callable[[str], None]) -> None:
    """Write a model's folder aside, and give it its place when it is whole. ``say`` is told what was decided.

    Raises:
        UserError: the folder holds something, or the model cannot be exported in that way.
        RunError: it cannot be written.
    """
    place = new_place(folder)
    base = adapter_base(chosen)
    if wanted.merge and base is None:
        say(f"{chosen.stage.name}: is a whole model already; there is nothing to merge")
    if wanted.gguf:
        _check_gguf(is_adapter=base is not None and not wanted.merge)
    check_room(place, _size(chosen, base, wanted))
    try:
        with new_folder(place) as aside:
            _fill(chosen, aside, base, wanted, place.name, say)
    except UserError:
        raise
    except Exception as error:  # each library that writes has its own
        reason = why_not_written(error, place.parent)
        if reason is None:
            raise
        raise RunError(f"{folder}: cannot be written: {reason}") from error


def _fill(
    chosen: TrainedStage,
    folder: Path,
    base: AdapterBase | None,
    wanted: Wanted,
    name: str,
    say: Callable[[str], None],
) -> None:
    config = _config(chosen)
    trusts = config.trust_remote_code
    tokenizer = save_tokenizer(chosen.model, folder, trust_remote_code=trusts)
    source = source_of(config)
    licence = licence_of(source)
    parameters, file = None, None
    if base is not None and not wanted.merge:
        save_adapter(chosen.model, folder, base.name, base.revision, wanted.dtype)
        if base.is_made_by_run:
            assert base.folder is not None
            copy_base(base.folder, folder / BASE)
        dtype, adapter = wanted.dtype or "float32", base
    else:
        dtype, adapter = wanted.dtype or _own_dtype(chosen, base), None
        model = whole_model(chosen.model, dtype, trust_remote_code=trusts)
        if wanted.gguf:  # first: what cannot be written so is told before there is much to wait for
            file = f"{chosen.title}.gguf"
            for note in _write_gguf(folder / file, model, tokenizer, chosen.title, licence):
                say(f"{file}: {note}")
        save_whole(model, folder)
        parameters = count_parameters(model)
    exported = Exported(
        adapter,
        base is not None and adapter is None,
        dtype,
        parameters,
        licence,
        tuple(take_files_along(source, folder)),
        file,
        tokenizer.chat_template if isinstance(tokenizer.chat_template, str) else "",
        wanted.repo or name,
        wanted.repo is not None,
    )
    card_of(chosen, exported).save(folder / "README.md")


def _check_gguf(*, is_adapter: bool) -> None:
    if is_adapter:
        raise UserError(
            "--gguf: a GGUF file holds a whole model, and this stage has an adapter; give --merge too"
        )
    if find_spec("gguf") is None:
        raise UserError("--gguf: writing a GGUF file needs the package gguf: pip install 'kdzoo[gguf]'")


def _config(chosen: TrainedStage) -> ModelConfig:
    config = chosen.run.recipe.model(chosen.stage.role)
    assert config is not None  # it was trained
    return config


def _own_dtype(chosen: TrainedStage, base: AdapterBase | None) -> str:
    """The type that a model's weights have: as it was saved, or as an adapter's base was loaded."""
    if base is not None:
        return _config(chosen).dtype
    return _saved_dtype(chosen.model)


def _saved_dtype(folder: Path) -> str:
    saved = read_json(folder / "config.json").get("dtype")
    return saved if saved in DTYPES else "float32"


def _write_gguf(
    file: Path,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    name: str,
    licence: Licence | None,
) -> list[str]:
    from kdzoo.engine.models.gguf_export.write import About, write_gguf  # the package gguf is an extra

    return write_gguf(file, model, tokenizer, About(name, None if licence is None else licence.identifier))


def _size(chosen: TrainedStage, base: AdapterBase | None, wanted: Wanted) -> int:
    """About the bytes of what will be written; of a base that is not on this machine none."""
    own = _weights(chosen.model)
    if base is None:
        return _scaled(own, chosen.model, wanted)
    folder = base.folder
    if wanted.merge:
        return 0 if folder is None else _scaled(_weights(folder), folder, wanted)
    return own + (_weights(folder) if base.is_made_by_run and folder is not None else 0)


def _weights(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))


def _scaled(size: int, folder: Path, wanted: Wanted) -> int:
    """The bytes of a whole model's weights in the type that is wanted, once or twice."""
    saved = _saved_dtype(folder)
    return size * DTYPES[wanted.dtype or saved] // DTYPES[saved] * (2 if wanted.gguf else 1)
