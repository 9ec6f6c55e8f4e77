"""The tokenizer that teacher and student share: loaded, or trained on the data at hand."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, PretrainedConfig, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from kdzoo.engine.models.adapter_folder import base_of, is_adapter
from kdzoo.engine.models.gguf import in_gguf
from kdzoo.engine.models.load_errors import told_as
from kdzoo.errors import UserError

_SPECIAL = ["<pad>", "<s>", "</s>", "<unk>"]

# Words with the sign or space before them, single digits, runs of signs, white space: how Qwen2's tokenizer splits.
# AutoTokenizer puts that splitting in place for a Qwen2 model whatever its folder says, so no other would survive it.
_SPLITTING = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
    r"\s*[\r\n]+|\s+(?!\S)|\s+"
)

_ONE_WORD = Tokenizer(models.WordLevel({"word": 0})).encode("word")


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE tokenizer with the special tokens of LLaMA's and a padding token.

    Deterministic for the same texts. Digits stand alone, so that numbers are copied digit by digit. It changes no
    character, and puts the beginning of sequence before a text.
    """
    tokenizer = Tokenizer(models.BPE())
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
    bos = "<s>"
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A", special_tokens=[(bos, tokenizer.token_to_id(bos))]
    )
    trained = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=bos,
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        clean_up_tokenization_spaces=False,
    )
    _read_plain_text(trained)
    return trained


def as_read_beside(
    tokenizer: PreTrainedTokenizerBase, configs: Iterable[PretrainedConfig]
) -> PreTrainedTokenizerBase:
    """The tokenizer as it will be when it is loaded from the folders of models of these configurations.

    AutoTokenizer chooses a class by the type of the model beside it, and some put a normalisation of their own (NFC)
    in place.
    """
    for config in configs:
        with TemporaryDirectory() as folder:
            config.save_pretrained(folder)
            tokenizer.save_pretrained(folder)
            tokenizer = load_tokenizer(folder)
    return tokenizer


def load_tokenizer(
    path: str,
    revision: str | None = None,
    gguf_file: str | None = None,
    *,
    trust_remote_code: bool = False,
) -> PreTrainedTokenizerBase:
    """Load a tokenizer from a local folder or by its hub name, or the one in its folder's ``gguf_file``.

    An adapter without one has that of its base.

    It follows its own rule of what stands before a text, and puts nothing after it, so that what it gives can be
    continued. It takes what spells a special token for text. Both are saved with it. Code that it brings along is run
    only if ``trust_remote_code`` says so.

    Raises:
        UserError: there is none, it needs code of its own, or it has no end-of-sequence token.
    """
    folder = Path(path)
    if is_adapter(folder) and not any(folder.glob("tokenizer*")):
        base = base_of(folder)
        return load_tokenizer(base.path, base.revision, trust_remote_code=trust_remote_code)
    with told_as(f"the tokenizer of {path!r} cannot be loaded"):
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            path, revision=revision, trust_remote_code=trust_remote_code, **in_gguf(gguf_file)
        )
    if tokenizer.eos_token_id is None:
        raise UserError(f"the tokenizer of {path!r} has no end-of-sequence token")
    _read_plain_text(tokenizer)
    _put_nothing_after(tokenizer)
    return tokenizer


def special_ids(tokenizer: PreTrainedTokenizerBase) -> dict[str, int | None]:
    """The ids of a tokenizer's special tokens, as a model's configuration names them."""
    return {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}


def frame(tokenizer: PreTrainedTokenizerBase) -> tuple[list[int], list[int]]:
    """The ids that a tokenizer puts before and after a text by its own rule."""
    if not tokenizer.is_fast:
        inner = -1
        whole: list[int] = tokenizer.build_inputs_with_special_tokens([inner])
        place = whole.index(inner)
    else:
        rule = tokenizer.backend_tokenizer.post_processor
        if rule is None:
            return [], []
        processed = rule.process(_ONE_WORD, None, True)
        whole, place = processed.ids, processed.special_tokens_mask.index(0)
    return whole[:place], whole[place + 1 :]


def reads_special_tokens(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """Let a tokenizer take what spells a special token for one, as a chat template needs it, which writes them as text."""
    _split_special_tokens(tokenizer, False)
    return tokenizer


def _read_plain_text(tokenizer: PreTrainedTokenizerBase) -> None:
    _split_special_tokens(tokenizer, True)


def _split_special_tokens(tokenizer: PreTrainedTokenizerBase, splits: bool) -> None:
    tokenizer.split_special_tokens = splits
    tokenizer.init_kwargs["split_special_tokens"] = splits  # what is saved


def _put_nothing_after(tokenizer: PreTrainedTokenizerBase) -> None:
    before, after = frame(tokenizer)
    if not after or not tokenizer.is_fast:  # the rule of one that is not fast is its code, which is not saved
        return
    names = tokenizer.convert_ids_to_tokens(before)
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=[*names, "$A"], special_tokens=list(dict(zip(names, before, strict=True)).items())
    )
    for rule in ("add_bos_token", "add_eos_token"):  # they would put another in its place when it is loaded
        tokenizer.init_kwargs.pop(rule, None)


def check_same_vocabulary(
    student: PreTrainedTokenizerBase, teacher: PreTrainedTokenizerBase, name: str = "teacher"
) -> None:
    """Make sure that a token id means the same to both models; ``name`` is how a message calls the teacher.

    Raises:
        UserError: the tokenizers differ; the message names a token that shows it.
    """
    ours, theirs = student.get_vocab(), teacher.get_vocab()
    differing = sorted(token for token in ours.keys() | theirs.keys() if ours.get(token) != theirs.get(token))
    if differing:
        token = differing[0]
        raise UserError(
            f"student and {name} have different tokenizers, so their distributions cannot be compared: "
            f"{len(differing)} tokens differ, for example {token!r}: id {ours.get(token)} in the student's, "
            f"{theirs.get(token)} in the {name}'s"
        )
