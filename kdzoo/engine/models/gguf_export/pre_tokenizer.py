"""How a byte-level tokenizer splits a text before it merges, and what llama.cpp calls that."""

from __future__ import annotations

from typing import Any

from kdzoo.engine.models.gguf_export.refusal import refused

GPT2 = "GPT-2's words"
DIGITS = "single digits"
_QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
    r"\s*[\r\n]+|\s+(?!\S)|\s+"
)
_LLAMA3 = _QWEN2.replace(r"|\p{N}|", r"|\p{N}{1,3}|")

# The splits in their order, whether whole words of the vocabulary are left unmerged, and llama.cpp's name of both.
NAMES = {
    ((GPT2,), False): "gpt-2",
    ((DIGITS, GPT2), False): "smollm",
    ((_QWEN2,), False): "qwen2",
    ((_LLAMA3,), True): "llama-bpe",
    ((_LLAMA3,), False): "smaug-bpe",
}


def name_of(tokenizer: dict[str, Any]) -> str:
    """llama.cpp's name for how a tokenizer (the content of its tokenizer.json) splits.

    Raises:
        UserError: it has none, or the tokenizer does not merge bytes.
    """
    model = tokenizer["model"]
    if model["type"] != "BPE" or model.get("byte_fallback"):
        raise refused(
            "its tokenizer is neither of byte-level BPE, as GPT-2's and Qwen's, nor of SentencePiece's"
        )
    normalizers = [part["type"] for part in _flat(tokenizer.get("normalizer"), "normalizers")]
    if set(normalizers) - {"NFC"}:
        raise refused(f"its tokenizer changes texts first ({', '.join(normalizers)})")
    for key in ("continuing_subword_prefix", "end_of_word_suffix", "dropout"):
        if model.get(key):
            raise refused(f"its tokenizer has a {key}")
    parts = _flat(tokenizer.get("pre_tokenizer"), "pretokenizers")
    splits = tuple(split for part in parts for split in _splits(part))
    name = NAMES.get((splits, bool(model.get("ignore_merges"))))
    if name is None or not any(part["type"] == "ByteLevel" for part in parts):
        raise refused("its tokenizer splits texts in a way that is not known here")
    return name


def _splits(part: dict[str, Any]) -> list[str]:
    """What one part of a pre-tokenizer splits by; words of its own for what llama.cpp has no name for."""
    if part["type"] == "ByteLevel" and not part.get("add_prefix_space"):
        return [GPT2] if part.get("use_regex", True) else []
    if part["type"] == "Digits" and part.get("individual_digits"):
        return [DIGITS]
    if part["type"] == "Split" and part.get("behavior") == "Isolated" and not part.get("invert"):
        return [str(part["pattern"].get("Regex"))]
    return [str(part)]


def _flat(part: dict[str, Any] | None, key: str) -> list[dict[str, Any]]:
    if part is None:
        return []
    if part["type"] == "Sequence":
        return [inner for one in part[key] for inner in _flat(one, key)]
    return [part]
