"""What a training logs: lines of JSON that a continued training goes on writing."""

import json
import math
from types import SimpleNamespace

import pytest

from kdzoo.engine.training.recorder import Recorder, lines_until


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "metrics.jsonl"


def log(recorder, step, **numbers):
    recorder.on_log(None, SimpleNamespace(global_step=step, max_steps=9), None, logs=numbers)


def test_a_line_holds_what_was_logged_and_the_watcher_hears_of_it(path):
    heard = []
    recorder = Recorder(path, lambda *what: heard.append(what))
    recorder.trainer = SimpleNamespace(tokens_seen=500)
    recorder.on_train_begin(None, None, None)
    log(recorder, 3, loss=1.5, kd_loss=1.0)
    (line,) = lines(path)
    assert (line["step"], line["loss"], line["kd_loss"]) == (3, 1.5, 1.0)
    assert line["tokens_per_second"] > 0
    assert heard == [(3, 9, {**line, "tokens_seen": 500})]
    assert recorder.last_loss == 1.5


def test_logs_without_a_loss_are_the_trainer_s_own_summary(path):
    recorder = Recorder(path, lambda *_: pytest.fail("nothing to hear"))
    recorder.trainer = SimpleNamespace(tokens_seen=500)
    log(recorder, 3, train_runtime=1.0)
    assert not path.exists()


def test_lines_after_the_checkpoint_and_broken_ones_are_dropped(path):
    good = [{"step": step, "loss": float(step), "tokens_per_second": 10.0 * step} for step in (1, 2, 3)]
    path.write_text("".join(json.dumps(line) + "\n" for line in good) + '{"step": 4, "lo')
    recorder = Recorder(path, lambda *_: None)
    recorder.keep_until(2)
    assert lines(path) == good[:2]
    assert (recorder.last_loss, recorder.tokens_per_second) == (2.0, 20.0)


def test_text_may_hold_what_other_files_break_lines_at(path):
    line = json.dumps({"step": 1, "text": "a\u2028b\x85c"}, ensure_ascii=False) + "\n"
    path.write_text(line, encoding="utf-8")
    assert lines_until(path, 1) == [line]


@pytest.mark.parametrize("torn", ['{"step": 2, "text": "ü'.encode()[:-1], b'{"step": 2}'])
def test_the_line_that_a_killed_process_was_writing_is_dropped(path, torn):
    path.write_bytes(b'{"step": 1}\n' + torn)
    assert lines_until(path, 9) == ['{"step": 1}\n']


def test_a_number_that_is_not_finite_is_null_in_the_file_and_unknown_afterwards(path):
    heard = []
    recorder = Recorder(path, lambda step, _, numbers: heard.append(numbers["loss"]))
    recorder.trainer = SimpleNamespace(tokens_seen=500)
    recorder.on_train_begin(None, None, None)
    log(recorder, 1, loss=math.nan, grad_norm=math.inf, kd_loss=0.5)
    (line,) = lines(path)
    assert (line["loss"], line["grad_norm"], line["kd_loss"]) == (None, None, 0.5)
    assert math.isnan(heard[0])
    later = Recorder(path, lambda *_: None)
    later.keep_until(1)
    assert math.isnan(later.last_loss)
