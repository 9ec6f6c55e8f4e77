"""A whole training: stopped and continued it ends in the same weights, and what is not finite ends it at once."""

import json
import math
import random

import pytest
import torch
from keeping_method import HOOKS, keeping
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from tiny_training import VOCABULARY
from transformers import TrainingArguments

from kdzoo.engine.prompts.batches import EncodedExample
from kdzoo.engine.training.checkpoints import CHECKPOINTS, publish
from kdzoo.engine.training.nonfinite import DivergedError
from kdzoo.engine.training.train import train as train_as
from kdzoo.errors import RunError


@pytest.fixture
def examples():
    """14 short examples of two groups: 4 steps an epoch, the last of two rows."""
    source = random.Random(0)
    draw = lambda n: [source.randrange(3, VOCABULARY) for _ in range(n)]  # noqa: E731
    beginnings = [draw(10), draw(12)]
    return [
        EncodedExample(
            i,
            beginnings[i % 2] + draw(source.randrange(1, 6)),
            [*draw(source.randrange(1, 7)), 2],
            str(i % 2),
        )
        for i in range(14)
    ]


def settings(*, micro_batch_size=4, max_gradient_norm=1.0, save_steps=2, **changes):
    """Two epochs in batches of 4 rows, and a checkpoint after so many steps, or after each epoch."""
    return {
        "per_device_train_batch_size": micro_batch_size,
        "gradient_accumulation_steps": 4 // micro_batch_size,
        "num_train_epochs": 2.0,
        "learning_rate": 1e-3,
        "lr_scheduler_type": "cosine",
        "warmup_steps": 0.1,
        "max_grad_norm": max_gradient_norm,
        "seed": 0,
        "logging_steps": 1,
        "save_strategy": "epoch" if save_steps is None else "steps",
        "save_steps": save_steps or 500,
        "save_total_limit": 1,
        "report_to": "none",
        **changes,
    }


def train(module, examples, folder, how, *watching, **more):
    arguments = TrainingArguments(output_dir=str(folder / CHECKPOINTS), **how)
    return train_as(module, examples, folder, arguments, *watching, group_size=2, **more)


def unwatched(*_):
    pass


def metrics(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def same_weights(one, other):
    pairs = zip(one.student.parameters(), other.student.parameters(), strict=True)
    return all(torch.equal(ours, theirs) for ours, theirs in pairs)


def checkpoints(folder):
    return sorted(path.name for path in (folder / "checkpoints").iterdir())


class StoppedError(Exception):
    pass


@pytest.mark.parametrize("lora", [False, True], ids=["full", "lora"])
@pytest.mark.parametrize("method", ["kid", "gkd"])
def test_one_that_is_killed_continues_and_ends_in_the_same_weights(
    make_module, examples, tmp_path, method, lora
):
    whole = make_module(method, lora=lora)
    train(whole, examples, tmp_path / "whole", settings(), unwatched)

    def stop_at_five(step, steps, numbers):
        if step == 5:
            raise StoppedError

    (tmp_path / "parts").mkdir()
    with pytest.raises(StoppedError):
        train(make_module(method, lora=lora), examples, tmp_path / "parts", settings(), stop_at_five)
    # a checkpoint that was being written when the run was stopped
    cut_off = tmp_path / "parts/checkpoints/checkpoint-6"
    cut_off.mkdir()
    (cut_off / "model.safetensors").write_bytes(b"\0")
    resumed = make_module(method, lora=lora)
    result = train(resumed, examples, tmp_path / "parts", settings(), unwatched)
    assert result.steps == 8
    assert same_weights(resumed, whole)
    assert [len(metrics(tmp_path / name)) for name in ("whole", "parts")] == [8, 8]


class Hostile:
    """Unpickling it with nothing forbidden makes a file."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return open, (str(self.file), "w")


@pytest.mark.parametrize("name", ["optimizer.pt", "scheduler.pt", "rng_state.pth"])
def test_no_code_in_a_checkpoint_is_run_though_its_hashes_fit(make_module, examples, tmp_path, name):
    folder, made = tmp_path / "run", tmp_path / "made by code"
    folder.mkdir()
    steps = iter(range(1, 9))
    train(make_module(), examples, folder, settings(), unwatched, lambda: next(steps) == 3)
    checkpoint = folder / "checkpoints/checkpoint-3"
    torch.save({"state": Hostile(made)}, checkpoint / name)
    aside = folder / "checkpoints/aside/checkpoint-3"
    aside.parent.mkdir()
    checkpoint.rename(aside)
    publish(aside, folder / "checkpoints", None)
    with pytest.raises(RunError, match=rf"{checkpoint}: holds what no training has written \(.*remove it"):
        train(make_module(), examples, folder, settings(), unwatched)
    assert not made.exists()


class TestAskedToStop:
    """After the step that it is at, with a checkpoint of that step."""

    # within an epoch, at its end (4, 8), where a checkpoint is due anyway (4 of epochs, 3 of steps)
    @pytest.mark.parametrize(("save_steps", "at"), [(None, 1), (None, 4), (None, 8), (3, 3), (3, 7)])
    def test_it_loses_no_step(self, make_module, examples, tmp_path, at, save_steps):
        how = settings(save_steps=save_steps, logging_steps=3)
        whole = make_module("kid", model={"attention_dropout": 0.1})
        (tmp_path / "whole").mkdir()
        complete = train(whole, examples, tmp_path / "whole", how, unwatched)
        stopped = make_module("kid", model={"attention_dropout": 0.1})
        folder = tmp_path / "parts"
        folder.mkdir()
        steps = iter(range(1, 9))
        result = train(stopped, examples, folder, how, unwatched, lambda: next(steps) == at)
        assert result.steps == at
        assert checkpoints(folder) == [f"checkpoint-{at}"]
        assert metrics(folder)[-1]["step"] == at  # the steps since the last line are not lost either
        resumed = make_module("kid", model={"attention_dropout": 0.1})
        result = train(resumed, examples, folder, how, unwatched)
        assert result.steps == 8
        assert same_weights(resumed, whole)
        assert metrics(folder)[-1]["step"] == 8
        if at in (3, 8):  # the lines are then of the same steps
            assert result.loss == complete.loss


@pytest.mark.parametrize(("logging_steps", "lines"), [(3, [3, 6, 8]), (100, [8])])
def test_the_last_steps_are_logged_too(make_module, examples, tmp_path, logging_steps, lines):
    losses = {}
    train(
        make_module(), examples, tmp_path / "each", settings(), lambda s, _, n: losses.update({s: n["loss"]})
    )
    result = train(
        make_module(), examples, tmp_path / "few", settings(logging_steps=logging_steps), unwatched
    )
    assert [line["step"] for line in metrics(tmp_path / "few")] == lines
    for before, line in zip([0, *lines], metrics(tmp_path / "few"), strict=False):
        mean = sum(losses[step] for step in range(before + 1, line["step"] + 1)) / (line["step"] - before)
        assert line["loss"] == pytest.approx(mean, rel=1e-6)
    assert result.loss == metrics(tmp_path / "few")[-1]["loss"]


@pytest.mark.parametrize("changes", [{"max_steps": 6, "save_steps": 3}, {"save_steps": None}])
def test_stopped_after_its_last_step_it_takes_no_other(make_module, examples, tmp_path, changes):
    module = make_module()
    complete = train(module, examples, tmp_path, settings(**changes), unwatched)
    again = make_module()
    result = train(again, examples, tmp_path, settings(**changes), unwatched)
    assert (result.steps, result.loss) == (complete.steps, complete.loss)
    assert same_weights(again, module)


def spoiled_at(module, steps, what):
    """Let something of the first part of some steps become no number: a term of the loss, or only its gradient."""
    forward = module.forward
    seen = []

    def spoiled(batch, moment, counts=None):
        loss = forward(batch, moment, counts)
        if moment.step + 1 not in steps or moment.step in seen:
            return loss
        seen.append(moment.step)
        if what == "gradient":  # 0 is added, with a slope of inf * 0
            return loss._replace(total=loss.total + (next(module.student.parameters()).sum() * 0).sqrt())
        return loss._replace(auxiliary=loss.auxiliary * float(what))

    module.forward = spoiled
    return module


def frozen_at(module, steps):
    """What a skipped step must come to: the same draws, and a loss without a slope."""
    forward = module.forward

    def frozen(batch, moment, counts=None):
        loss = forward(batch, moment, counts)
        return loss._replace(total=loss.total * 0) if moment.step + 1 in steps else loss

    module.forward = frozen
    return module


class TestNumbersThatAreNotFinite:
    @pytest.mark.parametrize("max_gradient_norm", [0.0, 1.0])
    @pytest.mark.parametrize(("what", "micro"), [("nan", 4), ("inf", 2), ("gradient", 2)])
    def test_the_step_is_skipped_whole(self, make_module, examples, tmp_path, what, micro, max_gradient_norm):
        how = settings(save_steps=2, micro_batch_size=micro, max_gradient_norm=max_gradient_norm)
        module = spoiled_at(make_module(), [1], what)
        before = [weights.detach().clone() for weights in module.student.parameters()]
        kept, told = {}, []

        def keep(step, *_):
            kept[step] = [weights.detach().clone() for weights in module.student.parameters()]

        result = train(module, examples, tmp_path, how, keep, skipped=told.append)
        assert (result.steps, result.skipped, [skip.step for skip in told]) == (8, 1, [1])
        assert all(map(torch.equal, kept[1], before))
        assert not all(map(torch.equal, kept[2], before))
        first, *others = metrics(tmp_path)
        assert first["loss"] is None
        assert all(line["loss"] > 0 and line["skipped_steps"] == 1 for line in others)
        # the schedule goes on: by the cosine that it is, after a warm-up of one step
        cosine = [0.5e-3 * (1 + math.cos(math.pi * (step - 1) / 7)) for step in range(1, 8)]
        assert [line["learning_rate"] for line in others] == pytest.approx(cosine, rel=1e-6)

    def test_the_optimizer_and_the_schedule_are_those_of_the_steps_that_are_taken(
        self, make_module, examples, tmp_path
    ):
        """Plain gradient descent without a slope takes no step either, which is the independent way to the same weights."""
        how = settings(optim="sgd", learning_rate=0.5, max_grad_norm=0.0, max_gradient_norm=0.0)
        skipping = spoiled_at(make_module(), [2, 5], "nan")
        standing = frozen_at(make_module(), [2, 5])
        train(skipping, examples, tmp_path / "a", how, unwatched)
        train(standing, examples, tmp_path / "b", how, unwatched)
        assert same_weights(skipping, standing)

    def test_the_mean_of_an_interval_is_that_of_its_steps_that_are_taken(
        self, make_module, examples, tmp_path
    ):
        losses = {}
        each = spoiled_at(make_module(), [2], "nan")
        train(each, examples, tmp_path / "each", settings(), lambda s, _, n: losses.update({s: n["loss"]}))
        few = spoiled_at(make_module(), [2], "nan")
        train(few, examples, tmp_path / "few", settings(logging_steps=3), unwatched)
        first, second, _ = metrics(tmp_path / "few")
        assert first["loss"] == pytest.approx((losses[1] + losses[3]) / 2, rel=1e-6)
        assert second["loss"] == pytest.approx((losses[4] + losses[5] + losses[6]) / 3, rel=1e-6)

    @pytest.mark.parametrize("micro", [4, 2])
    @pytest.mark.parametrize("what", ["nan", "gradient"])
    def test_several_in_a_row_end_it_although_no_line_is_due(
        self, make_module, examples, tmp_path, what, micro
    ):
        module = spoiled_at(make_module(), [1, 5, 6, 7], what)
        how = settings(logging_steps=100, save_steps=2, micro_batch_size=micro)
        with pytest.raises(DivergedError) as caught:
            train(module, examples, tmp_path, how, unwatched, nonfinite_steps=3)
        first, *steps = str(caught.value).split("\n")
        assert first == "3 steps in a row were not finite"
        assert [line.split(":")[0] for line in steps] == ["step 5", "step 6", "step 7"]
        assert checkpoints(tmp_path) == ["checkpoint-6"]
        assert all(bool(weights.isfinite().all()) for weights in module.student.parameters())

    def test_one_that_is_killed_among_them_counts_on(self, make_module, examples, tmp_path):
        bad = [3, 4, 6, 7, 8]

        def outcome(folder, watch, **more):
            module = spoiled_at(make_module(), bad, "nan")
            return train(module, examples, folder, settings(save_steps=1), watch, **more)

        def stop_at_seven(step, *_):
            if step == 7:
                raise StoppedError

        (tmp_path / "parts").mkdir()
        with pytest.raises(StoppedError):
            outcome(tmp_path / "parts", stop_at_seven)
        with pytest.raises(DivergedError) as resumed:
            outcome(tmp_path / "parts", unwatched)
        with pytest.raises(DivergedError) as whole:
            outcome(tmp_path / "whole", unwatched)
        assert str(resumed.value) == str(whole.value)
        assert "step 6: " in str(whole.value)
        # and where more are allowed, its count of all is that of one start
        assert outcome(tmp_path / "parts", unwatched, nonfinite_steps=4).skipped == 5

    def test_what_follows_the_weights_and_what_a_method_keeps_stay_too(self, make_module, examples, tmp_path):
        """A method adapts to each step that is taken, and to no other."""
        taken = []
        hooks = dict.fromkeys(hook.__name__ for hook in HOOKS)
        hooks["aux_loss"] = lambda step: step.student.cross_entropy(step.target)
        hooks["after_step"] = lambda step, losses: taken.append((len(step.examples), losses.total))
        module = spoiled_at(make_module(keeping(**hooks)), [2, 3], "nan")
        train(module, examples, tmp_path, settings(micro_batch_size=2), unwatched)
        assert [rows for rows, _ in taken] == [4, 2, 4, 4, 4, 2]  # two steps of four are missing
        assert all(math.isfinite(total) for _, total in taken)


def test_several_gpus_and_no_launcher_give_the_training_of_one(make_module, examples, tmp_path, monkeypatch):
    """Without a launcher the Trainer would take as many times more rows, and let each GPU run all of them."""
    one = make_module("kid")
    expected = train(one, examples, tmp_path / "one", settings(), unwatched)
    set_up = TrainingArguments.__post_init__

    def with_three_gpus(self):
        set_up(self)
        self._n_gpu = 3

    monkeypatch.setattr(TrainingArguments, "__post_init__", with_three_gpus)
    several = make_module("kid")
    result = train(several, examples, tmp_path / "several", settings(), unwatched)
    assert result.steps == expected.steps
    assert result.loss == expected.loss
    assert same_weights(several, one)


class TestAdaptersOnWeightsInBfloat16:
    @pytest.fixture
    def make_student(self, make_model):
        def make():
            config = LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM")
            return get_peft_model(make_model("llama", seed=1).bfloat16(), config)

        return make

    def adapters(self, student):
        return {n: p for n, p in student.named_parameters() if p.requires_grad}

    def test_are_float32_from_the_first_step_to_the_saved_file(
        self, make_module, make_student, examples, tmp_path
    ):
        torch.manual_seed(0)
        module = make_module(student=make_student())
        before = {n: p.detach().clone() for n, p in self.adapters(module.student).items()}
        train(module, examples, tmp_path, settings(learning_rate=1e-5), unwatched)
        after = self.adapters(module.student)
        assert {p.dtype for p in after.values()} == {torch.float32}
        changed = torch.cat([(after[n] - before[n]).flatten() for n in after])
        # Adam moves by at most the learning rate; bfloat16 has no numbers that close to most weights
        assert 0 < changed.abs().max() < 1e-4
        saved = load_file(tmp_path / "checkpoints/checkpoint-8/adapter_model.safetensors")
        assert {tensor.dtype for tensor in saved.values()} == {torch.float32}
        by_name = {n.replace(".default", ""): p for n, p in after.items()}
        assert saved.keys() == by_name.keys()
        assert all(torch.equal(saved[n], by_name[n]) for n in saved)

    def test_stay_so_where_a_training_continues(self, make_module, make_student, examples, tmp_path):
        def module():
            torch.manual_seed(0)
            return make_module(student=make_student())

        whole, resumed = module(), module()
        train(whole, examples, tmp_path / "whole", settings(learning_rate=1e-5), unwatched)
        steps = iter(range(1, 9))
        (tmp_path / "parts").mkdir()
        how = settings(learning_rate=1e-5)
        train(module(), examples, tmp_path / "parts", how, unwatched, lambda: next(steps) == 3)
        train(resumed, examples, tmp_path / "parts", how, unwatched)
        assert {p.dtype for p in self.adapters(resumed.student).values()} == {torch.float32}
        assert same_weights(resumed, whole)
