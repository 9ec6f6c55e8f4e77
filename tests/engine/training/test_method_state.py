"""What a method keeps is made from the seed, trained with the student, and goes on after a checkpoint as if never stopped."""

import random

import numpy
import pytest
import torch
from keeping_method import HOOKS, keeping
from tiny_training import BEGINNING, make_examples, with_prepared
from transformers import TrainingArguments

from kdzoo.engine.prompts.batches import make_batch
from kdzoo.engine.training import saving_trainer
from kdzoo.engine.training.checkpoints import CHECKPOINTS
from kdzoo.engine.training.method_state import load_state, make_state, save_state
from kdzoo.engine.training.train import train
from kdzoo.errors import RunError

ALONE = {hook.__name__: None for hook in HOOKS if hook.__name__ not in ("setup", "aux_loss")}


def contents(module):
    state = module.method_state
    return [*(value.clone() for value in state.parameters()), state.mean.clone()], state.last


def generators():
    return torch.get_rng_state().tolist(), random.getstate(), numpy.random.get_state()[1].tolist()


def test_it_is_made_from_the_seed_alone_and_global_generators_are_left_alone(make_module):
    one = make_module(keeping())
    torch.rand(3)
    other = make_module(keeping())
    assert all(torch.equal(a, b) for a, b in zip(contents(one)[0], contents(other)[0], strict=True))
    drawn = []

    def setup():
        drawn.append((random.random(), float(numpy.random.rand()), float(torch.rand(1))))

    before = generators()
    for seed in (3, 3, 4):
        make_state(keeping(setup=setup), None, seed)
    assert generators() == before
    assert drawn[0] == drawn[1] != drawn[2]


def test_something_else_than_a_module_is_named(make_module):
    with pytest.raises(
        RunError, match=r"setup of method 'keeping' must give a torch\.nn\.Module or None, not list"
    ):
        make_module(keeping(setup=lambda: [1]))


def test_a_method_that_keeps_nothing_says_so_when_it_asks_for_it(make_module):
    module = make_module(keeping(**{**ALONE, "setup": None}, aux_loss=lambda step: step.state))
    with pytest.raises(RunError, match=r"uses step\.state, but it has no hook setup"):
        module(make_batch(make_examples(3), share_beginnings=True), BEGINNING)


def trained(make, folder, stops, *, micro=4, steps=5):
    """The module after a training of so many steps that was stopped after each of ``stops``, and its student's weights."""
    arguments = TrainingArguments(
        str(folder / CHECKPOINTS),
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=4 // micro,
        max_steps=steps,
        learning_rate=1e-2,
        seed=0,
        save_strategy="no",
        report_to="none",
        use_cpu=True,
    )
    for stop in (*stops, None):
        module = make()
        examples = with_prepared(module, make_examples(14))
        asked = iter(range(1, steps + 1))
        train(
            module,
            examples,
            folder,
            arguments,
            lambda *_: None,
            lambda asked=asked, stop=stop: next(asked) == stop,
        )
    return module, torch.cat([weights.detach().flatten() for weights in module.student.parameters()])


@pytest.mark.parametrize("micro", [4, 2])
def test_stopped_and_continued_it_ends_as_if_it_had_not_been(make_module, tmp_path, micro):
    """Trained parameters, buffers, and what stands beside them, with the student's weights."""
    results = []
    for name, stops in (("whole", ()), ("parts", (1, 2))):
        module, weights = trained(
            lambda: make_module(keeping(), steps=5), tmp_path / name, stops, micro=micro
        )
        results.append((contents(module), weights))
    (whole, weights), (parts, continued) = results
    assert all(torch.equal(a, b) for a, b in zip(whole[0], parts[0], strict=True))
    assert whole[1] == parts[1]
    assert torch.equal(weights, continued)
    fresh, nothing = contents(make_module(keeping()))
    assert not any(torch.equal(a, b) for a, b in zip(fresh, whole[0], strict=True))
    assert nothing != whole[1]


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("taid", {"alpha": 0.5, "beta": 0.5, "t_start": 0.1}),
        ("distillm", {"init_threshold": 1.0}),
        ("distillm2", {}),
    ],
    ids=["taid", "distillm", "distillm2"],
)
def test_built_in_methods_train_on_with_what_they_have_kept(
    make_module, tmp_path, monkeypatch, method, options
):
    """The same weights as without a stop, and others if what was kept is lost."""
    make = lambda: make_module(method, **options)  # noqa: E731
    _, whole = trained(make, tmp_path / "whole", (), steps=6)
    _, continued = trained(make, tmp_path / "continued", (4,), steps=6)
    assert torch.equal(whole, continued)
    monkeypatch.setattr(saving_trainer, "load_state", lambda *_: None)
    _, forgetful = trained(make, tmp_path / "forgetful", (4,), steps=6)
    assert not torch.equal(whole, forgetful)


def test_a_projection_is_trained_and_continues_with_the_student(make_module, tmp_path):
    """Of a method that compares hidden states of two sizes."""
    narrow = {"hidden_size": 16, "intermediate_size": 32}
    make = lambda: make_module("hidden", model=narrow, layers=[1, -1], teacher_layers=[0, -1])  # noqa: E731
    whole, weights = trained(make, tmp_path / "whole", ())
    parts, continued = trained(make, tmp_path / "parts", (2, 1))
    assert whole.method_state.weight.shape == (32, 16)
    assert torch.equal(whole.method_state.weight, parts.method_state.weight)
    assert not torch.equal(whole.method_state.weight, make().method_state.weight)
    assert torch.equal(weights, continued)


def test_a_checkpoint_without_it_is_named(make_module, tmp_path):
    state = make_module(keeping()).method_state
    with pytest.raises(RunError, match=r"method_state\.pt: what the method keeps cannot be read"):
        load_state(state, tmp_path)
    (tmp_path / "method_state.pt").write_bytes(b"cut off")
    with pytest.raises(RunError, match=r"method_state\.pt: what the method keeps cannot be read"):
        load_state(state, tmp_path)


def test_it_is_written_and_read(make_module, tmp_path):
    state, other = (make_module(keeping()).method_state for _ in range(2))
    state.mean.fill_(3.0)
    state.last = [1, 2]
    save_state(state, tmp_path)
    load_state(other, tmp_path)
    assert (float(other.mean), other.last) == (3.0, [1, 2])
    save_state(None, tmp_path / "nowhere")
