"""What packages bring under a group: in a known order, and with a reason where it cannot be used."""

from importlib.metadata import EntryPoint

import pytest

from kdzoo.methods import entry_points
from kdzoo.methods.entry_points import Broken, check_name, entries_of, load, package_of, why_not_found


def test_entries_are_in_order_whoever_brought_them(monkeypatch):
    found = [EntryPoint(name, value, "g") for name, value in (("b", "x:B"), ("a", "z:A"), ("a", "y:A"))]
    monkeypatch.setattr(entry_points, "entry_points", lambda group: found if group == "g" else [])
    assert [(entry.name, entry.value) for entry in entries_of("g")] == [
        ("a", "y:A"),
        ("a", "z:A"),
        ("b", "x:B"),
    ]


def test_one_of_no_package_is_of_an_unknown_one():
    assert package_of(EntryPoint("a", "json:loads", "g")) == ("unknown", "unknown")


@pytest.mark.parametrize("error", [ImportError("no torchvision"), SystemExit("stop"), KeyError("k")])
def test_whatever_is_raised_is_the_reason(error):
    def read(entry):
        raise error

    entry = EntryPoint("a", "json:loads", "g")
    assert load(entry, read) == Broken("a", "unknown", f"{type(error).__name__}: {error}")
    assert load(entry, lambda entry: entry.load()("[1]")) == [1]


def test_ctrl_c_is_no_reason():
    def read(entry):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load(EntryPoint("a", "json:loads", "g"), read)


def test_names_must_agree():
    check_name(EntryPoint("a", "json:loads", "g"), "metric", "a")
    with pytest.raises(ValueError, match="the entry point is named 'a', its metric 'b'; they must agree"):
        check_name(EntryPoint("a", "json:loads", "g"), "metric", "b")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("bad", "metric 'bad' (package p) cannot be loaded: ImportError: x"),
        ("blue", "no metric 'blue' is installed; did you mean \"bleu\"?"),
        ("qqqq", "no metric 'qqqq' is installed; there are: bleu, chrf"),
    ],
)
def test_a_name_that_cannot_be_used(name, message):
    error = why_not_found("metric", name, ["chrf", "bleu"], [Broken("bad", "p", "ImportError: x")])
    assert str(error) == message
