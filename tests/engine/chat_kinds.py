"""Small tokenizers of the kinds that chat models have, with templates of their form and the ends that they name."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from tempfile import TemporaryDirectory

import tokenizer_kinds
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from kdzoo.engine.models.tokenizers import load_tokenizer, reads_special_tokens

CORPUS = [
    *tokenizer_kinds.CORPUS,
    *["system\nYou are a helpful assistant\nuser\nassistant\n[INST] model [/INST]\n\nAnswer in SQL."] * 8,
]


def _byte_level(special: list[str], **names: str) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        CORPUS, trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False)
    )
    tokenizer.add_special_tokens(special)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)


def _begins_with(tokenizer: PreTrainedTokenizerFast, name: str) -> PreTrainedTokenizerFast:
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{name} $A", special_tokens=[(name, tokenizer.convert_tokens_to_ids(name))]
    )
    return tokenizer


_CHATML = (
    "{% if messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful assistant<|im_end|>\n' }}{% endif %}"
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
_CHATML_TOKENS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def qwen25() -> PreTrainedTokenizerBase:
    """No beginning of sequence; a turn ends otherwise than a text."""
    tokenizer = _byte_level(_CHATML_TOKENS, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    tokenizer.chat_template = _CHATML
    return tokenizer


def smollm() -> PreTrainedTokenizerBase:
    """ChatML, with its start for a beginning of sequence, which nothing puts before a text."""
    tokenizer = _byte_level(
        _CHATML_TOKENS, bos_token="<|im_start|>", eos_token="<|im_end|>", pad_token="<|im_end|>"
    )
    tokenizer.chat_template = _CHATML
    return tokenizer


def smollm_base() -> PreTrainedTokenizerBase:
    """The same beside a base model: the tokenizer's end is the text's, not the turn's."""
    tokenizer = smollm()
    tokenizer.eos_token = "<|endoftext|>"
    return tokenizer


def qwen3() -> PreTrainedTokenizerBase:
    """It reasons unless it is told not to, and then begins its answer with an empty thought."""
    tokenizer = _byte_level(_CHATML_TOKENS, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    tokenizer.add_tokens(["<think>", "</think>"])
    tokenizer.chat_template = (
        "{% for message in messages %}{{ '<|im_start|>' + message.role + '\n' }}"
        "{% if message.role == 'assistant' and loop.last %}{{ '<think>\n\n</think>\n\n' }}{% endif %}"
        "{{ message.content + '<|im_end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
        "{% if enable_thinking is defined and enable_thinking is false %}{{ '<think>\n\n</think>\n\n' }}"
        "{% endif %}{% endif %}"
    )
    return tokenizer


def llama3() -> PreTrainedTokenizerBase:
    """Its rule and its template both put the beginning of sequence; the template trims, and names the day."""
    tokenizer = _byte_level(
        [
            "<|begin_of_text|>",
            "<|end_of_text|>",
            "<|start_header_id|>",
            "<|end_header_id|>",
            "<|eom_id|>",
            "<|eot_id|>",
        ],
        bos_token="<|begin_of_text|>",
        eos_token="<|eot_id|>",
    )
    tokenizer.chat_template = (
        "{% if not date_string is defined %}{% set date_string = strftime_now('%d %b %Y') %}{% endif %}"
        "{{ bos_token + '<|start_header_id|>system<|end_header_id|>\n\nToday Date: ' + date_string + '\n\n' }}"
        "{% if messages[0]['role'] == 'system' %}{{ messages[0]['content'] | trim }}"
        "{% set messages = messages[1:] %}{% endif %}{{ '<|eot_id|>' }}"
        "{% for message in messages %}{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' }}"
        "{{ message['content'] | trim + '<|eot_id|>' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
    )
    return _begins_with(tokenizer, "<|begin_of_text|>")


def llama2() -> PreTrainedTokenizerBase:
    """Turns are told apart by plain text, and nothing asks for an answer; each question begins a sequence."""
    tokenizer = tokenizer_kinds.llama2()
    tokenizer.chat_template = (
        "{% if messages[0]['role'] == 'system' %}"
        "{% set start = '<<SYS>>\n' + messages[0]['content'] + '\n<</SYS>>\n\n' %}{% set messages = messages[1:] %}"
        "{% else %}{% set start = '' %}{% endif %}"
        "{% for message in messages %}"
        "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
        "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
        "{% if message['role'] == 'user' %}"
        "{{ bos_token + '[INST] ' + (start if loop.first else '') + message['content'].strip() + ' [/INST]' }}"
        "{% else %}{{ ' ' + message['content'].strip() + ' ' + eos_token }}{% endif %}{% endfor %}"
    )
    return tokenizer


def gemma() -> PreTrainedTokenizerBase:
    """No system message; the assistant is called model; its end of turn is none of the tokenizer's own ends."""
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>"]
    pieces = Tokenizer(models.BPE(unk_token="<unk>"))
    pieces.train_from_iterator(
        [text.replace(" ", "▁") for text in CORPUS],
        trainers.BpeTrainer(
            vocab_size=500,
            special_tokens=[*special, *(f"<0x{number:02X}>" for number in range(256))],
            max_token_length=12,
            show_progress=False,
        ),
    )
    content = json.loads(pieces.to_str())["model"]
    merges = [tuple(merge) for merge in content["merges"]]
    tokenizer = Tokenizer(
        models.BPE(content["vocab"], merges, byte_fallback=True, fuse_unk=True, unk_token="<unk>")
    )
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    tokenizer.add_special_tokens(special)
    made = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<bos>",
        eos_token="<eos>",
        pad_token="<pad>",
        unk_token="<unk>",
        extra_special_tokens={"start": "<start_of_turn>", "end": "<end_of_turn>"},
    )
    made.chat_template = (
        "{{ bos_token }}{% if messages[0]['role'] == 'system' %}"
        "{{ raise_exception('System role not supported') }}{% endif %}"
        "{% for message in messages %}"
        "{{ '<start_of_turn>' + ('model' if message['role'] == 'assistant' else message['role']) + '\n' }}"
        "{{ message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
    )
    return _begins_with(made, "<bos>")


@dataclass(frozen=True)
class Kind:
    """How such a tokenizer is made, the ends that its model's generation configuration names, and that of a turn."""

    make: Callable[[], PreTrainedTokenizerBase]
    ends: tuple[str, ...]
    end_of_turn: str
    has_system: bool = True


KINDS = {
    "llama2": Kind(llama2, ("</s>",), "</s>"),
    "qwen25": Kind(qwen25, ("<|im_end|>", "<|endoftext|>"), "<|im_end|>"),
    "qwen3": Kind(qwen3, ("<|im_end|>", "<|endoftext|>"), "<|im_end|>"),
    "llama3": Kind(llama3, ("<|end_of_text|>", "<|eom_id|>", "<|eot_id|>"), "<|eot_id|>"),
    "gemma": Kind(gemma, ("<eos>", "<end_of_turn>"), "<end_of_turn>", has_system=False),
    "smollm": Kind(smollm, ("<|im_end|>",), "<|im_end|>"),
    "smollm_base": Kind(smollm_base, ("<|endoftext|>",), "<|im_end|>"),
}


@cache
def released(kind: str) -> PreTrainedTokenizerBase:
    """Such a tokenizer as plain transformers loads it."""
    with TemporaryDirectory() as folder:
        KINDS[kind].make().save_pretrained(folder)
        return AutoTokenizer.from_pretrained(folder)


@cache
def loaded(kind: str) -> PreTrainedTokenizerBase:
    """The same as a run with template = "chat" loads it."""
    with TemporaryDirectory() as folder:
        KINDS[kind].make().save_pretrained(folder)
        return reads_special_tokens(load_tokenizer(folder))
