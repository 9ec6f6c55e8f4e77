"""The time of a step: what is done between two steps is no part of it, and earlier starts count."""

import time

import pytest
import torch

from kdzoo.engine.training.step_times import StepTimes, clock_of


def times_of(path, *steps):
    """Measure steps that begin and end at these times, and keep them."""
    moments = iter([moment for step in steps for moment in step])
    times = StepTimes(path, clock=lambda: next(moments))
    for _ in steps:
        times.begin()
        times.end()
    times.keep()
    return times


def test_the_median_is_of_steps_alone(tmp_path):
    # between the second and the third, a checkpoint of 100 seconds
    assert times_of(tmp_path / "s", (0, 2), (2, 3), (103, 107)).median() == 2


def test_those_of_earlier_starts_count_although_one_was_cut_off(tmp_path):
    path = tmp_path / "s"
    times_of(path, (0, 10), (10, 20))
    with path.open("a") as file:
        file.write("\n9.0e")
    assert times_of(path, (0, 2), (2, 4), (4, 6)).median() == 2
    assert times_of(path, (0, 10), (10, 20)).median() == 10


def test_each_is_written_once_and_none_without_an_end(tmp_path):
    times = times_of(tmp_path / "s", (0, 1), (1, 2))
    times.keep()
    times.end()
    times.keep()
    assert sorted(float(line) for line in (tmp_path / "s").read_text().split()) == [1, 1]


def test_none_is_known_where_no_step_was_taken(tmp_path):
    assert StepTimes(tmp_path / "s").median() is None


@pytest.mark.parametrize("text", ["", "\n\n", "x\n"])
def test_a_file_without_numbers_says_nothing(tmp_path, text):
    (tmp_path / "s").write_text(text)
    assert StepTimes(tmp_path / "s").median() is None


def test_a_gpu_s_steps_end_when_it_has_done_what_it_was_given(monkeypatch):
    waited = []
    monkeypatch.setattr(
        torch.cuda, "synchronize", lambda device: waited.append((device, time.perf_counter()))
    )
    gpu = torch.device("cuda", 0)
    told = clock_of(gpu)()
    ((device, moment),) = waited
    assert (device, told >= moment) == (gpu, True)
    assert clock_of(torch.device("cpu")) is time.perf_counter
