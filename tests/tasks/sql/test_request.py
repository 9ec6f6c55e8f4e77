"""What crosses the pipe to the sandbox arrives as it was sent."""

import json

import pytest

from kdzoo.tasks.sql.limits import Limits
from kdzoo.tasks.sql.request import Answer, Request, Result


@pytest.mark.parametrize("rule", ["spider", "bird", "show"])
def test_a_request_survives_being_sent_as_json(rule):
    limits = Limits.of("bird-ex", 2.5)
    sent = Request(rule, "SELECT 'é\ud7ff'", 'SELECT\n\t"x"', ["/a b/c.sqlite"], True, 10**12, 0.1, limits)
    received = Request.from_json(json.loads(json.dumps(sent.as_json())))
    assert received == sent
    assert isinstance(received.limits, Limits)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(True),
        Answer(False, "timeout", slow=True, barren=True),
        Answer(False, gold_error="no such table"),
        Answer(True, result=Result(["a", "b"], [[1, "x'00'"], [None, 1.5], [-(2**63), "é"]], True)),
    ],
)
def test_an_answer_survives_it_too(answer):
    assert Answer.from_json(json.loads(json.dumps(answer.as_json()))) == answer
