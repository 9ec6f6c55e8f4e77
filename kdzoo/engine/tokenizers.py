"""The tokenizer that teacher and student share: loaded, or trained on the data at hand."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from kdzoo.errors import UserError

_SPECIAL = ["<pad>", "<s>", "</s>", "<unk>"]

# Words with the sign or space before them, single digits, runs of signs, white space: how Qwen2's tokenizer splits.
# AutoTokenizer puts that splitting in place for a Qwen2 model whatever its folder says, so no other would survive it.
_SPLITTING = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
    r"\s*[\r\n]+|\s+(?!\S)|\s+"
)


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE tokenizer with the special tokens of LLaMA's and a padding token.

    Deterministic for the same texts. Digits stand alone, so that numbers are copied digit by digit.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_SPLITTING), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=_SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        clean_up_tokenization_spaces=False,
    )


def load_tokenizer(path: str, revision: str | None = None) -> PreTrainedTokenizerBase:
    """Load a tokenizer from a local folder or by its hub name.

    Raises:
        UserError: there is none, or it has no end-of-sequence token.
    """
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(path, revision=revision)
    except (
        Exception
    ) as error:  # a file that is not as it should be is refused by the bare class, among others
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"the tokenizer of {path!r} cannot be loaded: {reason}") from error
    if tokenizer.eos_token_id is None:
        raise UserError(f"the tokenizer of {path!r} has no end-of-sequence token")
    return tokenizer


def check_same_vocabulary(student: PreTrainedTokenizerBase, teacher: PreTrainedTokenizerBase) -> None:
    """Make sure that a token id means the same to both models.

    Raises:
        UserError: the tokenizers differ; the message names a token that shows it.
    """
    ours, theirs = student.get_vocab(), teacher.get_vocab()
    differing = sorted(token for token in ours.keys() | theirs.keys() if ours.get(token) != theirs.get(token))
    if differing:
        token = differing[0]
        raise UserError(
            "student and teacher have different tokenizers, so their distributions cannot be compared: "
            f"{len(differing)} tokens differ, for example {token!r}: id {ours.get(token)} in the student's, "
            f"{theirs.get(token)} in the teacher's"
        )


def save_tokenizer(tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Save a tokenizer beside a model."""
    tokenizer.save_pretrained(str(folder))
