"""The program that a worker process of the sandbox runs.

The process itself runs no SQL. It forks a child that does, waits for its end, and forks the next: so a
statement that has to be killed costs a few milliseconds. The child reads requests from the standard input and
writes answers to the standard output, one JSON object a line; of a child that died, the parent writes
{"died": SIGNAL}.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import select
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial

from kdzoo.tasks.sql import bird, shown, spider
from kdzoo.tasks.sql.execute import OUT_OF_MEMORY
from kdzoo.tasks.sql.normalize import normalize
from kdzoo.tasks.sql.request import Answer, Request, Rule

_PR_SET_PDEATHSIG = 1
_OPEN_FILES = 32
_END_OF_INPUT, _START_AFRESH = 0, 3


def main() -> None:
    """Keep a child running until the input ends."""
    normalize("SELECT 1;")  # the parser prepares itself once, not in every child
    _write({"ready": os.getpid()})
    while True:
        alive, held_by_child = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(alive)
            _run_child()
        os.close(held_by_child)
        status = _wait(child, alive)
        os.close(alive)
        code = os.waitstatus_to_exitcode(status)
        if code == _END_OF_INPUT:
            return
        if code != _START_AFRESH:
            _write({"died": -code})


def _wait(child: int, alive: int) -> int:
    """Wait for the child's end; kill it if nobody is left who would read its answers."""
    poll = select.poll()
    poll.register(alive, select.POLLIN)
    poll.register(sys.stdin.fileno(), 0)  # only tells that the other end is closed
    poll.register(sys.stdout.fileno(), 0)
    while True:
        changed = dict(poll.poll())
        if alive in changed:
            return os.waitpid(child, 0)[1]
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os._exit(0)


def _run_child() -> None:
    """Answer requests. Never returns."""
    try:
        _confine()
        code = _answer_all()
    except BaseException:
        os._exit(1)
    os._exit(code)


def _answer_all() -> int:
    judges: dict[Rule, Callable[[Request], Answer]] = {
        "spider": partial(spider.judge, gold_results=spider.new_gold_results()),
        "bird": partial(bird.judge, gold_results=bird.new_gold_results()),
        "show": shown.show,
    }
    confined_to = 0
    with open(0, "rb", buffering=0, closefd=False) as source:
        for line in _lines(source.fileno()):
            try:
                content = json.loads(line)
                number = content.pop("number")
                request = Request.from_json(content)
            except ValueError:
                continue  # the rest of a request whose first part a killed child had read
            if request.limits.memory != confined_to:
                confined_to = request.limits.memory
                _limit(resource.RLIMIT_AS, confined_to)
            try:
                answer = judges[request.rule](request)
            except MemoryError:
                answer = Answer(False, reason=OUT_OF_MEMORY)
            _write({"number": number, **answer.as_json()})
            if answer.reason == OUT_OF_MEMORY:
                return _START_AFRESH
    return _END_OF_INPUT


def _lines(source: int) -> Iterator[bytes]:
    waiting = b""
    while part := os.read(source, 1 << 16):
        *lines, waiting = (waiting + part).split(b"\n")
        yield from lines


def _write(message: dict[str, object]) -> None:
    text = json.dumps(message).encode() + b"\n"
    while text:  # a pipe takes what is short as a whole, and rows that are shown in parts
        text = text[os.write(1, text) :]


def _confine() -> None:
    """Take from this process what no query needs: new files, core dumps, a life after its parent's."""
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, _OPEN_FILES)
    if sys.platform == "linux":
        parent = os.getppid()
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)  # it was already too late to be told


def _limit(what: int, most: int) -> None:
    _, hard = resource.getrlimit(what)
    # not every system knows a limit of memory; the others still hold there
    with suppress(ValueError, OSError):
        resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


if __name__ == "__main__":
    main()
