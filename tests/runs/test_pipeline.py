"""A whole run: what it leaves, what it reuses, and that others can load it."""

import itertools
import json
import re
import shutil
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from rich.console import Console
from safetensors.torch import load_file
from scipy.stats import binomtest
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

from kdzoo.errors import RunError, UserError
from kdzoo.recipe import load_recipe, rehearsed
from kdzoo.report.progress import Reporter
from kdzoo.runs import fingerprints, pipeline
from kdzoo.runs.training import train

RECIPE = """
name = "small"
[data]
kind = "embedded"
questions = 60
test_questions = 10
databases = 2
[tokenizer]
train = { vocab_size = 600 }
[teacher]
from_scratch = { architecture = "llama", hidden_size = 48, intermediate_size = 96, num_hidden_layers = 2, num_attention_heads = 4 }
[student]
from_scratch = { architecture = "qwen2", hidden_size = 32, intermediate_size = 64, num_hidden_layers = 2, num_attention_heads = 4, num_key_value_heads = 2 }
LORA
[training]
max_steps = 3
batch_size = 8
learning_rate = 5e-3
input_limit = 512
output_limit = 64
group_by = "database"
[[stage]]
kind = "finetune"
[[stage]]
kind = "distill"
method = "sft"
[[stage]]
kind = "distill"
method = "kid"
[[stage]]
kind = "evaluate"
"""


def write_recipe(folder, text=RECIPE, lora=False):
    path = folder / "small.toml"
    path.write_text(text.replace("LORA", "lora = { rank = 4 }" if lora else ""))
    return path


def run(recipe, out, overrides=()):
    """Run a recipe and give its directory and what was printed."""
    printed = StringIO()
    reporter = Reporter(Console(file=printed, width=200))
    directory = pipeline.run(load_recipe(recipe, overrides), out, reporter)
    return directory.path, printed.getvalue()


@pytest.fixture(scope="module", params=[False, True], ids=["full", "lora"])
def finished(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    recipe = write_recipe(folder, lora=request.param)
    path, printed = run(recipe, folder / "runs")
    return recipe, path, printed


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


class TestWhatARunLeaves:
    def test_the_folders_that_the_design_names(self, finished):
        _, path, _ = finished
        assert json.loads((path / "run.json").read_text())["status"] == "finished"
        assert load_recipe(path / "recipe.toml").name == "small"
        for stage in ("finetune", "sft", "kid"):
            assert len(lines_of(path / stage / "metrics.jsonl")) == 3
            assert list((path / stage / "model").glob("*.safetensors"))

    def test_predictions_with_verdicts_and_scores_that_add_up(self, finished):
        _, path, _ = finished
        lines = lines_of(path / "evaluate" / "predictions.jsonl")
        scores = json.loads((path / "evaluate" / "scores.json").read_text())
        assert list(scores) == ["teacher", "sft", "kid"]
        for model, result in scores.items():
            own = [line for line in lines if line["model"] == model]
            assert len(own) == 10
            assert list(result["sets"]) == ["embedded"] == list({line["set"] for line in own})
            on_set = result["sets"]["embedded"]
            assert on_set["examples"] == 10
            assert on_set["scores"]["ex"] == sum(line["ex"] for line in own) / 10
            assert {"question", "prompt", "gold", "prediction", "ex", "error"} <= own[0].keys()

    def test_a_table_of_the_models(self, finished):
        _, path, printed = finished
        lines = [re.split(r"  +", line.strip()) for line in printed.splitlines()]
        heading, *rows = next(lines[n : n + 4] for n, line in enumerate(lines) if line[0] == "model")
        assert [row[0] for row in rows] == ["teacher", "sft", "kid"]
        table = [dict(zip(heading, row, strict=True)) for row in rows]
        scores = json.loads((path / "evaluate/scores.json").read_text())
        scores = scores.get("models", scores)
        right = [scores[row["model"]]["sets"]["embedded"]["scores"]["ex"] for row in table]
        for row, score in zip(table, right, strict=True):
            low, high = binomtest(round(10 * score), 10).proportion_ci(method="wilson")
            assert row["EX"] == f"{100 * score:.1f}% [{100 * low:.1f},\u00a0{100 * high:.1f}]"
        costs = json.loads((path / "sft/stage.json").read_text())["results"]
        assert table[1]["relative to SFT"] == ("1.00" if "step_seconds" in costs else "-")

    def test_models_that_load_without_us_and_say_the_same(self, finished):
        _, path, _ = finished
        for name, stage in (("teacher", "finetune"), ("kid", "kid")):
            folder = path / stage / "model"
            tokenizer = AutoTokenizer.from_pretrained(folder)
            if (folder / "adapter_config.json").is_file():
                base = json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"]
                model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), folder)
            else:
                model = AutoModelForCausalLM.from_pretrained(folder)
            for line in lines_of(path / "evaluate" / "predictions.jsonl"):
                if line["model"] != name:
                    continue
                inputs = tokenizer(line["prompt"], return_tensors="pt")
                output = model.generate(**inputs, max_new_tokens=64)
                said = output[0, inputs["input_ids"].shape[1] :]
                assert tokenizer.decode(said, skip_special_tokens=True).strip() == line["prediction"]


class TestReuse:
    def test_a_second_run_repeats_nothing(self, finished):
        recipe, path, _ = finished
        again, printed = run(recipe, path.parent)
        assert again == path
        assert printed.count("finished before") == 4

    def test_another_recipe_reuses_the_same_teacher(self, finished):
        recipe, path, _ = finished
        other, printed = run(recipe, path.parent, ["kid.options.alpha=0.5"])
        assert other != path
        assert (other / "finetune").resolve() == path / "finetune"
        assert (other / "sft").resolve() == path / "sft"
        assert not (other / "kid").is_symlink()
        assert "finetune: finished before" in printed

    def test_how_a_stage_is_computed_does_not_matter(self, finished):
        recipe, path, _ = finished
        _, printed = run(recipe, path.parent, ["training.sharing=off"])
        assert printed.count("finished before") == 4

    @pytest.mark.parametrize("finished", [False], indirect=True, ids=["full"], scope="module")
    def test_a_stage_without_its_record_is_done_again(self, finished, tmp_path):
        recipe, _, _ = finished
        path, _ = run(recipe, tmp_path)
        (path / "evaluate" / "stage.json").unlink()
        before = (path / "evaluate" / "predictions.jsonl").read_text()
        _, printed = run(recipe, tmp_path)
        assert printed.count("finished before") == 3
        assert (path / "evaluate" / "predictions.jsonl").read_text() == before


class TestInterruption:
    def test_a_run_that_is_stopped_continues_and_ends_alike(self, tmp_path, finished, monkeypatch):
        recipe, reference, _ = finished
        advance = Reporter.advance

        def stop(self, done, numbers=""):
            advance(self, done, numbers)
            if self._name == "kid" and done == 2:
                raise KeyboardInterrupt

        monkeypatch.setattr(Reporter, "advance", stop)
        with pytest.raises(KeyboardInterrupt):
            run(recipe, tmp_path)
        (path,) = [p for p in tmp_path.iterdir() if p.name.startswith("small")]
        assert json.loads((path / "run.json").read_text())["status"] == "interrupted"
        monkeypatch.undo()
        run(recipe, tmp_path)
        assert (path / "evaluate" / "predictions.jsonl").read_text() == (
            reference / "evaluate" / "predictions.jsonl"
        ).read_text()


ONE_STAGE = (
    RECIPE.replace("LORA\n", "")
    .replace("max_steps = 3", "max_steps = 2")
    .split('[[stage]]\nkind = "distill"')[0]
)


class TestWhatUsersDoToRuns:
    def one(self, tmp_path, name="one", overrides=()):
        path = write_recipe(tmp_path, ONE_STAGE.replace('name = "small"', f'name = "{name}"'))
        return run(path, tmp_path / "runs", overrides)

    def test_they_delete_a_run_that_another_links_to(self, tmp_path):
        first, _ = self.one(tmp_path)
        second, printed = self.one(tmp_path, "two")
        assert "finetune: finished before" in printed
        weights = (second / "finetune/model/model.safetensors").read_bytes()
        shutil.rmtree(first)
        again, printed = self.one(tmp_path, "two")
        assert again == second
        assert "finetune: finished before" not in printed
        assert not (second / "finetune").is_symlink()
        assert (second / "finetune/model/model.safetensors").read_bytes() == weights

    def test_they_delete_a_model_to_save_space_and_want_it_back(self, tmp_path):
        path, _ = self.one(tmp_path)
        weights = (path / "finetune/model/model.safetensors").read_bytes()
        shutil.rmtree(path / "finetune/model")
        self.one(tmp_path)
        assert (path / "finetune/model/model.safetensors").read_bytes() == weights

    def test_they_upgrade_and_the_old_run_stays_as_it_is(self, tmp_path, monkeypatch):
        old, _ = self.one(tmp_path)
        before = {file: file.stat().st_mtime_ns for file in old.rglob("*")}
        version = fingerprints.version
        monkeypatch.setattr(fingerprints, "version", lambda name: version(name) + ".post1")
        new, printed = self.one(tmp_path)
        assert new != old
        assert f"{old} is this recipe under other versions, code or data, and stays as it is" in printed
        assert "finetune: finished before" not in printed
        assert {file: file.stat().st_mtime_ns for file in old.rglob("*")} == before
        _, printed = self.one(tmp_path)
        assert "stays as it is" not in printed

    def test_they_watch_with_other_loggers_and_nothing_is_done_again(self, tmp_path, monkeypatch):
        logged = []

        class Notebook(TrainerCallback):
            def on_log(self, args, state, control, logs=None, **_):
                logged.append(logs)

        monkeypatch.setitem(INTEGRATION_TO_CALLBACK, "notebook", Notebook)
        watched = ["training.loggers=['notebook']"]
        path, _ = self.one(tmp_path, overrides=watched)
        assert [logs["loss"] for logs in logged if "loss" in logs] == [
            line["loss"] for line in lines_of(path / "finetune/metrics.jsonl")
        ]
        _, printed = self.one(tmp_path)
        assert "finetune: finished before" in printed

    def test_they_move_the_runs_of_adapters_on_models_made_here(self, tmp_path):
        text = RECIPE.replace("LORA", "lora = { rank = 2 }").replace("max_steps = 3", "max_steps = 1")
        head, *stages = text.split("[[stage]]\n")
        first, second = (
            'kind = "distill"\nmethod = "sft"\n',
            'kind = "distill"\nmethod = "sft"\nname = "more"\n',
        )
        trained = "[[stage]]\n".join([head, first, second + 'student_from = "sft"\n'])
        run(write_recipe(tmp_path, trained), tmp_path / "runs")
        (tmp_path / "runs").rename(tmp_path / "moved")
        recipe = write_recipe(tmp_path, trained + "[[stage]]\n" + stages[-1])
        path, printed = run(recipe, tmp_path / "moved")
        assert printed.count("finished before") == 2
        assert [line["model"] for line in lines_of(path / "evaluate/predictions.jsonl")] == ["sft"] * 10 + [
            "more"
        ] * 10
        # each adapter has its base beside it, so that no stage needs another one's folder
        bases = [(path / stage / "base/model.safetensors").read_bytes() for stage in ("sft", "more")]
        assert bases[0] == bases[1]
        named = json.loads((path / "more/model/adapter_config.json").read_text())["base_model_name_or_path"]
        assert named.startswith(str(tmp_path / "runs"))
        assert named.endswith("/more/base")

    def test_they_start_it_twice_at_once(self, tmp_path):
        path, _ = self.one(tmp_path)
        before = {file: file.stat().st_mtime_ns for file in path.rglob("*")}
        code = (
            "import sys\nfrom pathlib import Path\nfrom kdzoo.runs.run_directory import RunDirectory\n"
            "with RunDirectory(Path(sys.argv[1])).locked():\n    print(flush=True)\n    sys.stdin.readline()\n"
        )
        command = [sys.executable, "-c", code, str(path)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
            first.stdout.readline()
            with pytest.raises(RunError, match=rf"another process \({first.pid}\) is at work in {path}"):
                self.one(tmp_path)
            first.communicate("\n")
        after = {file: file.stat().st_mtime_ns for file in path.rglob("*")}
        assert {file for file in after if after[file] != before.get(file)} <= {path / ".lock"}


class TestChains:
    """Models as they came, before and after training; stages that start from others."""

    @pytest.mark.parametrize("finished", [False], indirect=True, ids=["full"], scope="module")
    def test_what_is_evaluated_is_what_the_model_was_at_that_point(self, finished, tmp_path):
        _, path, _ = finished
        model = path / "finetune/model"
        stages = [
            'kind = "evaluate"\nname = "before"\nmodels = ["student", "teacher"]',
            'kind = "finetune"\nmodel = "student"',
            'kind = "evaluate"\nname = "after"\nmodels = ["student"]',
            'kind = "distill"\nmethod = "kid"\nstudent_from = "finetune"\ntraining = { max_steps = 2 }',
            'kind = "distill"\nmethod = "fkd"\nstudent_from = "kid"\ntraining = { max_steps = 2 }',
            'kind = "evaluate"\nname = "end"\nmodels = ["student", "fkd"]\nevaluation = { metrics = ["ts"] }',
        ]
        text = RECIPE.split("[tokenizer]")[0] + f'[teacher]\npath = "{model}"\n[student]\npath = "{model}"\n'
        text += "[training]" + RECIPE.split("[training]")[1].split("[[stage]]")[0]
        text += "".join(f"[[stage]]\n{stage}\n" for stage in stages)
        chained, printed = run(write_recipe(tmp_path, text), tmp_path / "runs")
        table = printed[printed.index("model ") :].splitlines()
        assert [re.split(r"  +", line)[0] for line in table[1:-2]] == [
            "student (before)",
            "teacher",
            "student (after)",
            "fkd",
        ]
        # the student as it came is the teacher
        predictions = lines_of(chained / "before/predictions.jsonl")
        of = {m: [p["prediction"] for p in predictions if p["model"] == m] for m in ("student", "teacher")}
        assert of["student"] == of["teacher"]
        weights = [
            load_file(folder / "model.safetensors")["model.norm.weight"]
            for folder in (model, chained / "finetune/model", chained / "kid/model", chained / "fkd/model")
        ]
        assert len({tuple(w.tolist()) for w in weights}) == 4
        for earlier, later in itertools.pairwise(weights):
            # one from the other by two or three small steps; a new model's are all 1
            assert (later - earlier).abs().max() < 0.05

    @pytest.mark.parametrize("finished", [False], indirect=True, ids=["full"], scope="module")
    def test_a_student_may_begin_as_some_layers_of_the_trained_teacher(self, finished, tmp_path):
        _, path, _ = finished
        models = f'[teacher]\npath = "{path / "finetune/model"}"\n[student]\npath = "{path / "finetune/model"}"\nkeep_layers = [1]\n'
        settings = "[training]" + RECIPE.split("[training]")[1].split("[[stage]]")[0]
        stages = [
            'kind = "finetune"',
            # so small a step leaves what the stage began with
            'kind = "finetune"\nname = "base"\nmodel = "student"\nstudent_from = "finetune"\n'
            "training = { max_steps = 1, learning_rate = 1e-9 }",
            'kind = "distill"\nmethod = "kid"\nstudent_from = "base"',
            'kind = "evaluate"\nmodels = ["teacher", "base", "kid"]',
        ]
        text = RECIPE.split("[tokenizer]")[0] + models + settings
        recipe = write_recipe(tmp_path, text + "".join(f"[[stage]]\n{stage}\n" for stage in stages))
        begun, printed = run(recipe, tmp_path / "runs")
        whole, base = (load_file(begun / stage / "model/model.safetensors") for stage in ("finetune", "base"))
        kept = "model.layers.1."
        assert {name for name in base if ".layers." in name} == {
            name.replace(kept, "model.layers.0.") for name in whole if kept in name
        }
        for name, weight in base.items():
            trained = whole[name.replace("model.layers.0.", kept)]
            torch.testing.assert_close(weight, trained, rtol=0, atol=1e-7)
        assert re.search(r"^kid ", printed, re.MULTILINE)
        _, again = run(recipe, tmp_path / "runs", ["base.max_steps=2"])
        assert "finetune: finished before" in again
        assert "base: finished before" not in again
        rehearsal = pipeline.run(rehearsed(load_recipe(recipe)), tmp_path / "runs", Reporter(quiet=True))
        assert load_recipe(rehearsal.path / "recipe.toml").stages[1].student_from == "finetune"

    def test_an_adapter_s_folder_is_a_model_too(self, finished, tmp_path):
        _, path, _ = finished
        student = path / "kid/model"
        text = RECIPE.split("[tokenizer]")[0] + f'[student]\npath = "{student}"\nlora = {{ rank = 2 }}\n'
        text += "[training]\ninput_limit = 512\noutput_limit = 64\nmax_steps = 1\nbatch_size = 8\n"
        text += '[[stage]]\nkind = "distill"\nmethod = "sft"\n[[stage]]\nkind = "evaluate"\nmodels = ["student", "sft"]\n'
        again, _ = run(write_recipe(tmp_path, text), tmp_path / "runs")
        before = [
            line["prediction"]
            for line in lines_of(path / "evaluate/predictions.jsonl")
            if line["model"] == "kid"
        ]
        lines = lines_of(again / "evaluate/predictions.jsonl")
        assert [line["prediction"] for line in lines if line["model"] == "student"] == before
        base = json.loads((again / "sft/model/adapter_config.json").read_text())["base_model_name_or_path"]
        merged = (again / "sft/base") if (student / "adapter_config.json").is_file() else student
        assert Path(base) == merged.resolve()
        PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), again / "sft/model")


class TestMistakesThatWriteNothing:
    def check(self, recipe, tmp_path, *words):
        with pytest.raises(UserError) as caught:
            run(recipe, tmp_path / "runs")
        assert caught.value.exit_code == 2
        for word in words:
            assert word in str(caught.value)
        assert not (tmp_path / "runs").exists()

    def test_different_tokenizers(self, finished, tmp_path):
        _, path, _ = finished
        student = tmp_path / "student"
        AutoModelForCausalLM.from_pretrained(path / "finetune" / "model").save_pretrained(student)
        tokenizer = AutoTokenizer.from_pretrained(path / "finetune" / "model")
        tokenizer.add_tokens(["zebra"])
        tokenizer.save_pretrained(student)
        text = (
            RECIPE.split("[tokenizer]")[0]
            + f"""
[teacher]
path = "{path / "finetune" / "model"}"
[student]
path = "{student}"
[training]
input_limit = 256
[[stage]]
kind = "distill"
method = "rkd"
"""
        )
        self.check(write_recipe(tmp_path, text), tmp_path, "different tokenizers", "zebra")

    def test_a_model_that_is_not_there(self, tmp_path):
        text = RECIPE.replace("[student]\nfrom_scratch = {", "[student]\npath = 'no/such/model' #")
        text = text.replace("train = { vocab_size = 600 }", "path = 'no/such/tokenizer'")
        self.check(write_recipe(tmp_path, text), tmp_path, "no/such/model", "cannot be loaded")

    def test_an_architecture_that_does_not_exist(self, tmp_path):
        text = RECIPE.replace('architecture = "llama"', 'architecture = "lama"')
        self.check(write_recipe(tmp_path, text), tmp_path, "'lama'", 'did you mean "llama"')

    def test_a_setting_that_the_architecture_does_not_have(self, tmp_path):
        text = RECIPE.replace("hidden_size = 48", "hiden_size = 48")
        self.check(write_recipe(tmp_path, text), tmp_path, "hiden_size", 'did you mean "hidden_size"')

    def test_prompts_longer_than_the_models_positions(self, tmp_path):
        text = RECIPE.replace("input_limit = 512", "input_limit = 100000")
        self.check(write_recipe(tmp_path, text), tmp_path, "positions", "100064")


class TestFailures:
    def failing(self, tmp_path, monkeypatch, error):
        def fail(*_, **__):
            raise error

        monkeypatch.setattr(train, "run", fail)
        with pytest.raises(type(error) if type(error) is KeyError else Exception) as caught:
            run(write_recipe(tmp_path, ONE_STAGE), tmp_path / "runs")
        (path,) = (tmp_path / "runs").glob("small-*")
        assert json.loads((path / "run.json").read_text())["status"] == "failed"
        return caught.value

    @pytest.mark.parametrize(
        "error",
        [
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB"),
            RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
            MemoryError(),
        ],
    )
    def test_memory_that_does_not_suffice(self, tmp_path, monkeypatch, error):
        told = self.failing(tmp_path, monkeypatch, error)
        assert isinstance(told, RunError)
        assert str(told).startswith("out of memory: a smaller training.micro_batch_size")

    def test_a_fault_in_the_program_keeps_its_traceback(self, tmp_path, monkeypatch):
        error = KeyError("who knows")
        assert self.failing(tmp_path, monkeypatch, error) is error


@pytest.mark.parametrize(("gpus", "told"), [(0, False), (1, False), (4, True)])
def test_gpus_that_are_not_used_are_told_of(tmp_path, monkeypatch, gpus, told):
    monkeypatch.setattr(pipeline, "gpu_count", lambda: gpus)
    _, printed = run(write_recipe(tmp_path, ONE_STAGE), tmp_path / "runs")
    line = (
        "one of 4 GPUs is used, the first; CUDA_VISIBLE_DEVICES=1 takes the second, and "
        "`torchrun --nproc-per-node 4 -m kdzoo run RECIPE` uses all"
    )
    assert (line in printed.splitlines()) is told
    _, printed = run(tmp_path / "small.toml", tmp_path / "runs")
    assert "GPU" not in printed  # nothing is left to do
