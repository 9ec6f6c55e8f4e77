"""Two loadings are compared by what their examples say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kdzoo import Example, Splits
from kdzoo.testing.loaded_examples import difference, digest_of_splits

FIRST, SECOND = Path("/cache/first"), Path("/cache/second")


def splits(cache: Path) -> Splits:
    return Splits([], [Example("1", "prompt", "target", database=cache / "a.sqlite", shorten=lambda *_: "")])


def test_what_is_kept_in_different_folders_is_the_same() -> None:
    one, other = splits(FIRST), splits(SECOND)
    assert difference(one, FIRST, other, SECOND) is None
    assert digest_of_splits(one, FIRST) == digest_of_splits(other, SECOND)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"prompt": "another"}, "evaluation[0].prompt is 'prompt' and 'another'"),
        ({"database": Path("/elsewhere/a.sqlite")}, "evaluation[0].database is 'a.sqlite' and '/elsewhere/"),
        ({"shorten": None}, "evaluation[0].shorten is True and False"),
    ],
)
def test_the_first_difference_is_told(change: dict[str, object], words: str) -> None:
    one, other = splits(FIRST), splits(SECOND)
    changed = Splits([], [replace(other.evaluation[0], **change)])  # type: ignore[arg-type]
    assert words in str(difference(one, FIRST, changed, SECOND))
    assert digest_of_splits(one, FIRST) != digest_of_splits(changed, SECOND)


def test_so_is_another_number_of_examples() -> None:
    assert difference(splits(FIRST), FIRST, Splits([], []), FIRST) == "1 and 0 examples of evaluation"


def test_the_order_counts() -> None:
    a, b = (Example(name, "prompt", "target") for name in "ab")
    assert digest_of_splits(Splits([a, b], []), FIRST) != digest_of_splits(Splits([b, a], []), FIRST)
