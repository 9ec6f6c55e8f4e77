"""Tokenizers as they are trained, loaded, and read again beside a model."""

import json

import pytest
import tokenizer_kinds
from tokenizers import processors
from transformers import AutoConfig, AutoTokenizer

from kdzoo.engine.models.plain_text import text_ids
from kdzoo.engine.models.tokenizers import as_read_beside, frame, load_tokenizer, train_tokenizer
from kdzoo.errors import UserError

TEXT = "table singer LIKE '%</s>%'  <unk> é 日本 12\n\n don't"
DECOMPOSED = "Cafe\N{COMBINING ACUTE ACCENT}"
# one of each class that AutoTokenizer chooses by the type of the model
MODELS = [
    *("llama", "mistral", "gemma", "gemma3_text", "phi3", "gpt2", "gpt_neox", "codegen", "opt", "bloom"),
    *(
        "qwen2",
        "qwen3",
        "qwen3_5_text",
        "cohere",
        "falcon",
        "mamba",
        "rwkv",
        "xglm",
        "bert",
        "olmo2",
        "minimax",
    ),
]


def beside(tokenizer, model, folder):
    """Read a tokenizer with plain transformers from the folder of a model of that type."""
    AutoConfig.for_model(model).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder)


@pytest.mark.parametrize("model", MODELS)
def test_a_trained_one_is_the_same_beside_every_model(model, tmp_path):
    trained = tokenizer_kinds.trained()
    ours = as_read_beside(trained, [AutoConfig.for_model(model)])
    theirs = beside(ours, model, tmp_path)
    for text in (TEXT, DECOMPOSED):
        assert theirs(text)["input_ids"] == [theirs.bos_token_id, *text_ids(ours, text)]
    assert theirs(TEXT)["input_ids"] == trained(TEXT)["input_ids"]


def test_a_trained_one_changes_no_character():
    tokenizer = train_tokenizer(["a b"], 300)
    assert tokenizer.decode(text_ids(tokenizer, DECOMPOSED)) == DECOMPOSED
    # a model's own rule may be another one, and then it is that from the beginning
    qwen = as_read_beside(tokenizer, [AutoConfig.for_model("llama"), AutoConfig.for_model("qwen2")])
    assert qwen.decode(text_ids(qwen, DECOMPOSED)) == "Caf\N{LATIN SMALL LETTER E WITH ACUTE}"


def test_a_frame_is_what_stands_around_a_text():
    assert frame(tokenizer_kinds.trained()) == ([1], [])
    assert frame(tokenizer_kinds.qwen()) == ([], [])
    assert frame(tokenizer_kinds.wordpiece()) == ([1], [2])
    assert frame(tokenizer_kinds.slow()) == ([], [1])


@pytest.mark.parametrize(
    "rule",
    [
        processors.BertProcessing(("</s>", 2), ("<s>", 1)),
        processors.RobertaProcessing(("</s>", 2), ("<s>", 1)),
        processors.Sequence(
            [
                processors.ByteLevel(),
                processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]),
            ]
        ),
    ],
    ids=["bert", "roberta", "sequence"],
)
def test_every_rule_loses_what_it_puts_after_a_text(rule, tmp_path):
    tokenizer = tokenizer_kinds.trained()
    tokenizer.backend_tokenizer.post_processor = rule
    tokenizer.save_pretrained(tmp_path)
    inner = text_ids(tokenizer, TEXT)
    assert AutoTokenizer.from_pretrained(tmp_path)(TEXT)["input_ids"] == [1, *inner, 2]
    loaded = load_tokenizer(str(tmp_path))
    assert frame(loaded) == ([1], [])
    loaded.save_pretrained(tmp_path)
    assert AutoTokenizer.from_pretrained(tmp_path)(TEXT)["input_ids"] == [1, *inner]


class TestAnAdapterSTokenizer:
    def folder(self, path, base):
        path.mkdir()
        (path / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(base)}))
        return path

    def test_is_its_base_s_if_it_has_none(self, tmp_path):
        tokenizer_kinds.trained().save_pretrained(tmp_path / "model")
        first = self.folder(tmp_path / "first", tmp_path / "model")
        second = self.folder(tmp_path / "second", first)
        for adapter in (first, second):
            assert load_tokenizer(str(adapter)).get_vocab() == tokenizer_kinds.trained().get_vocab()

    def test_is_its_own_if_it_has_one(self, tmp_path):
        tokenizer_kinds.trained().save_pretrained(tmp_path / "model")
        adapter = self.folder(tmp_path / "adapter", tmp_path / "model")
        tokenizer_kinds.qwen().save_pretrained(adapter)
        assert load_tokenizer(str(adapter)).get_vocab() == tokenizer_kinds.qwen().get_vocab()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"model": {"type": "BPE"}}'])
def test_a_broken_one_is_told_with_its_folder(content, tmp_path):
    tokenizer_kinds.trained().save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(UserError, match=rf"the tokenizer of '{tmp_path}' cannot be loaded: ."):
        load_tokenizer(str(tmp_path))
