"""The metric exaccerr in whole runs: the numbers of scores.json, worked out again from the models that a run left."""

import json
import math
import re
from bisect import bisect_right
from io import StringIO
from itertools import accumulate

import pytest
import torch
from peft import PeftModel
from rich.console import Console
from transformers import AutoModelForCausalLM, AutoTokenizer

from kdzoo.methods.randomness import StepGenerator
from kdzoo.recipe import load_recipe, rehearsed
from kdzoo.report.progress import Reporter
from kdzoo.runs import fingerprints, pipeline
from kdzoo.tasks.load import load

RECIPE = """
name = "compared"
seed = 3
[data]
kind = "embedded"
questions = 50
test_questions = 10
databases = 2
[tokenizer]
train = { vocab_size = 500 }
[teacher]
from_scratch = { architecture = "llama", hidden_size = 32, intermediate_size = 64, num_hidden_layers = 2, num_attention_heads = 4 }
lora = { rank = 4 }
[student]
from_scratch = { architecture = "qwen2", hidden_size = 16, intermediate_size = 32, num_hidden_layers = 1, num_attention_heads = 2, num_key_value_heads = 1 }
[training]
max_steps = 2
batch_size = 8
learning_rate = 2e-2
input_limit = 512
output_limit = 12
[evaluation]
metrics = ["ex", "exaccerr"]
batch_size = 3
max_examples = 5
[[stage]]
kind = "finetune"
[[stage]]
kind = "distill"
method = "sft"
[[stage]]
kind = "distill"
method = "rkd"
[[stage]]
kind = "evaluate"
"""

JSONL = """
name = "text"
[data]
kind = "jsonl"
train = "train.jsonl"
evaluation = "test.jsonl"
[teacher]
path = "TEACHER"
[student]
path = "STUDENT"
[training]
max_steps = 1
batch_size = 2
input_limit = 64
output_limit = 6
[evaluation]
metrics = ["exact_match", "exaccerr"]
exaccerr_samples = 2
exaccerr_prefix = "gold"
[[stage]]
kind = "evaluate"
models = ["student", "teacher"]
"""

LINES = [
    {"prompt": "database schema : one", "target": "select 1"},
    {"prompt": "database schema : two", "target": "select name , name , name from singer where name = name"},
    {"prompt": "three", "target": "x"},
]


def write_recipe(folder, text):
    (folder / "recipe.toml").write_text(text)
    return folder / "recipe.toml"


def run(recipe, out):
    """Run a recipe and give its directory and what was printed."""
    printed = StringIO()
    directory = pipeline.run(recipe, out, Reporter(Console(file=printed, width=200)))
    return directory.path, printed.getvalue()


def scores_of(path):
    """What each model scored on the only set, beside its parameters."""
    scores = json.loads((path / "evaluate" / "scores.json").read_text())
    flat = {}
    for model, result in scores.items():
        (on_set,) = result.pop("sets").values()
        flat[model] = {**result, **on_set}
    return flat


def load_model(folder):
    """A model as others would load it, in float64."""
    if (folder / "adapter_config.json").is_file():
        base = json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"]
        model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), folder)
    else:
        model = AutoModelForCausalLM.from_pretrained(folder)
    return model.double().eval()


class ByHand:
    """The errors of two saved models, one forward pass for each token."""

    def __init__(self, student, teacher):
        self.models = {"student": load_model(student), "teacher": load_model(teacher)}
        self.tokenizer = AutoTokenizer.from_pretrained(student)

    def distribution(self, role, tokens):
        with torch.no_grad():
            return self.models[role](input_ids=torch.tensor([tokens])).logits[0, -1].softmax(-1).tolist()

    def errors(self, prompt, sequence):
        """The KL at each step that predicts one of the sequence's tokens."""
        kls = []
        for t in range(len(sequence)):
            p, q = (self.distribution(role, prompt + sequence[:t]) for role in ("teacher", "student"))
            kls.append(sum(a * math.log(a / b) for a, b in zip(p, q, strict=True)))
        return kls

    def sample(self, role, prompt, uniform):
        tokens = []
        for number in uniform.tolist():
            cumulative = list(accumulate(self.distribution(role, prompt + tokens)))
            tokens.append(bisect_right(cumulative, number * cumulative[-1]))
            if tokens[-1] == self.tokenizer.eos_token_id:
                break
        return tokens

    def measure(self, texts, *, seed, limit, samples, gold=False):
        """The errors after all student's and all oracle's sequences, a list for each, of (prompt, target) pairs."""
        own, oracle = [], []
        for index, (text, target) in enumerate(texts):
            encode = self.tokenizer.encode
            prompt = [self.tokenizer.bos_token_id, *encode(text, add_special_tokens=False)]
            source = StepGenerator(seed, 0, [index])
            numbers = [source.per_row(limit)[0] for _ in range(samples)]
            own += [self.errors(prompt, self.sample("student", prompt, u)) for u in numbers]
            if gold:
                ids = [*encode(target, add_special_tokens=False), self.tokenizer.eos_token_id]
                oracle.append(self.errors(prompt, ids[:limit]))
            else:
                oracle += [self.errors(prompt, self.sample("teacher", prompt, u)) for u in numbers]
        return own, oracle


def mean_sums(sequences, limit):
    """The sum of the first l errors, for each l up to the limit, as its mean over all sequences."""
    return [sum(sum(kls[:length]) for kls in sequences) / len(sequences) for length in range(1, limit + 1)]


def sums_of_means(sequences, limit):
    """The sum over the first l steps of the mean over the sequences that have the step, while there are any."""
    means = []
    while len(means) < limit and (going := [kls[len(means)] for kls in sequences if len(kls) > len(means)]):
        means.append(sum(going) / len(going))
    return list(accumulate(means))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    recipe = write_recipe(folder, RECIPE)
    return recipe, *run(load_recipe(recipe), folder / "runs")


@pytest.fixture(scope="module")
def teacher(finished, tmp_path_factory):
    """The trained teacher's folder, its adapter merged."""
    _, path, _ = finished
    folder = tmp_path_factory.mktemp("teacher")
    adapter = path / "finetune" / "model"
    base = json.loads((adapter / "adapter_config.json").read_text())["base_model_name_or_path"]
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter)
    model.merge_and_unload().save_pretrained(folder)
    AutoTokenizer.from_pretrained(path / "sft" / "model").save_pretrained(folder)
    return folder


@pytest.fixture
def jsonl(tmp_path):
    """Write a recipe on text for models in folders; the files of lines lie beside it."""
    for name in ("train", "test"):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in LINES))

    def write(student, teacher, text=JSONL):
        text = text.replace("STUDENT", str(student)).replace("TEACHER", str(teacher))
        return load_recipe(write_recipe(tmp_path, text))

    return write


class TestWhatARunLeaves:
    @pytest.mark.parametrize("student", ["sft", "rkd"])
    def test_the_numbers_of_every_student_against_the_trained_teacher(self, finished, student):
        recipe, path, _ = finished
        result = scores_of(path)[student]
        details = result["details"]["exaccerr"]
        splits = load(load_recipe(recipe).data, cache=path.parent / ".cache")
        texts = [(e.prompt, e.target) for e in splits.evaluation[:5]]
        own, oracle = ByHand(path / student / "model", path / "finetune" / "model").measure(
            texts, seed=3, limit=12, samples=1
        )
        all_r, all_l_eps = mean_sums(own, 12), mean_sums(oracle, 12)
        r, l_eps = all_r[-1], all_l_eps[-1]
        assert details["R"] == pytest.approx(r, rel=1e-4)
        assert 12 * details["eps"] == pytest.approx(l_eps, rel=1e-4)
        assert details["excess"] == pytest.approx(r - l_eps, rel=1e-2, abs=1e-4)
        assert result["scores"]["exaccerr"] == pytest.approx(100 * (r - l_eps) / l_eps, rel=1e-2, abs=1e-2)
        percents = [100 * (r / l_eps - 1) for r, l_eps in zip(all_r, all_l_eps, strict=True)]
        assert details["curve"] == pytest.approx(percents, rel=1e-2, abs=1e-2)
        assert details["curve"][-1] == result["scores"]["exaccerr"]
        assert details["standard_errors"][-1] == details["standard_error"] > 0
        assert len(details["standard_errors"]) == 12
        conventions = ("l", "prompts", "samples", "prefix", "average", "first_token")
        assert {key: details[key] for key in conventions} == {
            "l": 12,
            "prompts": 5,
            "samples": 1,
            "prefix": "teacher",
            "average": "all",
            "first_token": True,
        }

    def test_the_other_metrics_stay_and_the_teacher_is_not_compared_with_itself(self, finished):
        _, path, _ = finished
        scores = scores_of(path)
        assert list(scores["teacher"]["scores"]) == ["ex"]
        assert "exaccerr" not in scores["teacher"]["details"]
        assert list(scores["rkd"]["scores"]) == ["ex", "exaccerr"]

    def test_progress_and_a_column_of_the_table(self, finished):
        _, path, printed = finished
        assert "evaluate: rkd, ExAccErr: 0/5" in printed
        assert "evaluate: teacher, ExAccErr" not in printed
        lines = printed[printed.index("model ") :].splitlines()
        heading, *table = [re.split(r"  +", line.strip()) for line in lines]
        rows = {row[0]: row for row in table}
        column = heading.index("ExAccErr")
        assert rows["teacher"][column] == "-"
        assert rows["rkd"][column] == f"{scores_of(path)['rkd']['scores']['exaccerr']:.1f}%"


def test_an_interrupted_stage_keeps_the_models_that_are_done(finished, monkeypatch):
    recipe, path, _ = finished
    before = scores_of(path)
    for name in ("stage.json", "scores.json"):
        (path / "evaluate" / name).unlink()
    start = Reporter.start

    def stop(self, name, total):
        if name == "evaluate: rkd, ExAccErr":
            raise KeyboardInterrupt
        start(self, name, total)

    monkeypatch.setattr(Reporter, "start", stop)
    with pytest.raises(KeyboardInterrupt):
        run(load_recipe(recipe), path.parent)
    monkeypatch.undo()
    _, printed = run(load_recipe(recipe), path.parent)
    assert "evaluate: sft" not in printed
    assert "evaluate: rkd, ExAccErr" in printed
    after = scores_of(path)
    for scores in (before, after):
        for result in scores.values():
            del result["generation_seconds"]
    assert after == before


class TestText:
    def test_gold_prefixes_and_several_samples_against_a_teacher_that_no_stage_trained(
        self, finished, teacher, jsonl, tmp_path
    ):
        _, path, _ = finished
        student = path / "sft" / "model"
        out, _ = run(jsonl(student, teacher), tmp_path / "runs")
        scores = scores_of(out)
        texts = [(line["prompt"], line["target"]) for line in LINES]
        own, oracle = ByHand(student, teacher).measure(texts, seed=0, limit=6, samples=2, gold=True)
        details = scores["student"]["details"]["exaccerr"]
        assert details["R"] == pytest.approx(mean_sums(own, 6)[-1], rel=1e-4)
        assert 6 * details["eps"] == pytest.approx(mean_sums(oracle, 6)[-1], rel=1e-4)
        assert (details["samples"], details["prefix"], details["prompts"]) == (2, "gold", 3)
        assert list(scores["student"]["scores"]) == ["exact_match", "exaccerr"]
        assert list(scores["teacher"]["scores"]) == ["exact_match"]

    def test_a_student_that_is_its_teacher_has_no_excess_to_tell(self, finished, jsonl, tmp_path):
        _, path, _ = finished
        folder = path / "sft" / "model"
        out, printed = run(jsonl(folder, folder), tmp_path / "runs")
        student = scores_of(out)["student"]
        assert student["scores"]["exaccerr"] is None
        assert student["details"]["exaccerr"]["R"] == student["details"]["exaccerr"]["eps"] == 0
        assert "l * eps is 0" in student["details"]["exaccerr"]["undefined"]
        assert "ExAccErr" not in printed[printed.index("parameters") :]


class TestConventions:
    """A short target's prefixes end before the limit, so that the conventions differ."""

    MORE = "exaccerr_samples = 2\n"

    @pytest.fixture
    def measured(self, finished, teacher, jsonl, tmp_path):
        _, path, _ = finished
        folder = path / "sft" / "model"

        def measured(settings):
            """The score, its details, the errors by hand, and what was printed."""
            text = JSONL.replace(self.MORE, self.MORE + settings)
            out, printed = run(jsonl(folder, teacher, text), tmp_path / "runs")
            texts = [(line["prompt"], line["target"]) for line in LINES]
            errors = ByHand(folder, teacher).measure(texts, seed=0, limit=6, samples=2, gold=True)
            student = scores_of(out)["student"]
            return student["scores"]["exaccerr"], student["details"]["exaccerr"], errors, printed

        return measured

    @pytest.mark.parametrize("average", ["all", "unfinished"])
    @pytest.mark.parametrize("first_token", [True, False])
    @pytest.mark.parametrize("length", [3, 40])
    def test_each_is_what_it_says(self, measured, average, first_token, length):
        settings = f'exaccerr_average = "{average}"\nexaccerr_first_token = {str(first_token).lower()}\n'
        settings += f"exaccerr_length = {length}\n"
        score, details, errors, _ = measured(settings)
        if not first_token:
            errors = [[kls[1:] for kls in sequences] for sequences in errors]
        limit = 6 if first_token else 5
        accumulated = mean_sums if average == "all" else sums_of_means
        r, l_eps = (accumulated(sequences, limit) for sequences in errors)
        percents = [100 * (a / b - 1) for a, b in zip(r, l_eps, strict=False)]
        percents += [None] * (limit - len(percents))
        assert len(details["curve"]) == len(details["standard_errors"]) == limit
        for found, expected in zip(details["curve"], percents, strict=True):
            assert found == (None if expected is None else pytest.approx(expected, rel=1e-2, abs=1e-2))
        assert details["l"] == min(length, limit)
        assert score == details["curve"][details["l"] - 1]
        assert (details["average"], details["first_token"]) == (average, first_token)

    def test_where_none_goes_on_it_says_how_far_one_may_look(self, measured, monkeypatch, tmp_path):
        for line, target in zip(LINES, ("a", "b", "x y"), strict=True):
            monkeypatch.setitem(line, "target", target)
        (tmp_path / "test.jsonl").write_text("".join(json.dumps(line) + "\n" for line in LINES))
        settings = 'exaccerr_average = "unfinished"\n'
        score, details, (_, oracle), printed = measured(settings)
        longest = max(len(kls) for kls in oracle)
        assert 1 < longest < 6
        assert score is None
        assert [percent is None for percent in details["curve"]] == [n > longest for n in range(1, 7)]
        assert details["R"] is details["eps"] is details["excess"] is details["standard_error"] is None
        assert details["undefined"] == (
            "no sequence of one of the two has as many steps as l = 6 to average over; "
            f"the longest that is defined is exaccerr_length = {longest}"
        )
        assert "ExAccErr" not in printed[printed.index("parameters") :]


def test_a_rehearsal_computes_it(tmp_path):
    stages = RECIPE.split("[[stage]]")
    shorter = write_recipe(tmp_path, "[[stage]]".join([stages[0], *stages[-2:]]))
    path, _ = run(rehearsed(load_recipe(shorter, ['evaluation.metrics=["exaccerr"]'])), tmp_path / "runs")
    scores = scores_of(path)["rkd"]["scores"]
    assert list(scores) == ["exaccerr"]
    assert math.isfinite(scores["exaccerr"])


class TestFingerprint:
    def of(self, tmp_path, *overrides):
        recipe = load_recipe(write_recipe(tmp_path, RECIPE), [*overrides, 'evaluate.models=["sft"]'])
        return fingerprints.of_stages(recipe)["evaluate"]

    def test_it_depends_on_the_teacher(self, tmp_path):
        assert self.of(tmp_path) == self.of(tmp_path)
        assert self.of(tmp_path) != self.of(tmp_path, "finetune.training.max_steps=3")

    def test_other_metrics_do_not(self, tmp_path):
        only = 'evaluation.metrics=["ex"]'
        assert self.of(tmp_path, only) == self.of(tmp_path, only, "finetune.training.max_steps=3")

    def test_comparing_with_the_teacher_is_not_evaluating_it(self, tmp_path):
        recipe = load_recipe(write_recipe(tmp_path, RECIPE), ['evaluate.models=["sft", "teacher"]'])
        assert fingerprints.of_stages(recipe)["evaluate"] != self.of(tmp_path)

    @pytest.mark.parametrize(
        "setting",
        [
            "exaccerr_samples=2",
            "exaccerr_prefix=gold",
            "exaccerr_average=unfinished",
            "exaccerr_first_token=false",
            "exaccerr_length=4",
        ],
    )
    def test_it_depends_on_how_prefixes_are_made(self, tmp_path, setting):
        assert self.of(tmp_path) != self.of(tmp_path, f"evaluation.{setting}")
