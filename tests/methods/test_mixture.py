"""A mixture calls each hook of the method that it comes from, with that method's options, and refuses what cannot be."""

import types

import pytest
import torch

from kdzoo import Method, Options, Source, StepCost, UserError, divergences, hookimpl
from kdzoo.methods import registry
from kdzoo.methods.mixture import MixedOptions, mix
from kdzoo.testing import RandomBatch


def mixture(method="kid", options=None, **parts):
    """The plugin and its options: each part is a method's name with its options."""
    base = registry.find(method)
    found = {part: registry.find(name) for part, (name, _) in parts.items()}
    own = {part: found[part].method.options(**given) for part, (_, given) in parts.items()}
    return mix(base, found), MixedOptions(parts={"method": base.method.options(**options or {}), **own})


def made(plugin, options, seed=0):
    """A step with its training sequences, the divergence of their tokens, and the auxiliary loss."""
    hooks = registry.hooks_of(plugin)
    step = RandomBatch(seed=seed).step()
    step.training_sequence = hooks.make_training_sequence(step=step, options=options)
    mask = step.training_sequence.mask
    student, teacher = (
        model.logits(step.training_sequence)[mask].detach() for model in (step.student, step.teacher)
    )
    losses = hooks.divergence(
        student_logits=student,
        teacher_logits=teacher,
        other_logits={},
        tokens=step.training_sequence.scored,
        step=step,
        options=options,
    )
    return step, (student, teacher, losses), hooks.aux_loss(step=step, options=options)


def test_each_part_is_that_of_its_method_with_its_options():
    plugin, options = mixture(
        "fkd",
        {"mle_weight": 0.5},
        sequence=("kid", {"alpha": 1.0, "rewrite": "mask_only"}),
        divergence=("gkd", {"divergence": "jsd", "beta": 0.3}),
    )
    step, (student, teacher, losses), auxiliary = made(plugin, options)
    assert set(step.training_sequence.sources.tolist()) == {Source.IMPERFECT}
    masked = step.training_sequence.tokens != step.target.tokens
    inner = step.target.mask & (step.target.tokens != step.tokenizer.eos_token_id)
    assert torch.equal(masked & step.target.mask, inner)  # alpha = 1: all but the ends
    assert torch.equal(losses, divergences.jensen_shannon(student, teacher, 0.3))
    assert float(auxiliary) == pytest.approx(0.5 * float(step.student.cross_entropy(step.target)))


def test_what_is_not_named_is_the_method_s_own():
    plugin, options = mixture("kid", {"kd_weight": 2.0}, sequence=("gkd", {}))
    step, (student, teacher, losses), auxiliary = made(plugin, options)
    assert set(step.training_sequence.sources.tolist()) == {Source.STUDENT}
    assert torch.equal(losses, 2 * divergences.reverse_kl(student, teacher))
    assert auxiliary is not None
    plugin, options = mixture("kid", aux_loss=("gkd", {}))
    assert made(plugin, options)[2] is None


def test_the_core_is_told_what_the_parts_need():
    _, options = mixture("fkd", sequence=("fdistill", {"teacher_decoding": "beam", "teacher_beams": 3}))
    assert options.needs_teacher_target
    assert options.teacher_target_decoding.beams == 3
    assert not options.keeps_target_lengths
    assert mixture("gkd", sequence=("kid", {}))[1].keeps_target_lengths
    assert not mixture("kid", aux_loss=("fkd", {}))[1].scores_target
    assert mixture("fkd", aux_loss=("kid", {}))[1].scores_target


def test_the_divergence_s_teacher_teaches_and_there_is_one_average_and_one_privileged_prompt():
    averaging = {"teacher": "average", "decay": 0.5, "teacher_prompt": "{prompt}!"}
    plugin, options = mixture("sft", divergence=("opsd", averaging))
    assert not plugin.method.uses_teacher
    assert (options.teacher_model, options.teacher_is_privileged) == ("average", True)
    assert (options.average_decay, options.privileged_prompt) == (0.5, "{prompt}!")
    _, options = mixture("opsd", averaging, divergence=("rkd", {}))
    assert (options.teacher_model, options.teacher_is_privileged) == ("teacher", False)
    assert options.average_decay == 0.5
    _, options = mixture("opsd", averaging, divergence=("opsd", {**averaging, "decay": 0.9}))
    with pytest.raises(UserError, match=r"must have the same average_decay, not 0\.[59] and 0\.[59]"):
        options.average_decay  # noqa: B018


def test_it_describes_itself():
    method = mixture("sft", sequence=("kid", {}), divergence=("gkd", {}))[0].method
    assert method.name == "sft with sequence of kid, divergence of gkd"
    assert method.training_data == registry.find("kid").method.training_data
    assert method.divergence == registry.find("gkd").method.divergence
    assert method.uses_teacher
    assert method.options is MixedOptions


def test_options_are_written_whole():
    _, options = mixture("fkd", divergence=("gkd", {"beta": 0.3}))
    written = options.model_dump(mode="json")["parts"]
    assert written["divergence"]["beta"] == 0.3
    assert written["method"]["mle_weight"] == 1.0


def test_a_divergence_that_is_none_is_refused():
    with pytest.raises(UserError, match='"sft" has no divergence'):
        mixture("kid", divergence=("sft", {}))


def test_a_hook_that_needs_what_its_method_keeps_is_refused():
    module = types.ModuleType("keeps")
    module.register_method = hookimpl(lambda: Method("keeps", "-", "-", "-", "-", "-", StepCost()))
    module.setup = hookimpl(lambda: torch.nn.Linear(1, 1))
    module.divergence = hookimpl(lambda student_logits, step: step.state(student_logits))
    keeps = registry.plugin_of(module)
    with pytest.raises(UserError, match=r'"keeps" prepares or keeps what its hooks need \(setup\)'):
        mix(registry.find("kid"), {"divergence": keeps})
    # as the method itself it keeps what it keeps
    plugin = mix(keeps, {"sequence": registry.find("gkd")})
    state = registry.hooks_of(plugin).setup(context=None, options=MixedOptions(parts={"method": Options()}))
    assert isinstance(state, torch.nn.Linear)
