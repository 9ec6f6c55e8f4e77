"""Small tokenizers of every kind that causal language models have, trained on the spot."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from tempfile import TemporaryDirectory

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    AddedToken,
    ByT5Tokenizer,
    LlamaTokenizer,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from kdzoo.engine.models.tokenizers import load_tokenizer, train_tokenizer

CORPUS = [
    "SELECT name FROM singer WHERE country LIKE '%</s>%' AND age > 12",
    "How many <s> singers </s> are there? <unk> <|im_end|> [SEP]",
    "table singer , columns = [ singer.name ( text ) ]   None",
] * 8
CHAT = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
LLAMA = ["<unk>", "<s>", "</s>"]


def trained() -> PreTrainedTokenizerBase:
    """What a recipe trains."""
    return train_tokenizer(CORPUS, 400)


def qwen() -> PreTrainedTokenizerBase:
    """Byte-level, no beginning of sequence, chat tokens and an added token that is ordinary."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        CORPUS, trainers.BpeTrainer(vocab_size=380, initial_alphabet=alphabet, show_progress=False)
    )
    tokenizer.add_special_tokens(CHAT)
    tokenizer.add_tokens([AddedToken("<tool_call>", special=False, normalized=False)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token=CHAT[0])


def gpt2() -> PreTrainedTokenizerBase:
    """Byte-level, one token for beginning, end and padding, which it does not put before a text by itself."""
    tokenizer = qwen()
    tokenizer.bos_token = tokenizer.eos_token = CHAT[0]
    return tokenizer


def llama3() -> PreTrainedTokenizerBase:
    """Byte-level, with a beginning of sequence; a word that the vocabulary has is never taken apart."""
    content = json.loads(qwen().backend_tokenizer.to_str())
    content["model"]["ignore_merges"] = True
    content["model"]["vocab"]["<|im_end|>"] = len(content["model"]["vocab"])
    for token in content["added_tokens"]:
        token["id"] = content["model"]["vocab"].setdefault(token["content"], len(content["model"]["vocab"]))
    content["added_tokens"].sort(key=lambda token: token["id"])
    content["pre_tokenizer"] = {
        "type": "Sequence",
        "pretokenizers": [{"type": "WhitespaceSplit"}, content["pre_tokenizer"]],
    }
    tokenizer = Tokenizer.from_str(json.dumps(content))
    begin = tokenizer.token_to_id("<|im_start|>")
    template = processors.TemplateProcessing(
        single="<|im_start|> $A", special_tokens=[("<|im_start|>", begin)]
    )
    tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), template])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<|im_start|>", eos_token="<|im_end|>"
    )


def llama2(**settings: bool) -> PreTrainedTokenizerBase:
    """Words begin with a mark for their space, unknown characters become bytes."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(split=False)
    bytes_ = [f"<0x{number:02X}>" for number in range(256)]
    tokenizer.train_from_iterator(
        CORPUS, trainers.BpeTrainer(vocab_size=420, special_tokens=[*LLAMA, *bytes_], show_progress=False)
    )
    content = json.loads(tokenizer.to_str())["model"]
    merges = [tuple(merge) for merge in content["merges"]]
    return LlamaTokenizer(vocab=content["vocab"], merges=merges, **{"add_bos_token": True, **settings})


def llama2_with_end() -> PreTrainedTokenizerBase:
    """It puts the end of sequence after every text."""
    tokenizer = llama2(add_eos_token=True)
    tokenizer.init_kwargs |= {"add_bos_token": True, "add_eos_token": True}
    return tokenizer


def unigram() -> PreTrainedTokenizerBase:
    """Its special tokens are among its words, as SentencePiece has them.

    Written down, not trained: what a trainer of these finds is another vocabulary in each process.
    """
    words = ["\u2581", "\u2581SELECT", "\u2581table", "\u2581singer", "name", "\u2581a", "er", "s"]
    letters = ["\n", *(chr(code) for code in range(33, 127))]
    scored = [*((piece, 0.0) for piece in LLAMA)]
    scored += [(piece, -2.0 - 0.01 * n) for n, piece in enumerate(dict.fromkeys([*words, *letters]))]
    tokenizer = Tokenizer(models.Unigram(scored, unk_id=0))
    tokenizer.add_special_tokens(LLAMA)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    )


def wordpiece() -> PreTrainedTokenizerBase:
    """BERT's: a token before every text and one after it, which is its end of sequence."""
    special = ["[UNK]", "[CLS]", "[SEP]"]
    letters = [chr(code) for code in range(33, 127)]
    words = ["SELECT", "table", "singer", "name", "##name", "##s", "'%</s>%'"]
    vocabulary = [*special, *letters, *(f"##{letter}" for letter in letters), *words]
    numbered = {piece: number for number, piece in enumerate(dict.fromkeys(vocabulary))}
    tokenizer = Tokenizer(models.WordPiece(numbered, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.decoder = decoders.WordPiece(cleanup=False)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[UNK]", bos_token="[CLS]", eos_token="[SEP]"
    )


def slow() -> PreTrainedTokenizerBase:
    """In Python, not Rust: bytes, and the end of sequence after every text."""
    return ByT5Tokenizer()


LOSSLESS: dict[str, Callable[[], PreTrainedTokenizerBase]] = {
    "trained": trained,
    "qwen": qwen,
    "gpt2": gpt2,
    "llama2": llama2,
    "llama2_with_end": llama2_with_end,
    "slow": slow,
}
"""Kinds that give any text back as it was, but for a space at its beginning that LLaMA's takes for its mark."""

ALL = {**LOSSLESS, "llama3": llama3, "unigram": unigram, "wordpiece": wordpiece}

SPECIAL_WORDS = {"llama3", "unigram", "wordpiece"}
"""Kinds whose vocabulary has special tokens among its words: transformers cannot be told not to find them there."""


@cache
def loaded(kind: str) -> PreTrainedTokenizerBase:
    """A tokenizer of that kind as a run loads it."""
    with TemporaryDirectory() as folder:
        ALL[kind]().save_pretrained(folder)
        return load_tokenizer(folder)
