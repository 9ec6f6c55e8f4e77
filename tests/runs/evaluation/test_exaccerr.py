"""The metric exaccerr in whole runs: the numbers of scores.json, worked out again from the models that a run left."""

import json
import math
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
    return json.loads((path / "evaluate" / "scores.json").read_text())


def load_model(folder):
    """A model as others would load it, in float64."""
    if (folder / "adapter_config.json").is_file():
        base = json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"]
        model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), folder)
    else:
        model = AutoModelForCausalLM.from_pretrained(folder)
    return model.double().eval()


class ByHand:
    """R(l) and l eps(l) of two saved models, one forward pass for each token."""

    def __init__(self, student, teacher):
        self.models = {"student": load_model(student), "teacher": load_model(teacher)}
        self.tokenizer = AutoTokenizer.from_pretrained(student)

    def distribution(self, role, tokens):
        with torch.no_grad():
            return self.models[role](input_ids=torch.tensor([tokens])).logits[0, -1].softmax(-1).tolist()

    def error(self, prompt, sequence):
        total = 0.0
        for t in range(len(sequence)):
            p, q = (self.distribution(role, prompt + sequence[:t]) for role in ("teacher", "student"))
            total += sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
        return total

    def sample(self, role, prompt, uniform):
        tokens = []
        for number in uniform.tolist():
            cumulative = list(accumulate(self.distribution(role, prompt + tokens)))
            tokens.append(bisect_right(cumulative, number * cumulative[-1]))
            if tokens[-1] == self.tokenizer.eos_token_id:
                break
        return tokens

    def measure(self, texts, *, seed, limit, samples, gold=False):
        """The means of both errors over (prompt, target) pairs."""
        own, oracle = [], []
        for index, (text, target) in enumerate(texts):
            encode = self.tokenizer.encode
            prompt = [self.tokenizer.bos_token_id, *encode(text, add_special_tokens=False)]
            source = StepGenerator(seed, 0, [index])
            numbers = [source.per_row(limit)[0] for _ in range(samples)]
            own += [self.error(prompt, self.sample("student", prompt, u)) for u in numbers]
            if gold:
                ids = [*encode(target, add_special_tokens=False), self.tokenizer.eos_token_id]
                oracle.append(self.error(prompt, ids[:limit]))
            else:
                oracle += [self.error(prompt, self.sample("teacher", prompt, u)) for u in numbers]
        return sum(own) / len(own), sum(oracle) / len(oracle)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    recipe = write_recipe(folder, RECIPE)
    return recipe, *run(load_recipe(recipe), folder / "runs")


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
        r, l_eps = ByHand(path / student / "model", path / "finetune" / "model").measure(
            texts, seed=3, limit=12, samples=1
        )
        assert details["R"] == pytest.approx(r, rel=1e-4)
        assert 12 * details["eps"] == pytest.approx(l_eps, rel=1e-4)
        assert details["excess"] == pytest.approx(r - l_eps, rel=1e-2, abs=1e-4)
        assert result["scores"]["exaccerr"] == pytest.approx(100 * (r - l_eps) / l_eps, rel=1e-2, abs=1e-2)
        assert details["standard_error"] > 0
        assert {key: details[key] for key in ("l", "prompts", "samples", "prefix")} == {
            "l": 12,
            "prompts": 5,
            "samples": 1,
            "prefix": "teacher",
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
        table = [line.split() for line in printed[printed.index("parameters") :].splitlines()]
        rows = {row[0]: row for row in table if row}
        assert rows["teacher"][3] == "-"
        assert rows["rkd"][3] == f"{scores_of(path)['rkd']['scores']['exaccerr']:.1f}%"


def test_an_interrupted_stage_keeps_the_models_that_are_done(finished, monkeypatch):
    recipe, path, _ = finished
    before = scores_of(path)
    (path / "evaluate" / "stage.json").unlink()
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
        self, finished, jsonl, tmp_path
    ):
        _, path, _ = finished
        student, teacher = path / "sft" / "model", tmp_path / "teacher"
        model = PeftModel.from_pretrained(
            AutoModelForCausalLM.from_pretrained(
                json.loads((path / "finetune/model/adapter_config.json").read_text())[
                    "base_model_name_or_path"
                ]
            ),
            path / "finetune" / "model",
        )
        model.merge_and_unload().save_pretrained(teacher)
        AutoTokenizer.from_pretrained(student).save_pretrained(teacher)
        out, _ = run(jsonl(student, teacher), tmp_path / "runs")
        scores = scores_of(out)
        texts = [(line["prompt"], line["target"]) for line in LINES]
        r, l_eps = ByHand(student, teacher).measure(texts, seed=0, limit=6, samples=2, gold=True)
        details = scores["student"]["details"]["exaccerr"]
        assert details["R"] == pytest.approx(r, rel=1e-4)
        assert 6 * details["eps"] == pytest.approx(l_eps, rel=1e-4)
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

    @pytest.mark.parametrize("setting", ["exaccerr_samples=2", "exaccerr_prefix=gold"])
    def test_it_depends_on_how_prefixes_are_made(self, tmp_path, setting):
        assert self.of(tmp_path) != self.of(tmp_path, f"evaluation.{setting}")
