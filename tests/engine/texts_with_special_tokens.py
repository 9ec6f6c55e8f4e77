"""Texts in which special tokens are spelled, as hypothesis draws them: lists of their parts."""

from hypothesis import strategies as st

SPELLED = [
    "</s>",
    "<s>",
    "<unk>",
    "<pad>",
    "<|im_end|>",
    "<|im_start|>",
    "<|endoftext|>",
    "[SEP]",
    "[CLS]",
    "[UNK]",
]
WORDS = st.sampled_from(
    ["SELECT", " ", "  ", "'%", "%'", "name", "\n", "x", "<tool_call>", "</", "s>", "<|", *SPELLED]
)
ASCII = st.lists(
    st.one_of(WORDS, st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=4)), max_size=8
)
ANY = st.lists(st.one_of(WORDS, st.text(st.characters(exclude_categories=["Cs"]), max_size=4)), max_size=8)
