"""Members side by side: how many at a time, what they print, those that fail, and signals that reach them all."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from kdzoo.recipe import Member, load_sweep
from kdzoo.report.progress import Reporter
from kdzoo.runs import sweep_jobs
from kdzoo.runs.interruption import Interrupted, Interruption
from kdzoo.runs.sweep import Failure, Plan
from kdzoo.runs.sweep_jobs import MemberCommand, run_side_by_side

RECIPE = """\
[data]
kind = "embedded"
[tokenizer]
train = { vocab_size = 500 }
[student]
from_scratch = { architecture = "llama", hidden_size = 32 }
[[stage]]
kind = "distill"
method = "sft"
[sweep]
seed = [1, 2, 3]
"""

PlanOf = Callable[..., Plan]


class Script(MemberCommand):
    """Members that run a script, with their seed as its argument."""

    def __init__(self, script: str) -> None:
        super().__init__(Path(script), ())

    def of(self, member: Member) -> list[str]:
        return [sys.executable, "-c", str(self.recipe), str(member.values["seed"])]


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PlanOf:
    monkeypatch.chdir(tmp_path)

    def plan(text: str = RECIPE) -> Plan:
        Path("r.toml").write_text(text)
        return Plan.of(load_sweep(Path("r.toml")), Path("runs"))

    return plan


def run(plan: Plan, script: str, jobs: int = 3, printed: StringIO | None = None) -> list[Failure]:
    reporter = Reporter(Console(file=printed or StringIO(), width=400))
    interruption = Interruption()
    with interruption.handled():
        return run_side_by_side(plan, Script(script), jobs, reporter, interruption)


class TestCommandLines:
    def test_they_fix_all_swept_keys_and_keep_what_was_given(self, plan: PlanOf) -> None:
        command = MemberCommand(Path("r.toml"), ("--set", "training.epochs=3", "--out", "my runs"))
        member = plan().members[1].member
        assert command.of(member)[1:] == [
            *("-P", "-m", "kdzoo", "run", "r.toml", "--set", "seed=2"),
            *("--set", "training.epochs=3", "--out", "my runs"),
        ]

    @pytest.mark.parametrize("token", ["<unk>", "it's", 'a "b" $HOME `x`', "ü\n\\"])
    def test_a_shell_gives_them_back(self, plan: PlanOf, token: str) -> None:
        from kdzoo.recipe.toml_text import toml_value

        name = f"[{toml_value(token)}]"
        text = RECIPE.replace('"sft"', '"kid"').replace(
            "seed = [1, 2, 3]", f"kid.options.mask_token = {name}"
        )
        made = plan(text + '[teacher]\nfrom_scratch = { architecture = "llama" }\n')
        command, member = MemberCommand(Path("r.toml"), ()), made.members[0].member
        assert "\n" not in command.quoted(member)
        assert shlex.split(command.quoted(member)) == command.of(member)
        (alone,) = load_sweep(Path("r.toml"), member.settings).members
        assert alone.recipe.stages[0].options["mask_token"] == token


class TestSideBySide:
    def test_what_they_print_comes_with_their_values_before_it(
        self, plan: PlanOf, capsys: pytest.CaptureFixture[str]
    ) -> None:
        script = "import sys; print('out', sys.argv[1]); print('err', sys.argv[1], file=sys.stderr)"
        assert run(plan(), script) == []
        captured = capsys.readouterr()
        assert sorted(captured.out.splitlines()) == [f"[seed={n}] out {n}" for n in (1, 2, 3)]
        assert sorted(captured.err.splitlines()) == [f"[seed={n}] err {n}" for n in (1, 2, 3)]

    def test_it_comes_when_they_print_it_also_without_flushing(
        self, plan: PlanOf, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        told: list[str] = []
        monkeypatch.setattr(
            sweep_jobs.click, "echo", lambda text, err: (told.append(text), Path("go").touch())
        )
        script = "import os, time; print('first')\nwhile not os.path.exists('go'): time.sleep(0.01)"
        assert run(plan(RECIPE.replace("1, 2, 3", "1")), script) == []
        assert told == ["[seed=1] first"]

    @pytest.mark.parametrize("jobs", [1, 2])
    def test_no_more_than_asked_for_at_a_time(self, plan: PlanOf, jobs: int) -> None:
        script = (
            "import os, sys, time; open(f'{sys.argv[1]}.on', 'w').close(); time.sleep(0.3)\n"
            "n = sum(name.endswith('.on') for name in os.listdir()); open(f'{sys.argv[1]}.{n}', 'w').close()\n"
            "os.remove(f'{sys.argv[1]}.on')"
        )
        assert run(plan(), script, jobs) == []
        assert max(int(path.suffix[1:]) for path in Path().glob("?.[0-9]")) == jobs

    def test_one_that_fails_does_not_stop_the_others(self, plan: PlanOf) -> None:
        script = (
            "import sys; n = sys.argv[1]; open(n, 'w').close()\n"
            "if n == '1': print('kdzoo: it went wrong', file=sys.stderr); sys.exit(2)\n"
            "if n == '2': import os; os._exit(7)"
        )
        assert sorted(run(plan(), script, jobs=1), key=lambda f: f.label) == [
            Failure("seed=1", "it went wrong"),
            Failure("seed=2", "ended with exit code 7"),
        ]
        assert all(Path(n).exists() for n in "123")

    def test_nobody_reads_what_they_print(self, plan: PlanOf, monkeypatch: pytest.MonkeyPatch) -> None:
        def gone(*_: object, **__: object) -> None:
            raise BrokenPipeError

        monkeypatch.setattr(sweep_jobs.click, "echo", gone)
        assert run(plan(), "print('x' * 100 + '\\n' * 10000)") == []

    def test_bytes_that_are_no_text(self, plan: PlanOf, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(plan(RECIPE.replace("1, 2, 3", "1")), "import os; os.write(1, b'\\xff\\n')") == []
        assert capsys.readouterr().out == "[seed=1] \N{REPLACEMENT CHARACTER}\n"


# ends with a file after the first signal, as a training with its checkpoint does; at once after the second
TRAINS = """
import signal, sys, time
asked = []
def handle(number, frame):
    asked.append(number)
    if len(asked) == 2:
        open(sys.argv[1] + ".at_once", "w").close()
        sys.exit(1)
signal.signal(signal.SIGTERM, handle)
open(sys.argv[1] + ".trains", "w").close()
patience = time.monotonic() + 60
while not asked and time.monotonic() < patience: time.sleep(0.01)
time.sleep(float(SECONDS))
open(sys.argv[1] + ".checkpoint", "w").close()
sys.exit(143)
"""


class TestSignals:
    def send_when_all_train(self, members: int, *numbers: int) -> None:
        def send() -> None:
            while len(list(Path().glob("*.trains"))) < members:
                time.sleep(0.01)
            for number in numbers:
                os.kill(os.getpid(), number)
                time.sleep(0.5)

        threading.Thread(target=send, daemon=True).start()

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_one_reaches_all_and_those_that_wait_are_not_begun(
        self, plan: PlanOf, number: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("kdzoo.runs.interruption._let_go_of_the_terminal", lambda: None)
        self.send_when_all_train(2, number)
        with pytest.raises(Interrupted) as caught:
            run(plan(), TRAINS.replace("SECONDS", "0.3"), jobs=2)
        assert caught.value.exit_code == 128 + number
        names = sorted(path.name for path in Path().glob("[123].*"))
        assert names == ["1.checkpoint", "1.trains", "2.checkpoint", "2.trains"]

    def test_a_second_one_ends_them_at_once(self, plan: PlanOf) -> None:
        self.send_when_all_train(3, signal.SIGINT, signal.SIGINT)
        with pytest.raises(Interrupted):
            run(plan(), TRAINS.replace("SECONDS", "60"))
        assert sorted(path.name for path in Path().glob("*.at_once")) == [f"{n}.at_once" for n in (1, 2, 3)]

    def test_a_terminal_s_ctrl_c_comes_from_us_alone(self, plan: PlanOf) -> None:
        """It goes to every process of the group: members are in groups of their own, or would get it twice."""
        script = "import os, sys; open(sys.argv[1], 'w').write(str(os.getpgrp()))"
        assert run(plan(), script) == []
        groups = {Path(n).read_text() for n in "123"}
        assert len(groups) == 3
        assert str(os.getpgrp()) not in groups


class TestThreads:
    @pytest.mark.parametrize(
        ("threads", "jobs", "cores", "told"),
        [
            ("", 2, 4, "2 members at a time compute with up to 4 threads each on 4 cores"),
            ("threads = 2\n", 3, 4, "3 members at a time compute with up to 2 threads each on 4 cores"),
            ("threads = 2\n", 2, 4, None),
            ("threads = 1\n", 3, 2, None),
            ("", 1, 4, None),
        ],
    )
    def test_more_than_there_are_cores_are_told(
        self,
        plan: PlanOf,
        monkeypatch: pytest.MonkeyPatch,
        threads: str,
        jobs: int,
        cores: int,
        told: str | None,
    ) -> None:
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
        printed = StringIO()
        run(plan(threads + RECIPE), "", jobs, printed)
        if told is None:
            assert printed.getvalue() == ""
        else:
            assert printed.getvalue().startswith(told)
            assert "--set threads=1 is faster" in printed.getvalue()


def test_a_module_beside_the_recipe_does_not_stand_for_another(plan: PlanOf) -> None:
    command = MemberCommand(Path("absent.toml"), ())
    member = plan().members[0].member
    Path("click.py").write_text("raise RuntimeError")
    done = subprocess.run(command.of(member), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "kdzoo: absent.toml: there is no such recipe\n")
