"""Tiny models and tokenizers of the kinds that can be written as GGUF."""

from __future__ import annotations

import json
from functools import cache

import tokenizer_kinds
import torch
from tokenizer_kinds import CORPUS
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from kdzoo.engine.models.gguf_export.pre_tokenizer import DIGITS, GPT2, NAMES

VOCABULARY = 420
_SIZES = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "vocab_size": VOCABULARY,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 0,
}
KINDS = {
    "llama": {"model_type": "llama", "tie_word_embeddings": False},
    "llama_tied": {"model_type": "llama", "tie_word_embeddings": True},
    "llama_wide_heads": {"model_type": "llama", "head_dim": 32},
    "llama31": {
        "model_type": "llama",
        "rope_parameters": {
            "rope_type": "llama3",
            "rope_theta": 500_000.0,
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64,
        },
    },
    "mistral": {"model_type": "mistral", "sliding_window": None, "rope_parameters": {"rope_theta": 1e6}},
    "qwen2": {"model_type": "qwen2", "tie_word_embeddings": True, "rope_parameters": {"rope_theta": 1e6}},
    "qwen3": {"model_type": "qwen3", "head_dim": 128, "rope_parameters": {"rope_theta": 1e6}},
}
TEXTS = [
    "Hello world",
    " leading",
    "trailing  ",
    "a\n\n b\t\tc",
    "How many singers are 12 345 6789?",
    "I'm they'RE we'll 'S it's don't STOP'LL",
    "naïve café Ünïcode",
    "日本語テキスト",
    "🚀 emoji 🦙🦙",
    "SELECT name FROM singer WHERE country LIKE '%</s>%' AND age > 12",
    "<|im_end|> is text, or ends a turn",
    "  multiple   spaces    here",
    "x=1;y==2!=3",
    "\r\n windows\r\n",
    "²½ Ⅷ ٣٤",
    "\n \n\n \n\n\n \t \t\t",
    "a" * 50,
    "e\u0301 combining \u00a0nbsp\u2003em",
]


def make(kind: str, **settings: object) -> PreTrainedModel:
    """A model of that kind whose logits differ enough for rounding not to change the most probable token."""
    described = {**_SIZES, **KINDS[kind], **settings}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = AutoConfig.for_model(described.pop("model_type"), **described)
        model = AutoModelForCausalLM.from_config(config).eval()
        for weight in model.parameters():
            torch.nn.init.normal_(weight, 1.0 if weight.dim() == 1 else 0.0, 0.3)
    return model


@cache
def sentencepiece(scheme: str = "first") -> PreTrainedTokenizerFast:
    """LLaMA-2's kind as it is made from a SentencePiece model: all ways to merge each piece, the best piece first."""
    content = json.loads(tokenizer_kinds.llama2().backend_tokenizer.to_str())
    model = content["model"]
    pieces = list(dict.fromkeys("".join(merge) for merge in model["merges"]))
    ways = [(p[:i], p[i:]) for p in pieces for i in range(1, len(p))]
    model["merges"] = [list(way) for way in ways if way[0] in model["vocab"] and way[1] in model["vocab"]]
    content["pre_tokenizer"]["prepend_scheme"] = scheme
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(content)),
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
    )


@cache
def tokenizer_of(name: str, begins: bool = False) -> PreTrainedTokenizerFast:
    """A byte-level tokenizer that splits as llama.cpp's ``name`` says."""
    splits, ignores = next(key for key, called in NAMES.items() if called == name)
    parts = [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=GPT2 in splits)]
    if DIGITS in splits:
        parts.insert(0, pre_tokenizers.Digits(individual_digits=True))
    elif GPT2 not in splits:
        parts.insert(0, pre_tokenizers.Split(Regex(splits[0]), behavior="isolated"))
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(parts)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - 20,
        special_tokens=["<|begin|>", "<|end|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    content = json.loads(tokenizer.to_str())
    content["model"]["ignore_merges"] = ignores
    tokenizer = Tokenizer.from_str(json.dumps(content))
    if begins:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<|begin|> $A", special_tokens=[("<|begin|>", 0)]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<|begin|>", eos_token="<|end|>", pad_token="<|begin|>"
    )
