"""What a trained model began as: the base that a card names, and that an adapter needs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kdzoo.engine.models.adapter_folder import BASE, base_of, is_adapter
from kdzoo.errors import UserError
from kdzoo.recipe import ModelConfig, TrainingStage
from kdzoo.runs.export.shared_recipe import local_name
from kdzoo.runs.trained_stage import TrainedStage


@dataclass(frozen=True)
class Source:
    """Where a model comes from. ``name`` is a hub name, a local folder's last name, or an architecture's.

    ``folder`` is that folder, ``words`` what to say of it.
    """

    name: str
    words: str
    is_on_hub: bool = False
    revision: str | None = None
    folder: Path | None = None


@dataclass(frozen=True)
class AdapterBase:
    """The base of an adapter: a hub name, a folder of the person's own, or one that the run made and keeps."""

    name: str
    revision: str | None
    folder: Path | None
    is_made_by_run: bool


def source_of(config: ModelConfig) -> Source:
    """What a model's table says of where it comes from."""
    if config.path is None:
        assert config.from_scratch is not None
        family = str(config.from_scratch["architecture"])
        return Source(family, f"random weights of the architecture {family}")
    is_local = os.path.isabs(config.path)
    name = local_name(config.path) if is_local else config.path
    parts = [f"the local folder {name}" if is_local else name, *_parts(config)]
    folder = Path(config.path) if is_local else None
    return Source(name, ", ".join(parts), not is_local, config.revision, folder)


def _parts(config: ModelConfig) -> Iterator[str]:
    if config.revision is not None:
        yield f"revision {config.revision}"
    if config.gguf_file is not None:
        yield f"file {config.gguf_file}"
    if isinstance(config.keep_layers, int):
        yield f"cut to {config.keep_layers} of its layers"
    elif config.keep_layers is not None:
        yield f"cut to its layers {', '.join(map(str, config.keep_layers))}"


def adapter_base(chosen: TrainedStage) -> AdapterBase | None:
    """The base of a stage's adapter; None for a whole model.

    Raises:
        UserError: its configuration names none, or a folder that is gone.
    """
    if not is_adapter(chosen.model):
        return None
    base = base_of(chosen.model)
    path = Path(base.path)
    is_local = path.is_absolute() or path.is_dir()
    if is_local and not path.is_dir():
        raise UserError(
            f"{chosen.model}: the base of this adapter is gone: {path}; put it back, or write where it is as "
            "base_model_name_or_path into adapter_config.json"
        )
    if not is_local:
        return AdapterBase(base.path, base.revision, None, False)
    is_own = path.resolve() == (chosen.finished.folder / BASE).resolve()
    return AdapterBase(BASE if is_own else local_name(str(path)), None, path, is_own)


def stages_before(chosen: TrainedStage) -> list[TrainingStage]:
    """The stages that trained the model before the chosen one did, the first first."""
    recipe, found = chosen.run.recipe, []
    stage: TrainingStage | None = chosen.stage
    while stage is not None and stage.student_from is not None:
        stage = recipe.training_stage(stage.student_from, before=stage)
        if stage is not None:
            found.append(stage)
    return found[::-1]
