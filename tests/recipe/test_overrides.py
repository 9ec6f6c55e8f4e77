"""``--set stage.key=value`` changes a recipe as if its file said so, and its mistakes are told as its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kdzoo.recipe import Recipe

Load = Callable[..., Recipe]
Problems = Callable[..., list[str]]


@pytest.mark.parametrize(
    ("override", "found", "expected"),
    [
        ("seed=7", lambda r: r.seed, 7),
        ("student_seed=5", lambda r: (r.seed, r.student_seed), (0, 5)),
        ("threads=2", lambda r: r.threads, 2),
        ("name=other", lambda r: r.name, "other"),
        ("training.epochs=0.5", lambda r: r.training.epochs, 0.5),
        ("training.learning_rate = 1e-3", lambda r: r.training.learning_rate, 1e-3),
        ("training.precision=bf16", lambda r: r.training.precision, "bf16"),
        ('training.precision="bf16"', lambda r: r.training.precision, "bf16"),
        ("kid.options.alpha=0.3", lambda r: r.stages[1].options["alpha"], 0.3),
        ("kid.options={alpha=0.3}", lambda r: r.stages[1].options["alpha"], 0.3),
        ("kid.options.mask_token=<unk>", lambda r: r.stages[1].options["mask_token"], "<unk>"),
        ("kid.method=gkd", lambda r: (r.stages[1].name, r.stages[1].method), ("kid", "gkd")),
        ("kid.training.max_steps=3", lambda r: r.training_of(r.stages[1]).max_steps, 3),
        (
            "kid.max_steps=3",
            lambda r: (r.training_of(r.stages[1]).max_steps, r.training.max_steps),
            (3, None),
        ),
        ("evaluate.max_examples=3", lambda r: r.evaluation_of(r.stages[2]).max_examples, 3),
        ('evaluate.models=["kid"]', lambda r: r.models_of(r.stages[2]), ("kid",)),
        ("teacher.lora.rank=8", lambda r: r.teacher.lora.rank, 8),
        (
            "teacher.from_scratch.num_hidden_layers=1",
            lambda r: r.teacher.from_scratch["num_hidden_layers"],
            1,
        ),
        ("data.questions=60", lambda r: r.data.questions, 60),
        ("tokenizer.train.vocab_size=400", lambda r: r.tokenizer.train.vocab_size, 400),
        ("evaluation.time_limit=3", lambda r: r.evaluation.time_limit, 3),
    ],
)
def test_one_value(
    load: Load, right: str, override: str, found: Callable[[Recipe], object], expected: object
) -> None:
    assert found(load(right, override)) == expected


def test_later_overrides_win_and_earlier_ones_stay(load: Load, right: str) -> None:
    recipe = load(right, "kid.options.alpha=0.3", "kid.options.strategy=hard", "kid.options.alpha=0.4")
    assert (recipe.stages[1].options["alpha"], recipe.stages[1].options["strategy"]) == (0.4, "hard")


def test_a_value_may_hold_equals_signs_and_dots(load: Load, right: str) -> None:
    recipe = load(right, "data.kind=jsonl", "data={kind='jsonl', train='a=b.c', evaluation='e'}")
    assert recipe.data.train == str(Path("a=b.c").absolute())


def test_a_value_cannot_bring_in_other_keys(load: Load, right: str) -> None:
    recipe = load(right, "data={kind='jsonl', train='t', evaluation='e'}", "data.train=1\nseed = 4")
    assert recipe.data.train == str(Path("1\nseed = 4").absolute())
    assert recipe.seed == 0


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("epochs", "write it as stage.key=value, for example --set training.epochs=2"),
        ("=3", "write it as stage.key=value, for example --set training.epochs=2"),
        ("kid..alpha=3", "write it as stage.key=value, for example --set training.epochs=2"),
        ("epochs=3", 'no stage or table "epochs"; there are: finetune, kid, evaluate, data, datasets, evaluation_sets, tokenizer, teacher, teachers, student, prompt, training, evaluation, name, seed, student_seed, threads'),
        ("kdi.options.alpha=3", 'no stage or table "kdi"; did you mean "kid"?'),
        ("trainig.epochs=3", 'no stage or table "trainig"; did you mean "training"?'),
        ("seed.x=3", '"seed" holds a value, not a table'),
        ("kid=3", '"kid" is a stage; name the key too, for example kid.options.alpha=0.3'),
        ("training.epochs.x=3", '"epochs" holds a value, not a table'),
        ("training.epochs=-3", "must be greater than 0 and at most 10000, not -3"),
        ("training.epoch=3", 'unknown key; did you mean "epochs"?'),
        ("kid.options.alpha=7", "must be greater than 0 and at most 1, not 7"),
        ("kid.options.alhpa=0.3", 'unknown option of method kid; did you mean "alpha"?'),
        ("kid.alhpa=0.3", 'unknown key; did you mean "options.alpha"?'),
        ("kid.options={alpha=7}", 'stage "kid": options.alpha: must be greater than 0 and at most 1, not 7'),
        ("kid.epochs=no", 'must be a number, not "no"'),
        ("teacher.lora.alpha=3", "teacher.lora.rank: is missing"),
        ("teacher.path=gpt2", "teacher.from_scratch: give either path or from_scratch, not both"),
        ("training.micro_batch_size=3", "micro_batch_size = 3 does not divide batch_size = 16"),
        ("training.batch_size=3", None),
        ("data.kind=bird", "data.path: is missing"),
        ("evaluate.metrics=[\"rouge_l\"]", '"rouge_l" does not fit data of kind "embedded", which has ex, ts, ex_vote, exaccerr'),
        ("kid.student_from=later", 'no stage before this one is called "later" and trains a model'),
        ("tokenizer.train=3", "must be a table, not 3"),
        ("data=3", "must be a table, not 3"),
    ],
)  # fmt: skip
def test_mistakes_name_the_override(
    problems: Problems, load: Load, right: str, override: str, message: str | None
) -> None:
    if message is None:
        load(right, override)
    else:
        assert problems(right, override) == [f"--set {override}: {message}"]


def test_a_batch_size_that_clashes_with_the_file_s_parts_names_the_override(
    problems: Problems, right: str
) -> None:
    text = right.replace("epochs = 2", "micro_batch_size = 8")
    assert problems(text, "training.batch_size=12") == [
        "--set training.batch_size=12: training.micro_batch_size: micro_batch_size = 8 does not divide batch_size = 12"
    ]


def test_of_several_overrides_the_one_that_set_the_wrong_value_is_named(
    problems: Problems, right: str
) -> None:
    overrides = ["kid.options.alpha=7", "kid.options.strategy=hard", "kid.options={alpha=8}"]
    assert problems(right, *overrides) == [
        '--set kid.options={alpha=8}: stage "kid": options.alpha: must be greater than 0 and at most 1, not 8'
    ]
    assert problems(right, *overrides, "kid.options.alpha=9") == [
        "--set kid.options.alpha=9: must be greater than 0 and at most 1, not 9"
    ]
