"""A method says by its hooks what the core has to do for it."""

from keeping_method import keeping
from tiny_training import BEGINNING, make_examples

from kdzoo import divergences
from kdzoo.engine.prompts.batches import make_batch
from kdzoo.engine.training.chosen_method import choose_method
from kdzoo.methods import registry


def test_what_the_hooks_are_tells_what_is_to_be_called():
    method = keeping()
    assert (method.has_divergence, method.compares, method.makes_sequences) == (True, True, True)
    assert method.prepares
    assert method.adapts
    sft = choose_method("sft", registry.find("sft").method.options())
    assert not any((sft.has_divergence, sft.compares, sft.makes_sequences, sft.prepares, sft.adapts))


def test_the_teacher_is_not_run_for_a_divergence_that_does_not_ask_for_it(make_module):
    def divergence(student_logits, tokens):
        return -student_logits.log_softmax(-1).gather(1, tokens.ids[:, None])[:, 0]

    method = keeping(
        divergence=divergence,
        setup=None,
        prepare=None,
        make_training_sequence=None,
        aux_loss=None,
        after_step=None,
    )
    assert not method.compares
    module, sft = make_module(method), make_module("sft")
    teacher = module.models.underlying("teacher")
    teacher.forward = None  # to call it is an error
    batch = make_batch(make_examples(6), share_beginnings=True)
    assert abs(module(batch, BEGINNING).total - sft(batch, BEGINNING).total) < 1e-5


def test_a_divergence_may_ask_for_the_teacher_alone(make_module):
    method = keeping(
        divergence=lambda student_logits, teacher_logits: divergences.forward_kl(
            student_logits, teacher_logits
        ),
        aux_loss=None,
    )
    assert method.compares
