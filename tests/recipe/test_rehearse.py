"""A rehearsal is the same recipe, stage by stage, with everything small."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from kdzoo.recipe import Recipe, load_recipe, load_sweep, rehearsed, resolved_toml, scoring_of
from kdzoo.tasks.text_to_sql.embedded_benchmark import EmbeddedData

Load = Callable[..., Recipe]

BIG = """\
name = "big"
seed = 3
threads = 5

[data]
kind = "spider"
path = "nowhere"

[teacher]
path = "meta-llama/Llama-2-7b-hf"
revision = "main"
dtype = "bfloat16"
attention = "flash_attention_2"
gradient_checkpointing = true
device_map = "auto"
quantization = "4bit"
lora = { rank = 64, alpha = 16, dropout = 0.1, target_modules = ["q_proj"] }

[student]
path = "TinyLlama/TinyLlama-1.1B-intermediate-step-1431k-3T"

[training]
epochs = 4
batch_size = 16
micro_batch_size = 8
precision = "bf16"
input_limit = 2048
output_limit = 256
group_by = "database"
group_size = 8

[evaluation]
metrics = ["ex", "ts"]
input_limit = 4000

[[stage]]
kind = "finetune"

[[stage]]
kind = "distill"
method = "kid"
options = { alpha = 0.4, strategy = "hard" }
training = { max_steps = 100, batch_size = 8, output_limit = 32 }

[[stage]]
kind = "distill"
method = "fkd"
training = { micro_batch_size = 16, max_steps = 2 }

[[stage]]
kind = "evaluate"
evaluation = { max_examples = 100, output_limit = 500 }
"""


@pytest.fixture
def big(load: Load) -> Recipe:
    return rehearsed(load(BIG))


def test_the_stages_methods_and_options_stay(load: Load, big: Recipe) -> None:
    original = load(BIG)
    assert big.name == "big-rehearsal"
    assert (big.seed, big.threads) == (3, 5)
    assert [(s.kind, s.name) for s in big.stages] == [(s.kind, s.name) for s in original.stages]
    assert [s.options for s in big.stages[:3]] == [s.options for s in original.stages[:3]]
    assert big.stages[1].options["alpha"] == 0.4


def test_what_it_stands_for_is_kept_as_text(load: Load, big: Recipe) -> None:
    assert big.is_rehearsal
    assert big.origin.rehearses == resolved_toml(load(BIG))
    assert load(BIG).origin.rehearses is None


def test_one_thread_is_enough_unless_the_recipe_says_how_many(load: Load) -> None:
    assert rehearsed(load(BIG.replace("threads = 5\n", ""))).threads == 1


def test_models_become_small_and_random(big: Recipe) -> None:
    assert big.teacher is not None
    for model in (big.teacher, big.student):
        assert model.path is model.revision is model.attention is None
        assert model.device_map is model.quantization is None
        assert model.dtype == "float32"
        assert model.from_scratch is not None
        assert model.from_scratch["architecture"] == "llama"
        assert model.from_scratch["hidden_size"] <= 64
        assert model.from_scratch["num_hidden_layers"] == 2
    assert big.teacher.from_scratch != big.student.from_scratch
    assert big.teacher.gradient_checkpointing
    assert big.tokenizer is not None
    assert big.tokenizer.train is not None


def test_lora_stays_with_a_small_rank(big: Recipe) -> None:
    assert big.teacher is not None
    lora = big.teacher.lora
    assert lora is not None
    assert (lora.rank, lora.alpha, lora.dropout, lora.target_modules) == (4, 16, 0.1, ("q_proj",))
    assert big.student.lora is None


def test_a_few_small_steps_are_accumulated_as_before(big: Recipe) -> None:
    finetune, kid, fkd, _ = big.stages
    for stage in (finetune, kid):
        training = big.training_of(stage)
        assert (training.max_steps, training.batch_size, training.micro_batch_size) == (
            4,
            4,
            4 if stage is kid else 2,
        )
    assert big.training_of(fkd).max_steps == 2
    assert big.training_of(fkd).micro_batch_size == 4
    assert big.training_of(finetune).precision == "fp32"
    assert big.training_of(finetune).group_by == "database"
    assert big.training_of(finetune).group_size <= 4
    assert (big.training.input_limit, big.training.output_limit) == (512, 48)
    assert big.training_of(kid).output_limit == 32


def test_scores_while_training_are_few_and_by_what_fits(load: Load, tmp_path: Path) -> None:
    text = BIG.replace(
        "epochs = 4", 'epochs = 4\nevaluate_every = 500\nevaluate_set = "spider"\nkeep_best = true'
    )
    text = text.replace(
        "max_steps = 2 }", 'max_steps = 2, evaluate_every = "1 epoch", evaluate_examples = 3 }'
    )
    small = rehearsed(load(text))
    for stage, examples in zip(small.stages[:3], (8, 8, 3), strict=True):
        assert stage.role is not None
        found = scoring_of(small, stage)
        assert found is not None
        assert (found.every, found.set, found.metric, found.examples) == (2, "embedded", "ex", examples)
        assert found.keep_best
    (tmp_path / "again.toml").write_text(resolved_toml(small))
    assert load_recipe(tmp_path / "again.toml") == small
    assert scoring_of(rehearsed(load(BIG)), small.stages[0]) is None


SETS = """\
[datasets.text]
kind = "jsonl"
train = "t.jsonl"
evaluation = "e.jsonl"
[evaluation_sets.dev]
[evaluation_sets.text]
data = "text"
[teacher]
"""


def test_scores_while_training_stay_on_their_sets_and_off_where_they_were_off(
    load: Load, tmp_path: Path
) -> None:
    scored = 'epochs = 4\nevaluate_every = 500\nevaluate_set = "text"\nevaluate_metric = "rouge_l"\nkeep_best = true'
    text = BIG.replace("[teacher]\n", SETS, 1).replace("epochs = 4", scored)
    text = text.replace('kind = "finetune"', 'kind = "finetune"\ntraining = { evaluate_every = 0 }')
    text = text.replace(
        "batch_size = 8, output", 'evaluate_set = "dev", evaluate_metric = "ts", batch_size = 8, output'
    )
    for files, metric in ((("t.jsonl", "e.jsonl"), "rouge_l"), ((), "ex")):
        for name in files:
            (tmp_path / name).write_text('{"prompt": "p", "target": "t"}\n')
        small = rehearsed(load(text))
        finetune, kid, fkd = (scoring_of(small, s) for s in small.stages[:3] if s.role is not None)
        assert finetune is None
        assert kid is not None
        assert fkd is not None
        assert (kid.set, kid.metric, fkd.set, fkd.metric) == ("dev", "ts", "text", metric)
        assert fkd.data.kind == ("jsonl" if files else "embedded")
        (tmp_path / "again.toml").write_text(resolved_toml(small))
        assert load_recipe(tmp_path / "again.toml") == small
        for name in files:
            (tmp_path / name).unlink()


def test_data_that_only_a_training_is_scored_on_are_replaced_too(load: Load, tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"prompt": "p", "target": "t"}\n')
    text = BIG.replace('"spider"\npath = "nowhere"', '"jsonl"\ntrain = "t.jsonl"\nevaluation = "e.jsonl"')
    text = text[: text.index("[evaluation]")] + '[[stage]]\nkind = "finetune"\n'
    assert rehearsed(load(text)).data.kind == "jsonl"
    assert rehearsed(load(text, "training.evaluate_every=5")).data.kind == "embedded"


def test_an_evaluation_is_short(big: Recipe) -> None:
    evaluation = big.evaluation_of(big.stages[-1])
    assert (evaluation.max_examples, evaluation.input_limit, evaluation.output_limit) == (8, 512, 48)
    assert evaluation.metrics == ("ex", "ts")


def test_data_that_are_not_there_are_replaced_and_others_cut(load: Load, big: Recipe, tmp_path: Path) -> None:
    assert isinstance(big.data, EmbeddedData)
    assert big.data.questions <= 100
    (tmp_path / "nowhere").mkdir()
    for name in ("train.json", "dev.json"):
        (tmp_path / "nowhere" / name).touch()
    there = rehearsed(load(BIG)).data
    assert there.kind == "spider"
    assert (there.max_train, there.max_evaluation) == (64, 8)
    fewer = rehearsed(load(BIG, "data.max_train=5", "data.max_evaluation=500")).data
    assert (fewer.max_train, fewer.max_evaluation) == (5, 8)


def test_embedded_data_are_cut(load: Load, right: str) -> None:
    data = rehearsed(load(right, "data.seed=5")).data
    assert (data.kind, data.seed) == ("embedded", 5)
    assert data.questions <= 100
    assert data.test_questions <= 10


def test_an_evaluation_names_no_set_that_has_gone(load: Load, tmp_path: Path) -> None:
    text = BIG.replace('kind = "evaluate"', 'kind = "evaluate"\nsets = ["spider"]')
    small = rehearsed(load(text))
    assert small.stages[-1].role is None
    assert [one.name for one in small.sets_of(small.stages[-1])] == ["embedded"]
    (tmp_path / "again.toml").write_text(resolved_toml(small))
    assert load_recipe(tmp_path / "again.toml") == small


def test_nor_a_metric_that_fits_what_is_trained_on_alone(load: Load, right: str, tmp_path: Path) -> None:
    (tmp_path / "t").write_text('{"prompt": "p", "target": "t"}\n')
    data = 'kind = "jsonl"\nevaluation = "lost"\n[datasets.more]\nkind = "jsonl"\ntrain = "t"'
    text = right.replace('kind = "embedded"', data)
    for stage in ('kind = "finetune"', 'method = "kid"'):
        text = text.replace(stage, f'{stage}\ndata = "more"')
    small = rehearsed(load(text + '[evaluation]\nmetrics = ["rouge_l"]\n'))
    assert [trained.kind for trained in small.training_data] == ["jsonl"]
    assert small.evaluation.metrics == ()
    (tmp_path / "again.toml").write_text(resolved_toml(small))
    assert load_recipe(tmp_path / "again.toml") == small


def test_metrics_of_text_make_way_where_sql_replaces_it(load: Load, right: str) -> None:
    text = right.replace('kind = "embedded"', 'kind = "jsonl"\ntrain = "t"\nevaluation = "e"')
    text += 'evaluation = { metrics = ["rouge_l"], batch_size = 2 }\n'
    recipe = rehearsed(load(text))
    evaluation = recipe.evaluation_of(recipe.stages[-1])
    assert recipe.data.kind == "embedded"
    assert (evaluation.metrics, evaluation.batch_size) == (("ex",), 2)


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("meta-llama/Llama-2-7b-hf", "llama"),
        ("lmsys/vicuna-7b-v1.5", "llama"),
        ("Qwen/Qwen1.5-0.5B", "qwen2"),
        ("Qwen/Qwen2.5-7B", "qwen2"),
        ("Qwen/Qwen3-0.6B", "qwen3"),
        ("Salesforce/codegen-350M-multi", "codegen"),
        ("google/gemma-2b", "gemma"),
        ("google/gemma-2-2b", "gemma2"),
        ("mistralai/Mistral-7B-v0.1", "mistral"),
        ("EleutherAI/pythia-70m", "gpt_neox"),
        ("EleutherAI/gpt-neox-20b", "gpt_neox"),
        ("EleutherAI/gpt-j-6b", "gptj"),
        ("openai-community/gpt2", "gpt2"),
        ("someone/something", "llama"),
    ],
)
def test_a_model_s_family_is_guessed_from_its_name(load: Load, name: str, family: str) -> None:
    model = rehearsed(load(BIG, f"student.path={name}")).student.from_scratch
    assert model is not None
    assert model["architecture"] == family


@pytest.mark.parametrize(
    ("text", "family"),
    [
        ('{"model_type": "qwen2"}', "qwen2"),
        ('{"model_type": "something_new"}', "llama"),
        ("{}", "llama"),
        ("[", "llama"),
    ],
)
def test_a_model_s_family_is_read_from_its_folder(load: Load, tmp_path: Path, text: str, family: str) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m/config.json").write_text(text)
    model = rehearsed(load(BIG, "student.path=m")).student.from_scratch
    assert model is not None
    assert model["architecture"] == family


def test_an_architecture_with_sizes_of_its_own_has_fewer_layers(load: Load, right: str) -> None:
    own = 'from_scratch={architecture="mamba", hidden_size=48, num_hidden_layers=9, state_size=8}'
    model = rehearsed(load(right, f"student.{own}")).student.from_scratch
    assert model == {"architecture": "mamba", "hidden_size": 48, "num_hidden_layers": 2, "state_size": 8}


RECIPES = sorted((Path(__file__).parents[2] / "recipes").rglob("*.toml"))


@pytest.mark.parametrize("path", RECIPES, ids=[path.stem for path in RECIPES])
def test_every_recipe_here_loads_rehearses_and_is_written(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KDZOO_DATA", str(tmp_path / "absent"))
    for recipe in (member.recipe for member in load_sweep(path).members):
        small = rehearsed(recipe)
        assert {data.kind for data in small.training_data} == {"embedded"}
        for one in (recipe, small):
            written = tmp_path / "recipe.toml"
            written.write_text(resolved_toml(one))
            assert load_recipe(written) == one
        assert rehearsed(small).model_copy(update={"name": small.name}) == small


def test_the_architectures_of_rehearsals_exist(load: Load, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    (tmp_path / "m").mkdir()
    families = ["llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "starcoder2", "gpt_neox"]
    for family in [*families, "codegen", "gptj", "gpt2"]:
        (tmp_path / "m/config.json").write_text(json.dumps({"model_type": family}))
        model = rehearsed(load(BIG, "student.path=m")).student.from_scratch
        assert model is not None
        settings = {key: value for key, value in model.items() if key != "architecture"}
        known = transformers.AutoConfig.for_model(family).to_dict()
        config = transformers.AutoConfig.for_model(family, **settings)
        assert config.model_type == family
        assert set(settings) <= {*known, *config.attribute_map}
        assert (config.hidden_size, config.num_hidden_layers) == (32, 2)
