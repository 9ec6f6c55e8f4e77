"""How a run tells where it is: a live line on a terminal, few plain lines elsewhere, nothing when quiet."""

from __future__ import annotations

import re
from io import StringIO

import pytest
from rich.console import Console

from kdzoo.report import progress
from kdzoo.report.progress import Reporter


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def plain(*, quiet: bool = False) -> tuple[Reporter, StringIO]:
    output = StringIO()
    return Reporter(Console(file=output, width=80), quiet=quiet), output


def terminal(*, quiet: bool = False) -> tuple[Reporter, StringIO]:
    output = StringIO()
    console = Console(file=output, width=120, force_terminal=True, legacy_windows=False)
    return Reporter(console, quiet=quiet), output


class TestPlainLines:
    def test_a_stage_begins_with_a_line_and_tells_no_more_for_a_while(self, clock: Clock) -> None:
        reporter, output = plain()
        reporter.start("kid", 100)
        for step in range(1, 14):
            clock.now += 1
            reporter.advance(step, "loss 1.0000")
        assert output.getvalue() == "kid: 0/100\n"

    def test_then_a_line_from_time_to_time_with_the_time_left(self, clock: Clock) -> None:
        reporter, output = plain()
        reporter.start("kid", 100)
        clock.now += 2  # until the first step is done, much is prepared
        reporter.advance(1, "loss 3.0000")
        for step in range(2, 41):
            clock.now += 0.5
            reporter.advance(step, f"loss {step}.0000  70 tokens/s")
        lines = output.getvalue().splitlines()
        # after 15 seconds 27 steps are done, 26 of them since the first: 73 more take 36.5 seconds
        assert lines[1:] == ["kid: 27/100  loss 27.0000  70 tokens/s  36 s left"]

    def test_a_first_step_that_took_long_is_told_without_a_guess(self, clock: Clock) -> None:
        reporter, output = plain()
        reporter.start("kid", 100)
        clock.now += 60
        reporter.advance(1, "loss 3.0000")
        assert output.getvalue().splitlines()[1:] == ["kid: 1/100  loss 3.0000"]

    def test_steps_of_an_earlier_start_do_not_count_as_fast(self, clock: Clock) -> None:
        reporter, output = plain()
        reporter.start("kid", 100)
        clock.now += 1
        reporter.advance(61)
        clock.now += 20
        reporter.advance(71)
        assert output.getvalue().splitlines()[1:] == ["kid: 71/100  58 s left"]

    def test_each_part_starts_anew(self, clock: Clock) -> None:
        reporter, output = plain()
        reporter.start("kid: teacher generates", 10)
        reporter.advance(10)
        reporter.start("kid", 20)
        clock.now += 5
        reporter.advance(1)
        clock.now += 15
        reporter.advance(2)
        assert output.getvalue().splitlines() == [
            "kid: teacher generates: 0/10",
            "kid: 0/20",
            "kid: 2/20  270 s left",
        ]

    def test_messages_are_whole_and_as_they_are(self) -> None:
        reporter, output = plain()
        message = "results: runs/[bold]x[/bold]" + 100 * "/long"
        reporter.say(message)
        assert output.getvalue() == message + "\n"

    def test_quiet_tells_nothing(self, clock: Clock) -> None:
        reporter, output = plain(quiet=True)
        reporter.start("kid", 10)
        clock.now += 100
        reporter.advance(5)
        reporter.say("something")
        reporter.stop()
        assert output.getvalue() == ""


class TestTerminal:
    def shown(self, output: StringIO) -> str:
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output.getvalue())

    def test_a_line_shows_steps_loss_and_speed(self) -> None:
        reporter, output = terminal()
        reporter.start("kid", 100)
        reporter.advance(25, "loss 1.2345  700 tokens/s")
        reporter.advance(26, "loss 1.2000  701 tokens/s")
        reporter.stop()
        last = self.shown(output).splitlines()[-1]
        assert last.startswith("kid ")
        assert "26/100 loss 1.2000  701 tokens/s" in last

    def test_the_cursor_comes_back_when_it_stops(self) -> None:
        reporter, output = terminal()
        reporter.start("kid", 100)
        assert output.getvalue().count("\x1b[?25l") == 1
        reporter.stop()
        reporter.stop()
        assert output.getvalue().count("\x1b[?25h") == 1

    def test_quiet_tells_nothing(self) -> None:
        reporter, output = terminal(quiet=True)
        reporter.start("kid", 10)
        reporter.advance(5)
        reporter.stop()
        assert output.getvalue() == ""
