"""Whatever is wrong in a recipe is told with file, line, key and what would be right, all of it at once."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kdzoo.errors import UserError
from kdzoo.recipe import load_recipe, rehearsed
from kdzoo.recipe.toml_text import toml_value

Problems = Callable[..., list[str]]

# What stands in the right recipe; what stands there instead; the message.
CASES = r"""
[data]|kind = "embedded"
[misc]|kind = "embedded"
r.toml: data: is missing; add a [data] table; for example kind = "embedded"|r.toml:1: misc: unknown key; there are: name, seed, student_seed, threads, data, datasets, evaluation_sets, tokenizer, teacher, teachers, student, prompt, training, evaluation, stage, extends, sweep

kind = "embedded"
seed = 1
r.toml:1: data.kind: is missing; it is "bird", "embedded", "hf", "jsonl" or "spider"

kind = "embedded"
kind = "spidr"
r.toml:2: data.kind: must be "bird", "embedded", "hf", "jsonl" or "spider", not "spidr"; did you mean "spider"?

kind = "embedded"
kind = "sqlite"
r.toml:2: data.kind: must be "bird", "embedded", "hf", "jsonl" or "spider", not "sqlite"

kind = "embedded"
kind = 3
r.toml:2: data.kind: must be "bird", "embedded", "hf", "jsonl" or "spider", not 3

kind = "embedded"
kind = "embedded"|sead = 1
r.toml:3: data.sead: unknown key; did you mean "seed"?

[data]|kind = "embedded"
threads = 0|[data]|kind = "embedded"
r.toml:1: threads: must be at least 1 and at most 1024, not 0

[training]|epochs = 2
[training]|threads = 2
r.toml:14: training.threads: unknown key; write it as threads before the first table, for all stages

kind = "finetune"
kind = "finetune"|threads = 2
r.toml:18: stage "finetune": threads: unknown key; write it as threads before the first table, for all stages

kind = "embedded"
kind = "spider"
r.toml:1: data.path: is missing

kind = "embedded"
kind = "embedded"|questions = 3
r.toml:3: data.questions: must be at least 50, not 3

[data]
evaluation = 3|[data]
r.toml:1: evaluation: must be a table, not 3

[training]
[trainign]
r.toml:13: trainign: unknown key; did you mean "training"?

epochs = 2
epoch = 2
r.toml:14: training.epoch: unknown key; did you mean "epochs"?

epochs = 2
EPOCHS = 2
r.toml:14: training.EPOCHS: unknown key; did you mean "epochs"?

epochs = 2
epochs = 0
r.toml:14: training.epochs: must be greater than 0 and at most 10000, not 0

epochs = 2
epochs = "2"
r.toml:14: training.epochs: must be a number, not "2"

epochs = 2
epochs = true
r.toml:14: training.epochs: must be a number, not true

epochs = 2
epochs = nan
r.toml:14: training.epochs: must be a finite number, not nan

epochs = 2
max_steps = 2.0
r.toml:14: training.max_steps: must be a whole number, not 2.0

epochs = 2
max_steps = 1979-05-27
r.toml:14: training.max_steps: must be a whole number, not "1979-05-27"

epochs = 2
loggers = 3
r.toml:14: training.loggers: must be a list, not 3

epochs = 2
loggers = ["tensorboard", 3]
r.toml:14: training.loggers[1]: must be a string, not 3

epochs = 2
schedule = "cosin"
r.toml:14: training.schedule: must be "cosine", "linear", "constant" or "constant_with_warmup", not "cosin"; did you mean "cosine"?

epochs = 2
warmup = 1.0
r.toml:14: training.warmup: must be at least 0 and less than 1, not 1.0

epochs = 2
batch_size = 6|micro_batch_size = 4
r.toml:15: training.micro_batch_size: micro_batch_size = 4 does not divide batch_size = 6

epochs = 2
micro_batch_size = 3
r.toml:14: training.micro_batch_size: micro_batch_size = 3 does not divide batch_size = 16

hidden_size = 32 }
hidden_size = 32 }|path = "gpt2"
r.toml:11: student.from_scratch: give either path or from_scratch, not both

from_scratch = { architecture = "llama", hidden_size = 32 }
dtype = "float32"
r.toml:10: student: needs path (a folder or hub name) or from_scratch (an architecture)

{ architecture = "llama", hidden_size = 32 }
{ hidden_size = 32 }
r.toml:11: student.from_scratch: needs a model type of transformers: architecture = "llama"

{ architecture = "llama", hidden_size = 32 }
"llama"
r.toml:11: student.from_scratch: must be a table, not "llama"

hidden_size = 32 }
hidden_size = 32 }|revision = "a"
r.toml:12: student.revision: belongs to path; a model from scratch has no revision

hidden_size = 32 }
hidden_size = 32 }|gguf_file = "a.gguf"
r.toml:12: student.gguf_file: belongs to path; a model from scratch has no file

hidden_size = 32 }
hidden_size = 32 }|keep_layers = 2
r.toml:12: student.keep_layers: belongs to path; a model from scratch has no layers to leave out

hidden_size = 32 }
hidden_size = 32 }|keep_layers = 0
r.toml:12: student.keep_layers: must be at least 1, not 0

hidden_size = 32 }
hidden_size = 32 }|keep_layers = "half"
r.toml:12: student.keep_layers: must be a whole number or a list, not "half"

hidden_size = 32 }
hidden_size = 32 }|quantization = "4bit"
r.toml:12: student.quantization: belongs to path; a model from scratch has no weights to quantise

from_scratch = { architecture = "llama", hidden_size = 32 }
path = "gpt2"|quantization = "4bit"|keep_layers = 2
r.toml:12: student.quantization: goes with a whole model in Hugging Face format, without keep_layers

hidden_size = 32 }
hidden_size = 32 }|lora = { alpha = 3 }
r.toml:12: student.lora.rank: is missing

hidden_size = 32 }
hidden_size = 32 }|[student.lora]|rank = 1|dropuot = 0
r.toml:14: student.lora.dropuot: unknown key; did you mean "dropout"?

hidden_size = 32 }
hidden_size = 32 }|lora = { rank = 0 }
r.toml:12: student.lora.rank: must be at least 1, not 0

hidden_size = 32 }
hidden_size = 32 }|lora = { rank = 1, target_modules = 1 }
r.toml:12: student.lora.target_modules: must be a string or a list, not 1

hidden_size = 32 }
hidden_size = 32 }|dtype = "fp16"
r.toml:12: student.dtype: must be "float32" or "bfloat16", not "fp16"

train = { vocab_size = 500 }
train = { vocab_size = 5 }
r.toml:5: tokenizer.train.vocab_size: must be at least 300 and at most 200000, not 5

train = { vocab_size = 500 }
train = { vocab_size = 500 }|path = "gpt2"
r.toml:5: tokenizer.train: give either path or train, not both

train = { vocab_size = 500 }
# nothing
r.toml:4: tokenizer: needs path or train, for example train = { vocab_size = 2000 }

[tokenizer]
[prompt]|system = "x"|[tokenizer]
r.toml:5: prompt.system: belongs to a chat; write template = "chat" beside it

[tokenizer]
[prompt]|template = "chatml"|[tokenizer]
r.toml:5: prompt.template: must be "plain" or "chat", not "chatml"; did you mean "chat"?

train = { vocab_size = 500 }
path = ""
r.toml:5: tokenizer.path: must not be empty

[data]
seed = -1|[data]
r.toml:1: seed: must be at least 0 and less than 2147483648, not -1

[data]
name = "A/b"|[data]
r.toml:1: name: must consist of 1 to 80 characters a-z, 0-9, _ and -, not "A/b"

[training]
[evaluation]|metrics = ["ex", "em"]|[training]
r.toml:14: evaluation.metrics[1]: must be "ex", "ex_vote", "exaccerr", "exact_match", "rouge_l" or "ts", not "em"

[training]
[evaluation]|metrics = "ex"|[training]
r.toml:14: evaluation.metrics: must be a list, not "ex"

kind = "finetune"
kind = "finetun"
r.toml:17: stage "finetun": kind: must be "finetune", "distill" or "evaluate", not "finetun"; did you mean "finetune"?

kind = "finetune"
# nothing
r.toml:16: stage 1: kind: is missing; it is "finetune", "distill" or "evaluate"

kind = "finetune"
kind = "finetune"|epochs = 3
r.toml:18: stage "finetune": epochs: unknown key; write it as training.epochs

kind = "finetune"
kind = "finetune"|learning_rat = 3
r.toml:18: stage "finetune": learning_rat: unknown key; did you mean "training.learning_rate"?

kind = "finetune"
kind = "finetune"|modle = "teacher"
r.toml:18: stage "finetune": modle: unknown key; did you mean "model"?

kind = "finetune"
kind = "finetune"|training = { epochs = -1 }
r.toml:18: stage "finetune": training.epochs: must be greater than 0 and at most 10000, not -1

kind = "finetune"
kind = "finetune"|training = { epoch = 1 }
r.toml:18: stage "finetune": training.epoch: unknown key; did you mean "epochs"?

kind = "finetune"
kind = "finetune"|training = 7
r.toml:18: stage "finetune": training: must be a table, not 7

kind = "finetune"
kind = "finetune"|name = "a.b"
r.toml:18: stage "a.b": name: must consist of 1 to 80 letters, digits, _ and -, and not begin with -, not "a.b"

method = "kid"
# nothing
r.toml:19: stage 2: method: is missing

method = "kid"
method = 4
r.toml:21: stage 2: method: must be a string, not 4

method = "kid"
method = "kid"|options = { alhpa = 0.2 }
r.toml:22: stage "kid": options.alhpa: unknown option of method kid; did you mean "alpha"?

method = "kid"
method = "kid"|[stage.options]|alpha = 7
r.toml:23: stage "kid": options.alpha: must be greater than 0 and at most 1, not 7

method = "kid"
method = "kid"|options = { strategy = "rnadom" }
r.toml:22: stage "kid": options.strategy: must be "random", "uniform", "hard" or "easy", not "rnadom"; did you mean "random"?

method = "kid"
method = "kid"|alpha = 0.3
r.toml:22: stage "kid": alpha: unknown key; write it as options.alpha

method = "kid"
method = "kid"|options = ["alpha"]
r.toml:22: stage "kid": options: must be a table, not ["alpha"]

method = "kid"
method = "gkd"|options = { lambda = 7 }
r.toml:22: stage "gkd": options.lambda: must be at least 0 and at most 1, not 7

method = "kid"
method = "gkd"|options = { lamda = 1 }
r.toml:22: stage "gkd": options.lamda: unknown option of method gkd; did you mean "lambda"?

kind = "evaluate"
kind = "evaluate"|metrics = ["ex"]
r.toml:25: stage "evaluate": metrics: unknown key; write it as evaluation.metrics

kind = "evaluate"
kind = "evaluate"|evaluation = { time_limit = 0 }
r.toml:25: stage "evaluate": evaluation.time_limit: must be greater than 0 and at most 600, not 0
"""


def cases() -> list[object]:
    found = []
    for case in CASES.strip().split("\n\n"):
        old, new, message = (line.replace("|", "\n") for line in case.split("\n"))
        found.append(pytest.param(old, new, message, id=message))
    return found


@pytest.mark.parametrize(("old", "new", "message"), cases())
def test_a_table_or_key(problems: Problems, right: str, old: str, new: str, message: str) -> None:
    assert old in right
    assert problems(right.replace(old, new)) == message.split("\n")


def test_a_method_that_is_not_installed(problems: Problems, right: str) -> None:
    (line,) = problems(right.replace('method = "kid"', 'method = "kiid"'))
    assert line.startswith(
        'r.toml:21: stage "kiid": method: no method \'kiid\' is installed; did you mean "kid"?'
    )


def test_no_student(problems: Problems, right: str) -> None:
    start, end = right.index("[student]"), right.index("[training]")
    assert problems(right[:start] + right[end:]) == ["r.toml: student: is missing; add a [student] table"]


@pytest.mark.parametrize("stages", ["", "stage = []\n"])
def test_no_stages(problems: Problems, right: str, stages: str) -> None:
    lines = problems(stages + right[: right.index("[[stage]]")])
    where = "r.toml:1" if stages else "r.toml"
    assert lines == [f"{where}: stage: the recipe has no stage; add at least one [[stage]]"]


def test_one_table_instead_of_an_array_of_tables(problems: Problems, right: str) -> None:
    text = right[: right.index("[[stage]]")] + '[stage]\nkind = "finetune"\n'
    assert problems(text) == ["r.toml:16: stage: must be an array of tables: write [[stage]], not [stage]"]


def test_stages_that_are_no_tables(problems: Problems, right: str) -> None:
    head = right[: right.index("[[stage]]")]
    assert problems("stage = 1\n" + head) == ["r.toml:1: stage: must be an array of tables, not 1"]
    assert problems("stage = [1, {kind = 'finetune'}]\n" + head) == [
        "r.toml:1: stage 1: must be a table, not 1"
    ]


def test_a_long_value_is_cut(problems: Problems, right: str) -> None:
    (line,) = problems(right.replace("epochs = 2", f'epochs = "{"x" * 1000}"'))
    assert line.startswith('r.toml:14: training.epochs: must be a number, not "xxx')
    assert len(line) < 130


def test_all_problems_are_told_at_once_in_the_order_of_the_file(problems: Problems, right: str) -> None:
    text = (
        right.replace('kind = "embedded"', 'kind = "embedded"\nsize = 3')
        .replace("epochs = 2", 'epochs = "2"\nwarmup = 3')
        .replace('kind = "finetune"', 'kind = "finetune"\nname = "kid"')
        .replace('method = "kid"', 'method = "kid"\nstudent_from = "sft"\noptions = { alpha = 0, mask = 1 }')
        .replace(
            'kind = "evaluate"', 'kind = "evaluate"\nmodels = ["kdi"]\nevaluation = { metrics = ["rouge_l"] }'
        )
    )
    lines = [line.split(": ", 1) for line in problems(text, "training.sharing=3", "kidd.options.alpha=1")]
    assert [where for where, _ in lines] == [
        "r.toml:3", "r.toml:15", "r.toml:16", "r.toml:22", "r.toml:25", "r.toml:26", "r.toml:26", "r.toml:30", "r.toml:31",
        "--set kidd.options.alpha=1", "--set training.sharing=3",
    ]  # fmt: skip


NAMES = st.sampled_from(
    [
        "kind",
        "name",
        "path",
        "train",
        "method",
        "options",
        "training",
        "models",
        "lora",
        "from_scratch",
        "metrics",
    ]
    + ["alpha", "rank", "epochs", "batch_size", "micro_batch_size", "student_from", "stage", "x", ""]
)
ANYTHING = st.recursive(
    st.sampled_from(
        [0, 1, 3, -1, 2.5, float("nan"), True, "", "x", "kid", "gkd", "sft", "teacher", "a/b", "${X}"]
    )
    | st.sampled_from(["embedded", "spider", "jsonl", "finetune", "distill", "evaluate", "llama", "\0"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=4,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_no_mistake_gives_anything_but_a_user_error(
    right: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: st.DataObject
) -> None:
    monkeypatch.chdir(tmp_path)
    content: Any = tomllib.loads(right)
    for _ in range(data.draw(st.integers(1, 3))):
        node = content
        while True:
            key = data.draw(
                st.sampled_from(sorted(node)) | NAMES
                if isinstance(node, dict)
                else st.integers(0, len(node) - 1)
            )
            inner = node.get(key) if isinstance(node, dict) else node[key]
            if not isinstance(inner, dict | list) or not inner or data.draw(st.integers(0, 3)) == 0:
                break
            node = inner
        if isinstance(node, dict) and data.draw(st.integers(0, 4)) == 0:
            node.pop(key, None)
        else:
            node[key] = data.draw(ANYTHING)
    overrides = data.draw(
        st.lists(st.builds("{}.{}={}".format, NAMES | st.just("kid"), NAMES, NAMES), max_size=2)
    )
    text = "".join(f"{toml_value(key)} = {toml_value(value)}\n" for key, value in content.items())
    (tmp_path / "r.toml").write_text(text, encoding="utf-8")
    try:
        recipe = load_recipe(Path("r.toml"), overrides)
    except UserError as error:
        assert all(line.startswith(("r.toml:", "--set ")) for line in str(error).split("\n"))
    else:
        rehearsed(recipe)


def test_of_very_many_the_first_are_told(problems: Problems, right: str) -> None:
    wrong = "".join(f"wrong{number} = 1\n" for number in range(150))
    told = problems(wrong + right)
    assert (len(told), told[-1]) == (101, "and 50 more")
