"""Settings that are each right and together impossible."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kdzoo.recipe import Recipe

Load = Callable[..., Recipe]
Problems = Callable[..., list[str]]

STUDENT = 'from_scratch = { architecture = "llama", hidden_size = 32 }'
TOKENIZER = "[tokenizer]\ntrain = { vocab_size = 500 }\n"
TEACHER = 'from_scratch = { architecture = "llama", hidden_size = 64 }'


def without_teacher(text: str) -> str:
    return text.replace("[teacher]", "").replace(TEACHER, "")


def test_a_method_that_needs_a_teacher_without_one(problems: Problems, right: str) -> None:
    assert problems(without_teacher(right)) == [
        'r.toml:16: stage "finetune": model: the recipe has no [teacher] to train',
        'r.toml:21: stage "kid": method: the method "kid" needs a teacher; add a [teacher] table',
    ]


def test_a_method_that_needs_a_teacher_in_a_finetune_stage(problems: Problems, right: str) -> None:
    text = right.replace('kind = "finetune"', 'kind = "finetune"\nmethod = "rkd"')
    assert problems(text) == [
        'r.toml:18: stage "finetune": method: the method "rkd" needs a teacher; use it in a distill stage'
    ]


@pytest.mark.parametrize("name", ["kid", "KID"])
def test_two_stages_of_one_name(problems: Problems, right: str, name: str) -> None:
    text = right.replace('kind = "evaluate"', f'kind = "evaluate"\nname = "{name}"')
    assert problems(text) == [
        f'r.toml:25: stage "{name}": name: another stage has this name already; give one of them a name of its own'
    ]


def test_two_stages_of_one_default_name(problems: Problems, right: str) -> None:
    text = right + '\n[[stage]]\nkind = "distill"\nmethod = "kid"\n'
    assert problems(text) == [
        'r.toml:26: stage "kid": name: another stage has this name already; give one of them a name of its own'
    ]


@pytest.mark.parametrize("name", ["teacher", "student", "tokenizer", "training", "data"])
def test_a_stage_named_like_a_table(problems: Problems, right: str, name: str) -> None:
    text = right.replace('kind = "finetune"', f'kind = "finetune"\nname = "{name}"')
    assert problems(text) == [
        f'r.toml:18: stage "{name}": name: "{name}" names another part of a recipe; choose another name'
    ]


def test_a_model_from_scratch_without_a_tokenizer(problems: Problems, right: str) -> None:
    text = right.replace("[tokenizer]\ntrain = { vocab_size = 500 }", "\n")
    advice = "a model from scratch needs a [tokenizer], for example train = { vocab_size = 2000 }"
    assert problems(text) == [
        f"r.toml:8: teacher.from_scratch: {advice}",
        f"r.toml:11: student.from_scratch: {advice}",
    ]


def test_a_new_tokenizer_for_a_trained_model(problems: Problems, right: str) -> None:
    assert problems(right.replace(STUDENT, 'path = "gpt2"')) == [
        "r.toml:5: tokenizer.train: the student comes with a vocabulary of its own, which a new tokenizer would not "
        "fit; leave [tokenizer] out, or give its path"
    ]


class TestWeightsInFewBits:
    BITS = 'path = "gpt2"\nquantization = "4bit"'

    def test_are_not_trained_whole(self, problems: Problems, right: str) -> None:
        (told,) = problems(
            right.replace(TEACHER, self.BITS).replace(STUDENT, 'path = "gpt2"').replace(TOKENIZER, "")
        )
        assert "teacher.quantization: the teacher is trained without LoRA, and weights of 4bit" in told

    def test_are_trained_by_lora(self, load: Load, right: str) -> None:
        text = right.replace(TEACHER, f"{self.BITS}\nlora = {{ rank = 2 }}").replace(TOKENIZER, "")
        teacher = load(text.replace(STUDENT, 'path = "gpt2"')).teacher
        assert teacher is not None
        assert teacher.quantization == "4bit"


@pytest.mark.parametrize("key", ['device_map = "auto"', 'quantization = "8bit"'])
def test_the_student_is_whole_on_one_device(problems: Problems, right: str, key: str) -> None:
    text = right.replace(STUDENT, f'path = "gpt2"\nlora = {{ rank = 2 }}\n{key}').replace(TOKENIZER, "")
    (told,) = problems(text.replace(TEACHER, 'path = "gpt2"'))
    name = key.partition(" ")[0]
    assert told.endswith(f"student.{name}: belongs to [teacher]; the student is trained whole on one device")


class TestWeightsInBfloat16:
    """Updates are smaller than what bfloat16 can add to a weight."""

    ADVICE = (
        'is trained without LoRA, and weights kept in bfloat16 lose most updates to rounding; write dtype = "float32" '
        'here and precision = "bf16" in [training], or add lora'
    )

    def test_are_not_trained_whole(self, problems: Problems, right: str) -> None:
        text = right.replace(TEACHER, f'{TEACHER}\ndtype = "bfloat16"')
        text = text.replace(STUDENT, f'{STUDENT}\ndtype = "bfloat16"')
        assert problems(text) == [
            f"r.toml:9: teacher.dtype: the teacher {self.ADVICE}",
            f"r.toml:13: student.dtype: the student {self.ADVICE}",
        ]

    def test_by_an_override_either(self, problems: Problems, right: str) -> None:
        assert problems(right, "student.dtype=bfloat16") == [
            f"--set student.dtype=bfloat16: the student {self.ADVICE}"
        ]

    def test_may_carry_adapters(self, load: Callable[..., Recipe], right: str) -> None:
        overrides = [
            f"{role}.{key}" for role in ("teacher", "student") for key in ("dtype=bfloat16", "lora.rank=2")
        ]
        assert load(right, *overrides).student.dtype == "bfloat16"

    def test_may_teach_where_nothing_trains_them(self, load: Callable[..., Recipe], right: str) -> None:
        text = right.replace('[[stage]]\nkind = "finetune"', "")
        assert load(text, "teacher.dtype=bfloat16").teacher is not None


def test_parts_that_do_not_divide_the_batch_in_a_stage(problems: Problems, right: str) -> None:
    stage = 'method = "kid"\ntraining = { micro_batch_size = 5 }'
    assert problems(right.replace('method = "kid"', stage)) == [
        'r.toml:22: stage "kid": training.micro_batch_size: micro_batch_size = 5 does not divide batch_size = 16'
    ]


def test_a_batch_that_the_recipe_s_parts_do_not_divide(problems: Problems, right: str) -> None:
    text = right.replace("epochs = 2", "micro_batch_size = 8")
    text = text.replace('method = "kid"', 'method = "kid"\ntraining = { batch_size = 12 }')
    assert problems(text) == [
        'r.toml:22: stage "kid": training.batch_size: micro_batch_size = 8 does not divide batch_size = 12'
    ]


@pytest.mark.parametrize(
    ("key", "name", "message"),
    [
        (
            "student_from",
            "kidd",
            'no stage before this one is called "kidd" and trains a model; there are: warm',
        ),
        (
            "student_from",
            "wram",
            'no stage before this one is called "wram" and trains a model; did you mean "warm"?',
        ),
        ("student_from", "later", 'the stage "later" does not come before this one'),
        ("student_from", "kid", 'the stage "kid" does not come before this one'),
        (
            "student_from",
            "evaluate",
            'no stage before this one is called "evaluate" and trains a model; there are: warm',
        ),
        (
            "student_from",
            "finetune",
            'the stage "finetune" trains the teacher, not the student, and the two do not begin with the same path',
        ),
        ("teacher_from", "warm", 'the stage "warm" trains the student, not the model of [teacher]'),
        ("teacher_from", "later", 'the stage "later" does not come before this one'),
    ],
)
def test_a_model_of_a_stage_that_cannot_give_it(
    problems: Problems, right: str, key: str, name: str, message: str
) -> None:
    warm = 'kind = "distill"\nname = "warm"\nmethod = "sft"\n\n[[stage]]\n'
    text = right.replace('kind = "distill"', f'{warm}kind = "distill"')
    text = text.replace('method = "kid"', f'method = "kid"\n{key} = "{name}"')
    text += '\n[[stage]]\nkind = "distill"\nname = "later"\nmethod = "sft"\n'
    assert problems(text) == [f'r.toml:27: stage "kid": {key}: {message}']


def test_a_student_may_begin_as_a_trained_teacher_with_the_same_path(
    load: Load, problems: Problems, right: str
) -> None:
    models = '[teacher]\npath = "m"\n[student]\npath = "m"\nkeep_layers = 2\n'
    text = f"{right[: right.index('[tokenizer]')]}{models}[[stage]]\n" + "[[stage]]\n".join(
        [
            'kind = "finetune"\n',
            'kind = "finetune"\nname = "base"\nmodel = "student"\nstudent_from = "finetune"\n',
            'kind = "distill"\nmethod = "kid"\nstudent_from = "base"\n',
        ]
    )
    stages = load(text).stages
    assert [stage.student_from for stage in stages] == [None, "finetune", "base"]
    cut = text.replace('path = "m"\n[student]', 'path = "m"\nkeep_layers = 3\n[student]')
    for other in (cut, text.replace('path = "m"', 'path = "n"', 1)):
        (problem,) = problems(other)
        assert problem.endswith("and the two do not begin with the same path")


def test_a_further_teacher_does_not_stand_in_for_the_teacher(problems: Problems, right: str) -> None:
    text = right.replace("[student]", '[teachers.big]\nfrom_scratch.architecture = "llama"\n[student]')
    text = text.replace(
        'kind = "distill"', 'kind = "finetune"\nname = "more"\nmodel = "big"\n\n[[stage]]\nkind = "distill"'
    )
    text = text.replace('method = "kid"', 'method = "kid"\nteacher_from = "more"')
    (problem,) = problems(text)
    assert problem.endswith(
        'teacher_from: the stage "more" trains the teacher "big", not the model of [teacher]'
    )


def test_only_the_student_begins_as_another_model(problems: Problems, right: str) -> None:
    text = right.replace(
        'kind = "finetune"',
        'kind = "finetune"\n\n[[stage]]\nkind = "finetune"\nname = "more"\nstudent_from = "finetune"',
    )
    (problem,) = problems(text)
    assert problem.endswith(
        'stage "more": student_from: the stage trains the teacher, which begins as its own table says'
    )


def test_an_evaluation_before_anything_is_trained(problems: Problems, right: str) -> None:
    text = right[: right.index("[[stage]]")] + '[[stage]]\nkind = "evaluate"\n'
    assert problems(text) == [
        'r.toml:16: stage "evaluate": models: no stage before this one trains a model, and models names none'
    ]


def test_an_evaluation_of_a_model_from_scratch_that_nothing_trained(problems: Problems, right: str) -> None:
    text = right.replace('kind = "evaluate"', 'kind = "evaluate"\nmodels = ["student", "kid"]')
    assert problems(text) == [
        'r.toml:25: stage "evaluate": models: the student is from scratch and not trained before this stage; '
        "name the stages that train it: kid"
    ]


def test_an_evaluation_of_a_pretrained_model_before_anything_is_trained(
    load: Callable[..., Recipe], right: str
) -> None:
    text = (
        right[: right.index("[[stage]]")]
        .replace(STUDENT, 'path = "gpt2"')
        .replace(TEACHER, 'path = "gpt2-xl"')
    )
    text = text.replace("train = { vocab_size = 500 }", 'path = "gpt2"')
    recipe = load(text + '[[stage]]\nkind = "evaluate"\nmodels = ["teacher", "student"]\n')
    assert recipe.models_of(recipe.stages[0]) == ("teacher", "student")


def test_an_evaluation_of_an_unknown_model(problems: Problems, right: str) -> None:
    text = right.replace('kind = "evaluate"', 'kind = "evaluate"\nmodels = ["kdi", "evaluate"]')
    assert problems(text) == [
        'r.toml:25: stage "evaluate": models: no stage before this one is called "kdi" and trains a model; did you mean "kid"?',
        'r.toml:25: stage "evaluate": models: no stage before this one is called "evaluate" and trains a model; '
        "there are: teacher, student, finetune, kid",
    ]


def test_an_evaluation_of_a_teacher_that_is_not_there(problems: Problems, right: str) -> None:
    text = without_teacher(right).replace('kind = "evaluate"', 'kind = "evaluate"\nmodels = ["teacher"]')
    text = text.replace('kind = "finetune"', 'kind = "finetune"\nmodel = "student"')
    assert problems(text.replace('method = "kid"', 'method = "sft"')) == [
        'r.toml:26: stage "evaluate": models: the recipe has no [teacher] to evaluate'
    ]


JSONL = 'kind = "jsonl"\ntrain = "t"\nevaluation = "e"'


@pytest.mark.parametrize(
    ("data", "metric", "message"),
    [
        (
            'kind = "embedded"',
            "rouge_l",
            '"rouge_l" does not fit data of kind "embedded", which has ex, ts, ex_vote, exaccerr',
        ),
        (
            'kind = "bird"\npath = "b"',
            "ts",
            '"ts" does not fit data of kind "bird", which has ex, ex_vote, exaccerr',
        ),
        (JSONL, "ex", '"ex" does not fit data of kind "jsonl", which has exact_match, rouge_l, exaccerr'),
    ],
)
def test_a_metric_that_does_not_fit_the_data(
    problems: Problems, right: str, data: str, metric: str, message: str
) -> None:
    text = right.replace('kind = "embedded"', data)
    below = text + f'evaluation = {{ metrics = ["{metric}"] }}\n'
    line = below.count("\n")
    assert problems(below) == [f'r.toml:{line}: stage "evaluate": evaluation.metrics: {message}']
    above = text.replace("[training]", f'[evaluation]\nmetrics = ["{metric}"]\n[training]')
    line = above[: above.index("metrics")].count("\n") + 1
    assert problems(above) == [f"r.toml:{line}: evaluation.metrics: {message}"]


def test_exaccerr_without_a_teacher(problems: Problems, right: str) -> None:
    text = without_teacher(right).replace('kind = "finetune"', 'kind = "finetune"\nmodel = "student"')
    text = text.replace('method = "kid"', 'method = "sft"') + 'evaluation.metrics = ["exaccerr"]\n'
    assert problems(text) == [
        'r.toml:26: stage "evaluate": evaluation.metrics: "exaccerr" compares with the teacher; add a [teacher] table'
    ]
