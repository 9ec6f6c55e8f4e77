"""What a method does of which it says nothing: it scores the ground truth, and adds nothing."""

import types

import pluggy
import pytest

from kdzoo import hookimpl
from kdzoo.methods import defaults, hookspecs


@pytest.fixture
def manager():
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(defaults)
    manager.check_pending()
    return manager


def test_the_ground_truth_is_scored_as_it_is(manager):
    step = types.SimpleNamespace(target=object())
    assert manager.hook.make_training_sequence(step=step, options=None) is step.target


def test_no_auxiliary_loss_is_added(manager):
    assert manager.hook.aux_loss(step=None, options=None) is None


def test_there_is_no_default_divergence_and_no_default_method(manager):
    assert manager.hook.divergence.get_hookimpls() == []
    assert manager.hook.register_method.get_hookimpls() == []


def test_a_method_s_own_stand_over_them(manager):
    mine = types.ModuleType("mine")
    mine.aux_loss = hookimpl(lambda options: options + 1)
    manager.register(mine)
    assert manager.hook.aux_loss(step=None, options=1) == 2
    assert manager.hook.make_training_sequence(step=types.SimpleNamespace(target="y"), options=1) == "y"


def test_a_method_s_own_none_is_as_if_it_had_none(manager):
    mine = types.ModuleType("mine")
    mine.aux_loss = hookimpl(lambda: None)
    manager.register(mine)
    assert manager.hook.aux_loss(step=None, options=None) is None
