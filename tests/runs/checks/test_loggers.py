"""Loggers that cannot be used are told before a run writes anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from transformers import TrainerCallback
from transformers.integrations import integration_utils

Check = Any  # of conftest.py


class TestLoggers:
    @pytest.fixture
    def known(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, type], None]:
        def known(name: str, callback: type) -> None:
            monkeypatch.setitem(integration_utils.INTEGRATION_TO_CALLBACK, name, callback)

        return known

    def test_one_that_is_installed(self, check: Check, known: Callable[[str, type], None]) -> None:
        known("notebook", TrainerCallback)
        check("sft", overrides=('training.loggers=["notebook"]',))

    def test_one_that_is_not(self, check: Check, known: Callable[[str, type], None]) -> None:
        class Missing(TrainerCallback):  # type: ignore[misc]
            def __init__(self) -> None:
                raise RuntimeError("requires notebook to be installed")

        known("notebook", Missing)
        message = check.refused("sft", overrides=('sft.loggers=["notebook"]',))
        assert (
            message
            == '--set sft.loggers=["notebook"]: the logger "notebook" cannot be used: requires notebook to be installed'
        )

    def test_one_that_does_not_exist(self, check: Check) -> None:
        message = check.refused("sft", overrides=('training.loggers=["qqqq"]',))
        assert message.startswith('--set training.loggers=["qqqq"]: no logger is called "qqqq"; there are: ')
        assert "tensorboard" in message
