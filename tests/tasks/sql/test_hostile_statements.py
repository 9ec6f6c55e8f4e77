"""A corpus of hostile statements does no harm, and each ends as a wrong prediction within its limits."""

import hashlib
import runpy
from pathlib import Path

import pytest

from kdzoo.tasks.sql import Item, Judge, Limits, Verdict

CORPUS = runpy.run_path(str(Path(__file__).with_name("hostile_statements.py")))
GOLD = "SELECT name FROM singer WHERE singer_id = 1"


def contents(folder):
    """Every file below a folder with its hash."""
    return {
        path.relative_to(folder): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def memory(field):
    """A number of kilobytes from this process's status: VmRSS now, VmHWM at most."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))


def forget_peak_memory():
    """Let VmHWM begin anew; False where the system has no such thing."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def small_limits():
    # the same statements end as with the default limits, only sooner
    return Limits(seconds=0.1, first_seconds=0.02, steps=5_000_000, first_steps=500_000)


def test_the_corpus_is_as_large_and_varied_as_it_says():
    statements = CORPUS["STATEMENTS"]
    assert len(statements) == len(set(statements)) >= 150
    for part in ("WRITES", "OTHER_FILES_AND_SETTINGS", "ENDLESS", "HUGE", "MALFORMED"):
        assert len(CORPUS[part]) >= 30


def test_every_statement_is_survived(singers, tmp_path, monkeypatch, small_limits):
    # whatever a statement writes by a relative name would come here
    monkeypatch.chdir(tmp_path)
    outside = tmp_path / "outside"
    statements = [
        statement.replace("OUTSIDE", str(outside)).replace("DATABASE", str(singers))
        for statement in CORPUS["STATEMENTS"]
    ]
    # after each statement a harmless one shows that the worker is well
    items = [
        Item(GOLD, text, singers) for statement in statements for text in (statement, f"{GOLD} AND age = 52")
    ]
    before = contents(tmp_path)
    peak_is_known = forget_peak_memory()
    memory_before = memory("VmRSS") if peak_is_known else 0
    with Judge(small_limits) as judge:
        verdicts = judge.judge(items, "ex")
    assert [v for v in verdicts[::2] if v.right or v.gold_error] == []
    assert [v for v in verdicts[1::2] if v != Verdict(True)] == []
    assert contents(tmp_path) == before
    if peak_is_known:
        assert memory("VmHWM") - memory_before < 300_000


@pytest.mark.parametrize("part", ["WRITES", "OTHER_FILES_AND_SETTINGS"])
def test_what_would_write_or_look_elsewhere_never_runs(judge, singers, part):
    # a first statement that is harmless is judged like any prediction
    statements = [s for s in CORPUS[part] if not s.startswith("SELECT name FROM singer;")]
    verdicts = judge.judge([Item(GOLD, statement, singers) for statement in statements], "bird-ex")
    ran = [s for s, v in zip(statements, verdicts, strict=True) if v.reason is None]
    assert ran == []


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("ATTACH ':memory:' AS x", "not allowed: not authorized"),
        ("DELETE FROM singer", "not allowed: not authorized"),
        ("PRAGMA user_version", "not allowed: not authorized"),
        ("SELECT load_extension('x')", "not allowed: not authorized to use function: load_extension"),
        ("SELECT randomblob(1000000000)", "string or blob too big"),
        ("SELECT '" + "x" * 60_000 + "'", "longer than 50000 characters"),
        ("SELECT \0", "contains a NUL character"),
        ("SELECT '\ud800'", "contains half a character (a lone surrogate)"),
        ("SELECT x'41' || hex(zeroblob(4000000)) FROM numbers ORDER BY 1", "out of memory"),
    ],
)
def test_the_reason_is_told(verdict, statement, reason):
    assert verdict(GOLD, statement) == Verdict(False, reason)


def test_a_gold_query_is_held_to_the_same_limits(singers):
    with Judge(Limits(seconds=0.5)) as judge:
        golds = [
            "DELETE FROM singer",
            "SELECT randomblob(1000000000)",
            "SELECT count(*) FROM numbers a, numbers b, numbers c, numbers d",
            # one call of a function without an end: only the kernel's timer stops it
            "SELECT instr(printf('%.*c', 9000000, 'a'), printf('%.*c', 4500000, 'a') || 'b')",
        ]
        verdicts = judge.judge([Item(gold, GOLD, singers) for gold in golds], "ex")
    assert [v.gold_error and v.gold_error.removeprefix("singers.sqlite: ") for v in verdicts] == [
        "not allowed: not authorized",
        "string or blob too big",
        "timeout",
        "timeout",
    ]


def test_a_view_cannot_hide_what_a_statement_may_not_do(build_database, verdict):
    database = build_database(
        """
        CREATE TABLE singer (singer_id, name); INSERT INTO singer VALUES (1, 'Joe');
        CREATE VIEW evil AS SELECT load_extension('x') AS name;
        CREATE VIEW endless AS WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x FROM r) SELECT x FROM r;
        """,
    )
    assert verdict(GOLD, "SELECT name FROM evil", database=database) == Verdict(
        False, "unsafe use of load_extension()"
    )
    assert verdict(GOLD, "SELECT x FROM endless", database=database) == Verdict(False)


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_a_database_in_any_journal_mode_is_read_without_a_trace(build_database, verdict, mode):
    script = f"PRAGMA journal_mode = {mode}; CREATE TABLE singer (singer_id, name);"
    database = build_database(f"{script} INSERT INTO singer VALUES (1, 'Joe');", "journal")
    before = contents(database.parent)
    assert verdict(GOLD, "SELECT 'Joe'", database=database) == Verdict(True)
    assert verdict(GOLD, "DELETE FROM singer", database=database).reason == "not allowed: not authorized"
    assert contents(database.parent) == before
