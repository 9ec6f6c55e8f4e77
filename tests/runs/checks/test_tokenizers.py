"""Tokenizers that cannot be read, or do not fit the models, are told before a run writes anything."""

from __future__ import annotations

from typing import Any

import pytest

Check = Any  # of conftest.py
OTHER = ["<unk>", "<s>", "</s>", "select", "where", "from"]


def remove_tokenizer(check: Check, role: str) -> None:
    for file in (check.folder / role).glob("tokenizer*"):
        file.unlink()


class TestTheModels:
    def test_must_share_one(self, check: Check) -> None:
        check.save_tokenizer("student", OTHER)
        message = check.refused("kid")
        assert message.startswith("./r.toml:8: student.path: student and teacher have different tokenizers")
        assert "2 tokens differ, for example 'from': id 5 in the student's, 4 in the teacher's" in message

    def test_must_share_one_also_where_a_tokenizer_is_named(self, check: Check) -> None:
        check.save_tokenizer("student", OTHER)
        assert "different tokenizers" in check.refused("kid", more='[tokenizer]\npath = "teacher"\n')

    def test_need_one(self, check: Check) -> None:
        remove_tokenizer(check, "student")
        assert check.refused("kid").startswith(
            "./r.toml:8: student.path: the tokenizer of './student' cannot be loaded"
        )

    def test_must_know_all_its_tokens(self, check: Check) -> None:
        check.save_model("student", vocab_size=5)
        assert check.refused("kid") == (
            "./r.toml:8: student.path: the tokenizer has token ids up to 5, and the student knows only 5 tokens"
        )

    def test_never_see_a_padding_token_beyond_their_vocabulary(self, check: Check) -> None:
        for role in ("teacher", "student"):
            check.save_tokenizer(role, [*check.words, "<pad>"], pad_token="<pad>")
        assert check("kid") == []


class TestANamedOne:
    def test_must_be_the_models_own(self, check: Check) -> None:
        check.save_tokenizer("another", OTHER)
        message = check.refused("kid", more='[tokenizer]\npath = "another"\n')
        assert message.startswith(
            "./r.toml:10: tokenizer.path: names another vocabulary than the teacher's own; leave [tokenizer] out"
        )

    def test_stands_in_where_a_model_has_none(self, check: Check) -> None:
        remove_tokenizer(check, "student")
        assert check("kid", more='[tokenizer]\npath = "teacher"\n') == []

    def test_must_be_there(self, check: Check) -> None:
        (check.folder / "empty").mkdir()
        message = check.refused("kid", more='[tokenizer]\npath = "empty"\n')
        assert message.startswith("./r.toml:10: tokenizer.path: the tokenizer of './empty' cannot be loaded")


@pytest.mark.parametrize("content", ["{", "{}"], ids=["cut", "object"])
def test_a_named_one_whose_files_are_broken_is_named_with_its_line(check: Check, content: str) -> None:
    check.save_tokenizer("own")
    (check.folder / "own/tokenizer.json").write_text(content)
    check.text = check.text.split("[teacher]")[0] + '[tokenizer]\npath = "own"\n'
    check.text += (
        '[student]\nfrom_scratch = { architecture = "llama", hidden_size = 16, num_attention_heads = 2 }\n'
    )
    assert check.refused("sft").startswith(
        "./r.toml:6: tokenizer.path: the tokenizer of './own' cannot be loaded"
    )


@pytest.mark.parametrize("file", ["tokenizer.json", "tokenizer_config.json"])
@pytest.mark.parametrize("content", ["{", "[]", "{}", ""], ids=["cut", "list", "object", "empty"])
def test_one_whose_files_are_broken_is_named_with_its_line(check: Check, file: str, content: str) -> None:
    (check.folder / "student" / file).write_text(content)
    message = check.refused("kid")
    assert message.startswith("./r.toml:8: student.path: ")
    assert "\n" not in message
