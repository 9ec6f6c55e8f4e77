"""GGUF files: what is needed to read them, and models that come out of them."""

import importlib.util

import pytest

from kdzoo.engine.models import gguf
from kdzoo.engine.models.gguf import forget_packing, in_gguf
from kdzoo.errors import UserError


def test_without_a_file_nothing_is_asked_for(monkeypatch):
    monkeypatch.setattr(gguf, "find_spec", lambda _: None)
    assert in_gguf(None) == {}


def test_the_package_that_reads_them_may_be_missing(monkeypatch):
    monkeypatch.setattr(gguf, "find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"needs the package gguf: pip install 'kdzoo\[gguf\]'"):
        in_gguf("model.gguf")


def test_transformers_is_told_the_file(monkeypatch):
    monkeypatch.setattr(gguf, "find_spec", lambda _: importlib.util.find_spec("json"))
    assert in_gguf("model.gguf") == {"gguf_file": "model.gguf"}


def test_an_unpacked_model_is_saved_as_any_other(make_model, tmp_path):
    model = make_model("llama")
    model.config.quantization_config = {"quant_method": "gguf"}
    model.is_quantized = True
    forget_packing(model)
    model.save_pretrained(tmp_path)
    assert "quantization_config" not in (tmp_path / "config.json").read_text()
