"""A training that is interrupted to score its student goes on as if it had not been."""

import json
import random
import time

import numpy
import pytest
import torch
from tiny_training import make_examples
from transformers import TrainerCallback, TrainingArguments

from kdzoo.engine.measure.generation import generate_all
from kdzoo.engine.prompts.sampling import SamplingLimits
from kdzoo.engine.training.checkpoints import CHECKPOINTS
from kdzoo.engine.training.scoring import apart_from_training
from kdzoo.engine.training.train import train as train_as
from kdzoo.methods.sequences import Source

DROPOUT = {"attention_dropout": 0.1}


class EverySecond:
    """Scores after every second step and the last: generates, draws from all random generators, changes modes."""

    def __init__(self, module, *, seconds=0.0):
        self.module = module
        self.seconds = seconds
        self.scored = {}
        self.grads_held = self.was_training = False

    def continue_after(self, step):
        self.scored = {done: score for done, score in self.scored.items() if done <= step}

    def is_due(self, step, last):
        return step not in self.scored and (step % 2 == 0 or step == last)

    def score(self, step, should_stop):
        student = self.module.student
        self.was_training |= any(module.training for module in student.modules()) or torch.is_grad_enabled()
        self.grads_held |= any(weights.grad is not None for weights in student.parameters())
        said = dict(
            generate_all(
                student, make_examples(3), SamplingLimits(6, (2,)), source=Source.STUDENT, batch_size=2
            )
        )
        random.random(), numpy.random.rand(), torch.rand(1)
        time.sleep(self.seconds)
        if should_stop():
            return None
        self.scored[step] = said
        return {"score/some/length": float(sum(map(len, said.values())))}


def train(module, folder, scorer=None, should_stop=lambda: False, watch=lambda *_: None, **changes):
    how = {
        "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 2,
        "max_steps": 7,
        "learning_rate": 1e-3,
        "seed": 0,
        "logging_steps": 1,
        "save_strategy": "steps",
        "save_steps": 3,
        "save_total_limit": 1,
        "report_to": "none",
        **changes,
    }
    folder.mkdir(exist_ok=True)
    arguments = TrainingArguments(output_dir=str(folder / CHECKPOINTS), **how)
    return train_as(module, make_examples(12), folder, arguments, watch, should_stop, scorer=scorer)


def steps_of(folder):
    """What was logged of each step, but for its speed."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "tokens_per_second"} for line in lines]


def same_weights(one, other):
    pairs = zip(one.student.parameters(), other.student.parameters(), strict=True)
    return all(torch.equal(ours, theirs) for ours, theirs in pairs)


@pytest.mark.parametrize("lora", [False, True], ids=["full", "lora"])
@pytest.mark.parametrize("method", ["sft", "gkd"])
def test_weights_and_lines_are_the_same_bit_for_bit(make_module, tmp_path, method, lora):
    plain = make_module(method, lora=lora, model=DROPOUT)
    train(plain, tmp_path / "plain")
    scored = make_module(method, lora=lora, model=DROPOUT)
    scorer = EverySecond(scored)
    train(scored, tmp_path / "scored", scorer)
    assert list(scorer.scored) == [2, 4, 6, 7]
    assert not scorer.was_training
    assert not scorer.grads_held
    assert same_weights(scored, plain)
    assert steps_of(tmp_path / "scored") == steps_of(tmp_path / "plain")


def test_what_is_logged_and_scored_at_once_is_logged_twice_over(make_module, tmp_path, monkeypatch):
    """transformers takes whatever is logged at a step for the step's own line."""
    seen = []

    class Logger(TrainerCallback):
        def on_log(self, args, state, control, logs=None, **_):
            seen.append((state.global_step, "loss" in logs, logs.get("score/some/length")))

    from kdzoo.engine.training import train as module_of_train

    made = module_of_train.KDTrainer

    def with_logger(*args, callbacks, **named):
        return made(*args, callbacks=[*callbacks, Logger()], **named)

    monkeypatch.setattr(module_of_train, "KDTrainer", with_logger)
    module = make_module()
    scorer = EverySecond(module)
    train(module, tmp_path, scorer, max_steps=4, logging_steps=2)
    lengths = {step: float(sum(map(len, said.values()))) for step, said in scorer.scored.items()}
    assert seen[:4] == [(2, False, lengths[2]), (2, True, None), (4, False, lengths[4]), (4, True, None)]


@pytest.mark.parametrize("at", [2, 3, 4, 5, 6, 7])
def test_a_score_that_a_stop_came_before_is_made_good(make_module, tmp_path, at):
    whole = make_module("kid", model=DROPOUT)
    reference = EverySecond(whole)
    train(whole, tmp_path / "whole", reference)
    stopped = make_module("kid", model=DROPOUT)
    scorer = EverySecond(stopped)
    steps = iter(range(1, 20))
    assert train(stopped, tmp_path / "parts", scorer, lambda: next(steps) >= at).steps <= at
    before = scorer.scored
    resumed = make_module("kid", model=DROPOUT)
    scorer = EverySecond(resumed)
    scorer.scored = before
    train(resumed, tmp_path / "parts", scorer)
    assert scorer.scored == reference.scored
    assert sorted(scorer.scored) == [2, 4, 6, 7]
    assert same_weights(resumed, whole)
    assert steps_of(tmp_path / "parts") == steps_of(tmp_path / "whole")


def test_a_stop_while_it_is_scored_leaves_a_checkpoint_of_the_step(make_module, tmp_path):
    module = make_module()
    asked = []

    def while_scoring():  # asked at the end of steps 1 and 2, and then in between
        asked.append(1)
        return len(asked) == 3

    scorer = EverySecond(module)
    assert train(module, tmp_path, scorer, while_scoring, logging_steps=100).steps == 2
    assert scorer.scored == {}
    assert [path.name for path in (tmp_path / CHECKPOINTS).iterdir()] == ["checkpoint-2"]
    assert [line["step"] for line in steps_of(tmp_path)] == [2]


def test_its_time_is_no_training_s(make_module, tmp_path):
    module = make_module()
    seconds = 0.5
    begin = time.monotonic()
    speeds = []
    trained = train(
        module,
        tmp_path,
        EverySecond(module, seconds=seconds),
        watch=lambda step, _, numbers: speeds.append(numbers["tokens_seen"] / numbers["tokens_per_second"]),
    )
    in_all = time.monotonic() - begin
    assert in_all > 4 * seconds
    # what the speed was computed from: the seconds of training alone
    assert speeds[-1] < in_all - 4 * seconds
    assert 0 < trained.step_seconds < seconds
    assert len((tmp_path / "step_seconds").read_text().split()) == 7


def test_modes_and_random_generators_are_put_back(make_model):
    model = make_model("llama")
    model.train()
    model.model.layers[0].eval()
    modes = [module.training for module in model.modules()]
    random.seed(1), numpy.random.seed(1), torch.manual_seed(1)
    expected = (random.random(), numpy.random.rand(), torch.rand(1))
    random.seed(1), numpy.random.seed(1), torch.manual_seed(1)

    def use():
        with apart_from_training(model):
            assert not any(module.training for module in model.modules())
            assert not torch.is_grad_enabled()
            model.eval()
            random.random(), numpy.random.rand(), torch.rand(1)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        use()
    assert [module.training for module in model.modules()] == modes
    assert (random.random(), numpy.random.rand(), torch.rand(1)) == expected
