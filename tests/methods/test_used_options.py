"""Which options are read is noted, and nothing else changes."""

from __future__ import annotations

from kdzoo.methods import registry
from kdzoo.methods.method import Options
from kdzoo.methods.used_options import watched


class Plain(Options):
    first: int = 1
    second: str = "two"

    @property
    def both(self) -> str:
        return f"{self.first}{self.second}"


def test_what_is_read_is_noted_and_the_values_are_the_same() -> None:
    options, read = watched(registry.find("imitkd").method.options(base=7))
    assert read == set()
    assert options.ground_truth_probability(0.5) == 0.5  # type: ignore[attr-defined]
    assert read == {"schedule", "constant"}
    assert isinstance(options, registry.find("imitkd").method.options)
    assert options.model_dump()["base"] == 7
    assert read == set(type(options).model_fields)


def test_options_that_are_watched_twice_are_noted_apart() -> None:
    given = registry.find("gkd").method.options()
    (first, of_first), (_, of_second) = watched(given), watched(given)
    assert first.beta == 0.5  # type: ignore[attr-defined]
    assert (of_first, of_second) == ({"beta"}, set())


def test_what_a_property_of_them_reads_is_read() -> None:
    options, read = watched(Plain())
    assert options.both == "1two"
    assert read == {"first", "second"}


def test_who_takes_all_of_them_reads_all_of_them() -> None:
    for take in (lambda options: options.model_dump_json(), vars, lambda options: options.model_dump()):
        options, read = watched(Plain())
        take(options)
        assert read == {"first", "second"}


def test_the_originals_are_not_watched_and_their_class_keeps_its_name() -> None:
    given = Plain(first=5)
    options, read = watched(given)
    assert given.first == 5
    assert read == set()
    assert type(options).__name__ == "Plain"
    assert type(given) is Plain
