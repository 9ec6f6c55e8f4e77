"""Every statement gets its whole limit, counted in its own CPU time; what all may take is told."""

import time

import pytest

from kdzoo.tasks.sql import Item, Judge, Limits, Verdict
from kdzoo.tasks.sql.execute import Allowance, StatementError, executing
from kdzoo.tasks.sql.outlook import Outlook
from kdzoo.tasks.sql.request import Answer

ENDLESS = "WITH RECURSIVE r(x) AS (SELECT {} UNION ALL SELECT x FROM r) SELECT count(*) FROM r"
SLOW, WRONG = Answer(False, "timeout", slow=True), Answer(False)


def test_each_metric_has_its_seconds_and_may_be_given_others():
    assert [Limits.of(metric).seconds for metric in ("ex", "ts", "bird-ex")] == [10, 10, 30]
    assert Limits.of("bird-ex", 2.5).seconds == 2.5


class Asked:
    """Stands for the workers: every prediction is slow, as long as its limit is not the whole one."""

    def __init__(self, limits, last):
        self.limits, self.last, self.requests = limits, last, []

    def __call__(self, worker, request):
        self.requests.append(request)
        return self.last if request.seconds == self.limits.seconds else SLOW


@pytest.fixture
def asked(monkeypatch):
    def stand_in(limits, last):
        asked = Asked(limits, last)
        monkeypatch.setattr("kdzoo.tasks.sql.judge._ask", asked)
        return asked

    return stand_in


def test_a_thousand_slow_statements_all_get_the_whole_limit(asked, singers):
    asked = asked(Limits(), WRONG)
    items = [Item("SELECT 1", f"SELECT {number}", singers) for number in range(1034)]
    told, done = [], []
    with Judge() as judge:
        assert judge.judge(items, "ex", done.append, told.append) == [Verdict(False)] * 1034
    granted = [(request.prediction, request.steps, request.seconds) for request in asked.requests]
    # first a little to each, then everything to each
    assert sorted(granted[:1034]) == sorted((item.prediction, 2_000_000, 0.1) for item in items)
    assert sorted(granted[1034:]) == sorted((item.prediction, 0, 10.0) for item in items)
    assert told == [Outlook(1034, 1034, 0.1, 10.0, 10340.0, 2)]
    assert done == list(range(1, 1035))


@pytest.mark.parametrize(("barren", "runs"), [(True, 1), (False, 30)])
def test_what_gave_no_row_in_its_whole_limit_is_not_run_for_another_gold_query(asked, singers, barren, runs):
    asked = asked(Limits(), Answer(False, "timeout", slow=True, barren=barren))
    items = [Item(f"SELECT {number}", "SELECT 1", singers) for number in range(30)]
    with Judge() as judge:
        assert judge.judge(items, "ex") == [Verdict(False, "timeout")] * 30
    assert sum(request.seconds == 10.0 for request in asked.requests) == runs


def test_endless_statements_take_nothing_from_a_right_one_behind_them(singers):
    # more than a first try of it, less than its limit
    right = "SELECT count(*) FROM numbers a, numbers b WHERE a.n * b.n >= 0"
    items = [Item("SELECT 1000000", ENDLESS.format(number), singers) for number in range(4)]
    items += [Item("SELECT 1000000", right, singers)]
    with Judge(Limits(seconds=0.7, first_seconds=0.01)) as judge:
        verdicts = judge.judge(items, "ex")
    assert verdicts == [Verdict(False, "timeout")] * 4 + [Verdict(True)]


@pytest.fixture
def run(singers):
    def run(statement, seconds, decode=bytes.decode):
        allowance = Allowance(0, seconds, 60.0, lambda seconds: None)
        return executing(singers, statement, Limits(), allowance, decode)

    return run


def test_time_that_passes_without_work_is_not_counted(run):
    def decode(raw):
        time.sleep(0.02)
        return raw.decode()

    with run("SELECT a.name FROM singer a, singer b", 0.1, decode) as rows:
        assert len(list(rows)) == 16
    assert rows.seconds < 0.1


def test_work_on_the_rows_is_not_counted_as_the_statements(run):
    with run("SELECT n FROM numbers", 0.1) as rows:
        for (n,) in rows:
            if n % 100 == 0:
                _work(0.03)
    assert rows.seconds < 0.1


def _work(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_work_of_sqlite_is_counted(run):
    with pytest.raises(StatementError, match="timeout") as failure, run(ENDLESS.format(1), 0.05):
        pass
    assert failure.value.slow
    assert failure.value.barren
    endless_rows = "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x FROM r) SELECT x FROM r"
    with pytest.raises(StatementError, match="timeout") as failure, run(endless_rows, 0.05) as rows:
        for _ in rows:
            pass
    assert not failure.value.barren


@pytest.mark.parametrize(
    ("seconds", "long", "text"),
    [(20, False, "20 s"), (60, False, "1 min"), (61, True, "1 min 1 s"), (10340, True, "2 h 52 min")],
)
def test_an_outlook_says_how_long_and_why(seconds, long, text):
    outlook = Outlook(3, 40, 0.1, 10.0, seconds, 2)
    assert outlook.is_long is long
    assert str(outlook) == (
        "3 of 40 predictions did not end in a first try of at most 0.1 s of CPU time. Each may take 10 s on each database, whatever "
        "else is judged, so that no verdict depends on another or on the machine's load: "
        f"{text} of CPU time at most, in 2 processes."
    )
