"""Data are plain text: what spells a special token is never read as one, and no character is lost."""

import pytest
import tokenizer_kinds
from hypothesis import given, settings
from texts_with_special_tokens import ANY, ASCII, SPELLED
from tokenizer_kinds import loaded

from kdzoo.engine.models.plain_text import special_tokens, spells_special_token, text_ids
from kdzoo.engine.prompts.encoding import decode

kinds = pytest.mark.parametrize("kind", tokenizer_kinds.ALL)
lossless = pytest.mark.parametrize("kind", tokenizer_kinds.LOSSLESS)


class TestDataArePlainText:
    @lossless
    @settings(deadline=None, max_examples=40)
    @given(parts=ANY)
    def test_every_text_comes_back_as_it_was(self, kind, parts):
        text, tokenizer = "".join(parts), loaded(kind)
        ids = text_ids(tokenizer, text)
        back = tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        assert back == (text.removeprefix(" ") if kind.startswith("llama2") else text)

    @kinds
    @settings(deadline=None, max_examples=40)
    @given(parts=ASCII)
    def test_none_of_it_is_a_special_token(self, kind, parts):
        text, tokenizer = "".join(parts), loaded(kind)
        ids = text_ids(tokenizer, text)
        assert not special_tokens(tokenizer).keys() & {*ids}
        # white space may be folded, and WordPiece puts some between words, but no character is lost
        assert "".join(decode(tokenizer, ids).split()) == "".join(text.split())

    @kinds
    @pytest.mark.parametrize("text", ["SELECT name FROM singer", "a  b", "x = '%?%'", "", "<tool_call>"])
    def test_a_text_that_spells_none_is_encoded_as_ever(self, kind, text):
        tokenizer = tokenizer_kinds.ALL[kind]()
        assert text_ids(tokenizer, text) == tokenizer.encode(text, add_special_tokens=False)

    @kinds
    def test_what_the_vocabulary_lacks_is_unknown_and_not_what_spells_that(self, kind):
        tokenizer = loaded(kind)
        unknown = text_ids(tokenizer, "\N{MUSICAL SYMBOL G CLEF}").count(tokenizer.unk_token_id)
        text = f"a {tokenizer.unk_token} \N{MUSICAL SYMBOL G CLEF}"
        assert text_ids(tokenizer, text).count(tokenizer.unk_token_id) == unknown
        assert (
            "".join(decode(tokenizer, text_ids(tokenizer, f"a {tokenizer.unk_token}")).split())
            == f"a{tokenizer.unk_token}"
        )


class TestSpecialTokens:
    @kinds
    def test_all_that_transformers_skips_are_among_them(self, kind):
        tokenizer = loaded(kind)
        found = special_tokens(tokenizer)
        assert set(tokenizer.all_special_ids) <= set(found)
        for number, name in found.items():
            assert tokenizer.convert_ids_to_tokens(number) == name
            assert tokenizer.decode([number], skip_special_tokens=True) == ""

    def test_an_added_token_that_is_ordinary_is_none(self):
        tokenizer = loaded("qwen")
        number = tokenizer.convert_tokens_to_ids("<tool_call>")
        assert number in tokenizer.added_tokens_decoder
        assert number not in special_tokens(tokenizer)

    @kinds
    def test_a_text_spells_one_where_it_holds_its_name(self, kind):
        tokenizer = loaded(kind)
        names = set(special_tokens(tokenizer).values())
        assert all(spells_special_token(tokenizer, f"LIKE '%{name}%'") for name in names)
        for text in ("SELECT 1", "", "< s >", *(name for name in SPELLED if name not in names)):
            assert spells_special_token(tokenizer, text) == any(name in text for name in names)
