"""An optimizer step in parts: the loss and gradients of the whole, and no prompt read twice for nothing."""

import types
from dataclasses import replace

import pytest
import torch
from keeping_method import keeping
from tiny_training import METHODS, NAMES, gradients_of, make_examples, with_prepared
from transformers import TrainingArguments

from kdzoo import hookimpl
from kdzoo.engine.prompts.batches import EncodedExamples, make_batch
from kdzoo.engine.prompts.prefix_cached import PrefixCachedForward
from kdzoo.engine.training.trainer import KDTrainer
from kdzoo.methods import registry


def arguments(folder, micro):
    """One optimizer step of 16 examples in parts of so many, which changes no weight."""
    return TrainingArguments(
        str(folder / str(micro)),
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=16 // micro,
        max_steps=1,
        learning_rate=0.0,
        max_grad_norm=0.0,
        save_strategy="no",
        report_to="none",
        logging_steps=1,
        disable_tqdm=True,
        remove_unused_columns=False,
        use_cpu=True,
    )


def assert_parts_are_the_whole(make, folder, monkeypatch):
    """One step of 16 examples at once, and in parts of 4."""
    results = []
    for micro in (16, 4):
        module = make()
        examples = EncodedExamples(with_prepared(module, make_examples(16)))
        trainer = KDTrainer(module, examples, arguments(folder, micro))
        seen = {}
        monkeypatch.setattr(
            torch.optim.AdamW,
            "step",
            lambda self, *_, module=module, seen=seen: seen.update(g=gradients_of(module)),
        )
        trainer.train()
        loss = next(entry["loss"] for entry in trainer.state.log_history if "loss" in entry)
        results.append((loss, seen["g"]))
    (whole, whole_gradients), (parts, part_gradients) = results
    assert parts == pytest.approx(whole, rel=1e-5)
    assert (part_gradients - whole_gradients).norm() <= 1e-5 * whole_gradients.norm()


@pytest.mark.parametrize(("method", "options"), METHODS, ids=NAMES)
def test_a_batch_in_parts_gives_the_loss_and_gradients_of_the_whole(
    make_module, method, options, tmp_path, monkeypatch
):
    make = lambda: make_module(method, **options)  # noqa: E731
    assert_parts_are_the_whole(make, tmp_path, monkeypatch)


@pytest.mark.parametrize("draws_before", [0, 1, 3])
def test_a_loss_draws_on_where_the_sequences_have_stopped(make_module, tmp_path, monkeypatch, draws_before):
    """Random numbers of both hooks: a batch in parts makes its sequences ahead, in a pass of their own."""

    def make_training_sequence(step):
        for _ in range(draws_before):
            step.generator.per_row(2)
        return step.target

    def aux_loss(step):
        drawn = step.generator.per_row(1).expand(step.target.tokens.shape)[step.target.mask]
        log_q = step.student.logits(step.target)[step.target.mask].log_softmax(-1)
        nll = -log_q.gather(1, step.target.tokens[step.target.mask][:, None])[:, 0]
        return (nll * drawn).sum() / len(drawn)

    def make():
        module = make_module("sft")
        plugin = types.ModuleType("random_loss")
        plugin.register_method = hookimpl(lambda: registry.find("sft").method)
        plugin.make_training_sequence = hookimpl(make_training_sequence)
        plugin.aux_loss = hookimpl(aux_loss)
        hooks = registry.hooks_of(registry.plugin_of(plugin))
        module.method = replace(module.method, hooks=hooks, makes_sequences=True)
        return module

    assert_parts_are_the_whole(make, tmp_path, monkeypatch)


def test_a_method_with_every_hook_does_not_notice_the_parts(make_module, tmp_path, monkeypatch):
    """Its values of tokens, its sum over scored tokens, what it prepares, trains and adapts."""
    results = []
    for micro in (16, 4):
        module, examples = make_module(keeping()), make_examples(16)
        prepared = module.prepare(make_batch(examples, share_beginnings=False))["likely"]
        examples = [replace(e, prepared={"likely": row}) for e, row in zip(examples, prepared, strict=True)]
        trainer = KDTrainer(module, EncodedExamples(examples), arguments(tmp_path, micro))
        state, seen = module.method_state, {}

        def look(self, *_, module=module, state=state, seen=seen):
            seen["student"] = gradients_of(module)
            seen["kept"] = torch.cat([p.grad.flatten() for p in state.parameters()])

        monkeypatch.setattr(torch.optim.AdamW, "step", look)
        trainer.train()
        assert state.last == []  # nobody calls back: the training's loop does
        trainer.after_optimizer_step()
        results.append((seen, float(state.mean), state.last))
    (whole, mean, last), (parts, mean_of_parts, last_of_parts) = results
    for name, gradients in whole.items():
        assert gradients.norm() > 0
        assert (parts[name] - gradients).norm() <= 1e-5 * gradients.norm()
    assert mean_of_parts == pytest.approx(mean, rel=1e-5)
    assert last_of_parts == last == list(range(16))


def test_a_part_s_prompts_are_read_once_where_lengths_are_known(make_module, tmp_path, monkeypatch):
    """With gradients or without; a method that generates reads the student's once more, to know its lengths."""
    reads = []
    read = PrefixCachedForward._read
    monkeypatch.setattr(
        PrefixCachedForward, "_read", lambda self: (reads.append(self._parts.model), read(self))[1]
    )
    for method, student in (("sft", 1), ("rkd", 1), ("kid", 1), ("gkd", 2)):
        module = make_module(method)
        reads.clear()  # how it is to be run was found out by reading too
        KDTrainer(module, EncodedExamples(make_examples(16)), arguments(tmp_path, 4)).train()
        of_student = sum(model is module.student for model in reads)
        assert of_student == 4 * student
        assert len(reads) - of_student == (0 if method == "sft" else 4)
