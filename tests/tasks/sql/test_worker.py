"""Worker processes may be killed at any moment; none outlives its judge; they import nothing heavy."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from kdzoo.errors import RunError
from kdzoo.tasks.sql import Item, Judge, Limits, Verdict
from kdzoo.tasks.sql.request import Answer
from kdzoo.tasks.sql.sandbox import Worker, WorkerDiedError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

RIGHT = Verdict(True)


def children(pid):
    """The processes that a process has started."""
    found = []
    # each thread has a list of its own
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(child) for child in path.read_text(encoding="ascii").split()]
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def alive(pid):
    """Whether a process runs (and is not just waiting for its end to be noticed)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


@pytest.mark.parametrize("whole", [False, True], ids=["the child that runs statements", "the worker"])
def test_kill_9_at_any_moment_spoils_no_verdict_but_its_own(singers, whole):
    # long enough for kills to meet statements that run
    prediction = "SELECT sum(n >= 0) - 1000 + {} FROM numbers"
    items = [Item(f"SELECT {n}", prediction.format(n), singers) for n in range(1200)]
    moments = random.Random(5)
    kills = []

    def kill():
        time.sleep(moments.uniform(0, 0.003))
        for worker in judge.worker_pids:
            for victim in [worker] if whole else children(worker):
                try:
                    os.kill(victim, signal.SIGKILL)
                    kills.append(victim)
                except ProcessLookupError:
                    continue

    threads = []

    def now_and_then(done):
        if done % 100 == 0:
            threads.append(threading.Thread(target=kill))
            threads[-1].start()

    with Judge() as judge:
        verdicts = judge.judge(items, "ex", now_and_then)
        for thread in threads:
            thread.join()
    assert len(kills) >= 12
    # a statement must be hit twice to be lost
    lost = [verdict for verdict in verdicts if verdict != RIGHT]
    assert set(lost) <= {Verdict(False, "worker died")}
    assert len(lost) <= len(kills) // 2


def test_a_statement_whose_worker_is_killed_each_time_is_wrong_and_the_next_are_not(singers):
    endless = "SELECT count(*) FROM numbers a, numbers b, numbers c, numbers d"
    items = [
        Item("SELECT 1", "SELECT 1", singers),
        Item("SELECT 1", endless, singers),
        Item("SELECT 2", "SELECT 2", singers),
    ]
    limits = Limits(first_steps=10**12, steps=10**12, first_seconds=60, seconds=60)
    with Judge(limits, workers=1) as judge:
        found = []
        thread = threading.Thread(target=lambda: found.extend(judge.judge(items, "ex")))
        thread.start()
        killed = set()
        while len(killed) < 2:
            for pid in [child for worker in judge.worker_pids for child in children(worker)]:
                if pid not in killed and _is_busy(pid):
                    os.kill(pid, signal.SIGKILL)
                    killed.add(pid)
            time.sleep(0.01)
        thread.join(30)
    assert found == [RIGHT, Verdict(False, "worker died"), RIGHT]


def _is_busy(pid):
    """Whether a process has used a tenth of a second of CPU time."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return int(fields[11]) + int(fields[12]) > os.sysconf("SC_CLK_TCK") // 10


def test_leaving_the_judge_ends_its_processes(singers):
    with Judge() as judge:
        judge.judge([Item("SELECT 1", "SELECT 1", singers)] * 50, "ex")
        pids = [pid for worker in judge.worker_pids for pid in (worker, *children(worker))]
        assert len(pids) >= 2
    wait_until(lambda: not any(alive(pid) for pid in pids))


ENDLESS_SCRIPT = """
import sys
from pathlib import Path
from kdzoo.tasks.sql import Item, Judge, Limits
endless = "SELECT count(*) FROM numbers a, numbers b, numbers c, numbers d"
limits = Limits(first_steps=10**12, steps=10**12, first_seconds=300, seconds=300)
with Judge(limits) as judge:
    judge.judge([Item("SELECT 1", endless, Path(sys.argv[1]))] * 40, "ex")
"""


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "kill -9"])
def test_no_worker_outlives_its_parent_even_in_an_endless_statement(singers, ending):
    parent = subprocess.Popen([sys.executable, "-c", ENDLESS_SCRIPT, str(singers)], stderr=subprocess.PIPE)

    def statement_runners():
        return [child for worker in children(parent.pid) for child in children(worker)]

    wait_until(lambda: len(statement_runners()) == 2 and all(map(_is_busy, statement_runners())))
    pids = [*children(parent.pid), *statement_runners()]
    parent.send_signal(ending)
    _, complaints = parent.communicate(timeout=20)
    wait_until(lambda: not any(alive(pid) for pid in pids))
    assert parent.returncode != 0
    if ending == signal.SIGINT:
        assert b"KeyboardInterrupt" in complaints


def test_an_error_of_the_caller_ends_judging_and_is_raised(singers):
    def fail(done):
        raise LookupError("the caller's own")

    with Judge() as judge, pytest.raises(LookupError, match="the caller's own"):
        judge.judge([Item("SELECT 1", "SELECT 1", singers)] * 100, "ex", fail)


def test_a_closed_worker_starts_no_process():
    worker = Worker()
    worker.close()
    with pytest.raises(WorkerDiedError):
        worker.ask(None)
    assert worker.pid is None


def test_workers_that_cannot_start_are_an_error_and_not_wrong_predictions(singers, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with Judge() as judge, pytest.raises(RunError, match="cannot start a worker process"):
        judge.judge([Item("SELECT 1", "SELECT 1", singers)], "ex")


def test_a_note_of_a_death_that_came_too_late_is_not_taken_for_the_next_statements(singers):
    with Judge(workers=1) as judge:
        items = [Item("SELECT 1", "SELECT 1", singers)]
        for _ in range(20):
            assert judge.judge(items, "ex") == [RIGHT]
            (worker,) = judge.worker_pids
            for child in children(worker):
                os.kill(child, signal.SIGKILL)


def test_answers_are_plain_data():
    assert Answer(True) == Answer(right=True, reason=None, gold_error=None, slow=False)


@pytest.mark.parametrize("module", ["kdzoo.tasks.sql", "kdzoo.tasks.sql.worker"])
def test_judge_and_worker_import_neither_torch_nor_other_heavy_packages(module):
    heavy = "torch transformers pydantic rich sqlglot numpy click"
    script = f"import sys, {module}; print([m for m in {heavy!r}.split() if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
