"""Signals end a block at once, or where that is deferred, when it is ready; a second one at once."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress

import pytest

from kdzoo.runs.interruption import Interrupted, Interruption

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP]


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Keep this process's own terminal, and note where it would have been let go."""
    let_go: list[int] = []
    monkeypatch.setattr("kdzoo.runs.interruption._let_go_of_the_terminal", lambda: let_go.append(1))
    return let_go


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", SIGNALS)
class TestAnySignal:
    def test_ends_a_block_where_it_is(self, number: int, terminal: list[int]) -> None:
        with Interruption().handled(), pytest.raises(Interrupted) as caught:
            send(number)
        assert caught.value.exit_code == 128 + number
        assert bool(terminal) is (number == signal.SIGHUP)

    def test_waits_for_the_end_of_a_deferred_one(
        self, number: int, capfd: pytest.CaptureFixture[str]
    ) -> None:
        done = []
        interruption = Interruption()

        def work() -> None:
            with interruption.deferred() as requested:
                assert not requested()
                send(number)
                assert requested()
                done.append("the rest of a step")
            done.append("what comes after it")

        with interruption.handled(), pytest.raises(Interrupted):
            work()
        assert done == ["the rest of a step"]
        assert "once more to end at once" in capfd.readouterr().err

    def test_waits_no_longer_when_it_comes_again(self, number: int) -> None:
        done = []
        interruption = Interruption()

        def work() -> None:
            with interruption.deferred():
                send(signal.SIGTERM)
                done.append("the rest of a step")
                send(number)
                done.append("more of it")

        with interruption.handled(), pytest.raises(Interrupted):
            work()
        assert done == ["the rest of a step"]

    def test_that_was_lost_is_found_before_the_next_step(self, number: int) -> None:
        done = []
        interruption = Interruption()

        def work() -> None:
            with suppress(KeyboardInterrupt):  # as some libraries' threads and callbacks do
                send(number)
            with interruption.deferred():
                done.append("a step")

        with interruption.handled(), pytest.raises(Interrupted):
            work()
        assert done == []

    def test_is_left_as_it_was_afterwards(self, number: int) -> None:
        before = signal.getsignal(number)
        with Interruption().handled():
            assert signal.getsignal(number) != before
        assert signal.getsignal(number) == before

    def test_that_is_ignored_stays_ignored(self, number: int) -> None:
        before = signal.signal(number, signal.SIG_IGN)
        try:
            with Interruption().handled():
                send(number)
        finally:
            signal.signal(number, before)


def test_a_failure_of_a_deferred_block_is_what_is_told() -> None:
    interruption = Interruption()

    def work() -> None:
        with interruption.deferred():
            send(signal.SIGTERM)
            raise ValueError("failed")

    with interruption.handled(), pytest.raises(ValueError, match="failed"):
        work()


def test_a_thread_of_its_own_runs_without_taking_signals_over() -> None:
    done: list[object] = []

    def work() -> None:
        with Interruption().handled():
            done.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [before]
