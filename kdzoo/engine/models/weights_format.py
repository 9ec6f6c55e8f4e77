"""Weights are read from safetensors only: a pickle can run code when it is read."""

from __future__ import annotations

from pathlib import Path

from peft.utils import SAFETENSORS_WEIGHTS_NAME as ADAPTER_SAFETENSORS
from peft.utils import WEIGHTS_NAME as ADAPTER_PICKLE
from transformers.utils import WEIGHTS_INDEX_NAME, WEIGHTS_NAME

from kdzoo.errors import UserError

_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.pickle", "*.bin.index.json")
# What a training leaves beside its weights.
_NOT_WEIGHTS = {"training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state.pth", "scaler.pt"}


def check_model_format(folder: Path) -> None:
    """Make sure that a model's folder does not hold its weights as pickles alone. A hub name is no folder, and passes.

    Raises:
        UserError: it does; the message says how to convert them.
    """
    if not folder.is_dir() or any(folder.glob("*.safetensors*")):
        return
    pickles = _pickles(folder)
    if not pickles:
        return
    how = "save them from where they were made with save_pretrained, which writes safetensors"
    if {WEIGHTS_NAME, WEIGHTS_INDEX_NAME} & set(pickles):
        how = f"convert them: {model_conversion(folder)}"
    raise UserError(_refusal(folder, pickles, how))


def check_adapter_format(folder: Path) -> None:
    """Make sure that an adapter's folder holds its weights as safetensors.

    Raises:
        UserError: it holds none, or as a pickle alone; the message says how to convert it.
    """
    if (folder / ADAPTER_SAFETENSORS).is_file():
        return
    if not (folder / ADAPTER_PICKLE).is_file():
        raise UserError(f"{folder} has no weights of its adapter ({ADAPTER_SAFETENSORS})")
    raise UserError(_refusal(folder, [ADAPTER_PICKLE], f"convert them: {adapter_conversion(folder)}"))


def model_conversion(folder: Path) -> str:
    """The command that writes a model's safetensors beside its pickle, which is read without running code."""
    return (
        'python -c "from transformers import AutoModelForCausalLM as M; '
        f'M.from_pretrained({str(folder)!r}).save_pretrained({str(folder)!r})"'
    )


def adapter_conversion(folder: Path) -> str:
    """The command that writes an adapter's safetensors beside its pickle, which is read without running code."""
    return (
        'python -c "from peft import load_peft_weights as load; from safetensors.torch import save_file; '
        f"save_file(load({str(folder)!r}, device='cpu'), {str(folder / ADAPTER_SAFETENSORS)!r})\""
    )


def _pickles(folder: Path) -> list[str]:
    found = {file.name for pattern in _PICKLES for file in folder.glob(pattern) if file.is_file()}
    return sorted(found - _NOT_WEIGHTS)


def _refusal(folder: Path, pickles: list[str], how: str) -> str:
    return (
        f"{folder} holds its weights as a pickle ({pickles[0]}), which can run code when it is read; only safetensors are; "
        f"{how}"
    )
