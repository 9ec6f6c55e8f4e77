"""Training one model of a run: its steps, its clock, what a stopped start leaves behind, and when it gives up."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from kdzoo.engine.training.distillation_module import DistillationModule
from kdzoo.errors import RunError, UserError
from kdzoo.recipe import load_recipe
from kdzoo.report.progress import Reporter
from kdzoo.runs import pipeline
from kdzoo.runs.training import train
from kdzoo.runs.training.pace import Collapse

RECIPE = """\
name = "small"
[data]
kind = "jsonl"
train = "train.jsonl"
evaluation = "train.jsonl"
[tokenizer]
train = { vocab_size = 320 }
[teacher]
from_scratch = { architecture = "llama", hidden_size = 32, intermediate_size = 64, num_hidden_layers = 2, num_attention_heads = 4 }
[student]
from_scratch = { architecture = "llama", hidden_size = 32, intermediate_size = 64, num_hidden_layers = 2, num_attention_heads = 4 }
[training]
epochs = 2
batch_size = 4
learning_rate = 5e-3
input_limit = 64
output_limit = 16
logging_steps = 1
[[stage]]
kind = "distill"
method = "METHOD"
"""

Run = Callable[..., Path]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run one distill stage on a few lines of text and give its folder."""
    monkeypatch.chdir(tmp_path)

    def run(
        method: str = "sft", *overrides: str, examples: int = 10, out: str = "runs", printed: Any = None
    ) -> Path:
        lines = [json.dumps({"prompt": f"count {i}:", "target": f"{i} {i + 1}"}) for i in range(examples)]
        data = Path("train.jsonl")
        if not data.exists():  # a file that is written anew is other data
            data.write_text("".join(f"{line}\n" for line in lines))
        Path("r.toml").write_text(RECIPE.replace("METHOD", method))
        reporter = Reporter(Console(file=printed or StringIO(), width=100))
        return pipeline.run(load_recipe(Path("r.toml"), overrides), Path(out), reporter).stage(method)

    return run


def test_a_stage_may_mix_methods(run: Run) -> None:
    """The same sequences and another divergence: other losses, another result, and told by what it is mixed from."""
    plain = run("kid")
    mixed = run("kid", "kid.divergence={method='gkd', options={divergence='jsd'}}", "kid.aux_loss=gkd")
    assert results(mixed)["method"] == "kid with divergence of gkd, aux_loss of gkd"
    assert results(plain)["method"] == "kid"
    assert mixed != plain
    assert all(line["aux_loss"] == 0.0 for line in metrics(mixed))
    assert all(0 < line["kd_loss"] < 0.7 for line in metrics(mixed))  # a JSD is at most log 2
    again = run("kid", "kid.divergence={method='gkd', options={divergence='fkl'}}", "kid.aux_loss=gkd")
    assert again != mixed


class TestModelsByName:
    WIDE = (
        "teachers.wide={from_scratch={architecture='llama', hidden_size=48, intermediate_size=64, num_hidden_layers=2, "
        "num_attention_heads=4}}"
    )

    @pytest.mark.parametrize("teacher", ["base", "average", "student"])
    def test_a_student_learns_from_itself_without_any_teacher(
        self, run: Run, monkeypatch: pytest.MonkeyPatch, teacher: str
    ) -> None:
        seen: list[DistillationModule] = []

        def made(*given: Any, **more: Any) -> DistillationModule:
            seen.append(DistillationModule(*given, **more))
            return seen[-1]

        monkeypatch.setattr(train, "DistillationModule", made)
        stage = run("opsd", f"opsd.options.teacher={teacher}", "student.lora={rank=2}")
        assert [line["aux_loss"] for line in metrics(stage)] == [0.0] * 6
        assert all(0 < line["kd_loss"] < 0.7 for line in metrics(stage))
        (module,) = seen
        assert module.models.beside_the_student == ["base", *(["average"] if teacher == "average" else [])]

    def test_privileged_prompts_are_as_long_as_the_prompt_and_the_target_together_make_them(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen: list[int] = []

        def made(*given: Any, **more: Any) -> DistillationModule:
            seen.append(more["privileged_limit"])
            return DistillationModule(*given, **more)

        monkeypatch.setattr(train, "DistillationModule", made)
        text = "opsd.options.teacher_prompt='{prompt} {target}'"
        run("opsd", "opsd.options.teacher=student", text)
        run("sft")
        whole, none = seen
        assert none == 0
        assert 64 >= whole > len(["count", "9:"])

    def test_several_teachers_teach_the_one_as_it_is_and_another_as_a_stage_has_left_it(
        self, run: Run
    ) -> None:
        weights = "multi.options.weights={teacher=1, wide=1}"
        both, one = (
            metrics(run("multi", self.WIDE, *more, "multi.options.mle_weight=0"))
            for more in ((weights,), ("multi.options.weights={wide=1}",))
        )
        assert both[0]["kd_loss"] != one[0]["kd_loss"]


def metrics(stage: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (stage / "metrics.jsonl").read_text().splitlines()]


def results(stage: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((stage / "stage.json").read_text())["results"]
    return content


class TestSteps:
    @pytest.mark.parametrize(
        ("overrides", "examples", "steps"),
        [
            ([], 10, 6),  # 10 examples in batches of 4: 3 steps an epoch, the last of 2 rows
            (["training.micro_batch_size=2"], 10, 6),
            (["training.micro_batch_size=1"], 9, 6),  # the last step has one part of four
            (["training.epochs=0.5"], 10, 2),
            (["training.max_steps=7"], 10, 7),
            ([], 1, 2),
        ],
    )
    def test_the_last_batch_of_an_epoch_may_have_fewer_rows(
        self, run: Run, overrides: list[str], examples: int, steps: int
    ) -> None:
        printed = StringIO()
        stage = run("sft", *overrides, examples=examples, printed=printed)
        assert results(stage)["steps"] == steps == len(metrics(stage))
        assert results(stage)["examples"] == examples
        assert f"sft: 0/{steps}\n" in printed.getvalue()

    def test_a_step_in_parts_is_the_same_step(self, run: Run) -> None:
        whole = run("fkd", out="whole")
        parts = run("fkd", "training.micro_batch_size=1", out="parts")
        for ours, theirs in zip(metrics(parts), metrics(whole), strict=True):
            assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-4)

    def test_targets_that_cannot_be_learnt_whole_are_left_out_and_told(self, run: Run) -> None:
        printed = StringIO()
        stage = run("sft", "training.output_limit=4", examples=20, printed=printed)
        left_out = 20 - results(stage)["examples"]
        assert 0 < left_out < 20
        assert f"sft: {left_out} targets longer than 4 tokens left out" in printed.getvalue()

    def test_long_prompts_are_left_out_and_told_if_that_is_asked(self, run: Run) -> None:
        printed = StringIO()
        lines = [{"prompt": f"count {'on and ' * (i % 3)}{i}:", "target": f"{i}"} for i in range(12)]
        Path("train.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
        limits = ["training.input_limit=8", 'training.long_prompts="leave_out"']
        stage = run("sft", *limits, printed=printed)
        left_out = 12 - results(stage)["examples"]
        assert 0 < left_out < 12
        assert f"sft: {left_out} prompts longer than 8 tokens left out" in printed.getvalue()

    def test_none_left_is_refused_before_anything_is_written(self, run: Run) -> None:
        with pytest.raises(UserError, match="all 10 training targets are longer than 2 tokens") as caught:
            run("sft", "training.output_limit=2")
        assert caught.value.exit_code == 2
        assert not Path("runs").exists()

    def test_none_left_by_limits_that_were_not_looked_at_is_a_failure(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(
            "kdzoo.runs.checks.before_run.check_lengths", lambda *_: None
        )  # as in a rehearsal
        with pytest.raises(
            RunError, match="stage 'sft': no example is left to train on; input_limit is 64, output_limit 2"
        ):
            run("sft", "training.output_limit=2")


class TestTheStudentSSeed:
    def test_is_that_of_all_that_trains_it(self, run: Run) -> None:
        """Its random weights and the order of the examples: the losses are the same to the last bit."""
        ours, theirs, others = (
            [line["loss"] for line in metrics(run("sft", seed, out=seed))]
            for seed in ("student_seed=3", "seed=3", "seed=0")
        )
        assert ours == theirs != others

    def test_is_not_the_teacher_s(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        from kdzoo.runs import context

        seeds: list[int] = []
        build = context.build_model

        def noting(config: Any, seed: int, *rest: Any) -> Any:
            seeds.append(seed)
            return build(config, seed, *rest)

        monkeypatch.setattr(context, "build_model", noting)
        run("fdistill", "seed=2", "student_seed=3")
        # the number is doubled, and one more for the teacher
        assert sorted(seeds) == [5, 6]

    def test_decides_on_what_the_teacher_generates_for_it(self, run: Run) -> None:
        first, second, again = (
            (run("fdistill", *seeds, out=out) / "teacher_targets.jsonl").read_text()
            for out, seeds in (("a", ()), ("b", ("student_seed=1",)), ("c", ("student_seed=0",)))
        )
        assert first != second
        assert first == again

    def test_counts_for_no_stage_that_has_its_own(self, run: Run) -> None:
        """All that is random is that seed's, and so the stage is not done again for another student's seed."""
        ours, theirs = (run("fdistill", seed, out=seed) for seed in ("fdistill.seed=3", "student_seed=3"))
        for name in ("teacher_targets.jsonl", "model/model.safetensors"):
            assert (ours / name).read_bytes() == (theirs / name).read_bytes()
        again = run("fdistill", "fdistill.seed=3", "student_seed=7", out="fdistill.seed=3")
        assert again.resolve() == ours.resolve()


class TestContinuing:
    def stop_at(self, monkeypatch: pytest.MonkeyPatch, name: str, done: int) -> None:
        """Let Ctrl-C be pressed when the reporter is told of that much."""
        advance = Reporter.advance

        def stop(self: Reporter, now: int, numbers: str = "") -> None:
            advance(self, now, numbers)
            if self._name == name and now == done:
                raise KeyboardInterrupt

        monkeypatch.setattr(Reporter, "advance", stop)

    def test_the_teacher_s_generations_are_kept(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        whole = run("fdistill", out="whole")
        with monkeypatch.context() as patch:
            self.stop_at(patch, "fdistill: teacher generates", 8)
            with pytest.raises(KeyboardInterrupt):
                run("fdistill", out="stopped")
        (file,) = Path("stopped").glob("small-*/fdistill/teacher_targets.jsonl")
        before = [json.loads(line) for line in file.read_text().splitlines() if line]
        assert len(before) == 8
        with file.open("a") as half:
            half.write("[9,[1,")  # what a killed process was writing
        stage = run("fdistill", out="stopped")
        lines = file.read_text().splitlines()
        assert [json.loads(line) for line in lines[1 : 1 + len(before)]] == before
        generated = [json.loads(line)[0] for line in lines if line.endswith("]]")]
        assert sorted(generated) == list(range(10))
        ours, theirs = (load_file(folder / "model/model.safetensors") for folder in (stage, whole))
        assert all(weights.equal(theirs[name]) for name, weights in ours.items())

    def test_the_average_of_the_weights_is_kept(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        given = ("opsd.options.teacher=average", "opsd.options.decay=0.5", "training.save_steps=2")
        whole = run("opsd", *given, out="whole")
        with monkeypatch.context() as patch:
            self.stop_at(patch, "opsd", 3)
            with pytest.raises(KeyboardInterrupt):
                run("opsd", *given, out="stopped")
        assert list(Path("stopped").glob("small-*/opsd/checkpoints/checkpoint-2/average.safetensors"))
        stage = run("opsd", *given, out="stopped")
        ours, theirs = (load_file(folder / "model/model.safetensors") for folder in (stage, whole))
        assert all(weights.equal(theirs[name]) for name, weights in ours.items())

    def test_the_time_of_all_starts_is_added_up(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        with monkeypatch.context() as patch:
            self.stop_at(patch, "sft", 2)
            with pytest.raises(KeyboardInterrupt):
                run("sft")
        (kept,) = Path("runs").glob("small-*/sft/seconds")
        assert 0 < float(kept.read_text()) < 60
        kept.write_text("1000.0\n")
        assert 1000 < results(run("sft"))["training_seconds"] < 1060

    def test_a_start_that_is_killed_has_kept_its_time(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("kdzoo.runs.training.clock._INTERVAL_SECONDS", 0.0)
        seen: list[float] = []
        advance = Reporter.advance

        def look(self: Reporter, now: int, numbers: str = "") -> None:
            advance(self, now, numbers)
            seen.extend(float(file.read_text()) for file in Path("runs").glob("small-*/sft/seconds"))

        monkeypatch.setattr(Reporter, "advance", look)
        run("sft")
        assert len(seen) == 6
        assert seen == sorted(seen)


class TestThreads:
    @pytest.fixture
    def seen(self, monkeypatch: pytest.MonkeyPatch) -> dict[str, set[int]]:
        """The numbers of threads that each part of a run was at work with."""
        seen: dict[str, set[int]] = {}
        advance = Reporter.advance

        def look(self: Reporter, now: int, numbers: str = "") -> None:
            advance(self, now, numbers)
            seen.setdefault(self._name, set()).add(torch.get_num_threads())

        monkeypatch.setattr(Reporter, "advance", look)
        return seen

    @pytest.mark.parametrize(("overrides", "expected"), [([], 1), (["threads=2"], 2)])
    def test_are_the_recipe_s_or_suit_the_model_in_every_part(
        self, run: Run, seen: dict[str, set[int]], overrides: list[str], expected: int
    ) -> None:
        before = torch.get_num_threads()
        torch.set_num_threads(3)
        try:
            run("fdistill", "training.max_steps=2", *overrides)
            assert torch.get_num_threads() == 3
        finally:
            torch.set_num_threads(before)
        assert seen == {"fdistill: teacher generates": {expected}, "fdistill": {expected}}


def test_a_collapse_of_the_speed_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kdzoo.runs.training.pace.Pace.seen", lambda *_: Collapse(310.4, 1900.2))
    printed = StringIO()
    run("sft", "training.max_steps=1", printed=printed)
    assert "sft: 310 tokens/s where 1900 were usual: other programs use the processor" in printed.getvalue()


class TestDivergence:
    @pytest.mark.parametrize("overrides", [[], ["training.max_gradient_norm=0"]])
    def test_numbers_that_are_no_longer_finite_end_it(self, run: Run, overrides: list[str]) -> None:
        printed = StringIO()
        with pytest.raises(RunError, match=r"^stage 'sft': the training diverged: ") as caught:
            run(
                "sft",
                "training.weight_decay=1e30",
                "training.save_steps=1",
                "training.nonfinite_steps=2",
                *overrides,
                printed=printed,
            )
        assert caught.value.exit_code == 1
        first, *steps = str(caught.value).split("\n")
        assert re.search(r"; the last checkpoint before it is kept: \S+/checkpoint-[1-4]$", first)
        assert len(steps) == 2
        for line in steps:
            assert re.fullmatch(
                r"  step [2-6]: kd_loss 0, aux_loss (nan|[\d.e+]+); gradient norm (nan|inf); examples [\d, ]+",
                line,
            )
            assert f"sft: skipped, because it is not finite: {line.strip()}" in printed.getvalue()
        (stage,) = Path("runs").glob("small-*/sft")
        assert not (stage / "model").exists()
        assert not (stage / "stage.json").exists()

    def test_the_last_step_is_not_overlooked(self, run: Run) -> None:
        with pytest.raises(RunError, match="the training diverged: weights are not finite after step 1;"):
            run("sft", "training.weight_decay=1e60", "training.max_steps=1", "training.warmup=0")


class TestCosts:
    def test_a_stage_says_what_a_step_took_and_what_memory(self, run: Run) -> None:
        stage = run("sft")
        found = results(stage)
        seconds = sorted(float(number) for number in (stage / "step_seconds").read_text().split())
        assert len(seconds) == 6
        assert found["step_seconds"] == pytest.approx((seconds[2] + seconds[3]) / 2)
        assert sum(seconds) < found["training_seconds"]
        assert found["preparing_seconds"] == 0
        assert found["peak_memory_bytes"] is None or found["peak_memory_bytes"] > 50_000_000

    def test_the_teacher_s_generations_are_told_apart_and_are_no_steps(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from kdzoo.runs.training import teacher_targets

        generate = teacher_targets.generate_all

        def slow(*given: Any, **more: Any) -> Any:
            time.sleep(1.0)
            return generate(*given, **more)

        monkeypatch.setattr(teacher_targets, "generate_all", slow)
        found = results(run("fdistill"))
        assert 1 <= found["preparing_seconds"] < found["training_seconds"]
        assert 0 < found["step_seconds"] < 1

    def test_those_of_all_starts_count(self, run: Run) -> None:
        stage = run("fdistill")
        (stage / "stage.json").unlink()
        (stage / "preparing_seconds").write_text("500.0\n")
        (stage / "step_seconds").write_text("\n70\n80\n90\n")
        (stage / "peak_memory_bytes").write_text(f"{1 << 50}\n")
        found = results(run("fdistill"))
        assert 500 <= found["preparing_seconds"] < found["training_seconds"] < 560
        assert found["step_seconds"] == 80
        assert found["peak_memory_bytes"] == 1 << 50


def test_what_a_stage_says_of_itself(run: Run) -> None:
    stage = run("kid")
    found = results(stage)
    assert found["method"] == "kid"
    assert found["parameters"] == found["trainable_parameters"]
    assert found["loss"] == metrics(stage)[-1]["loss"]
    adapted = results(run("kid", "student.lora={rank=2}"))
    assert found["parameters"] < adapted["parameters"]
    assert adapted["trainable_parameters"] == adapted["parameters"] - found["parameters"]
