"""A process that takes more CPU time than it was given dies of a signal that says what it was doing."""

import signal
import subprocess
import sys
import textwrap

import pytest

from kdzoo.tasks.sql.timers import GOLD_SIGNALS, PREDICTION_SIGNALS, gold_timer, prediction_timer

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no interval timers")


def ends(code):
    """The exit status of a process that runs this code; a negative one is a signal."""
    code = "from kdzoo.tasks.sql.timers import gold_timer, prediction_timer\n" + textwrap.dedent(code)
    return subprocess.run([sys.executable, "-c", code], check=False).returncode


@pytest.mark.parametrize(
    ("timer", "signals"), [("gold_timer", GOLD_SIGNALS), ("prediction_timer", PREDICTION_SIGNALS)]
)
def test_what_never_ends_is_ended(timer, signals):
    assert -ends(f"with {timer}(0.05):\n    while True: pass") in signals


def test_the_two_can_be_told_apart():
    assert not GOLD_SIGNALS & PREDICTION_SIGNALS


@pytest.mark.parametrize("timer", ["gold_timer", "prediction_timer"])
def test_waiting_takes_no_cpu_time(timer):
    assert ends(f"import time\nwith {timer}(0.2):\n    time.sleep(0.6)") == 0


@pytest.mark.parametrize("timer", ["gold_timer", "prediction_timer"])
def test_nothing_left_is_less_than_no_limit(timer):
    assert ends(f"with {timer}(60) as set_timer:\n    set_timer(0)\n    while True: pass") < 0


@pytest.mark.parametrize(
    ("timer", "which"), [(gold_timer, signal.ITIMER_VIRTUAL), (prediction_timer, signal.ITIMER_PROF)]
)
def test_after_the_block_no_timer_runs_even_if_it_raised(timer, which):
    with pytest.raises(ZeroDivisionError), timer(60):
        raise ZeroDivisionError
    assert signal.getitimer(which) == (0, 0)


@pytest.mark.parametrize(
    ("timer", "which"), [(gold_timer, signal.ITIMER_VIRTUAL), (prediction_timer, signal.ITIMER_PROF)]
)
def test_the_block_may_set_it_anew(timer, which):
    with timer(60) as set_timer:
        assert 50 < signal.getitimer(which)[0] < 70
        set_timer(5000)
        assert 4900 < signal.getitimer(which)[0] < 5100
