"""Query results as hashes: 8 bytes a value, however long it is, so that results of millions of rows can be held.

Equal values have equal hashes: 1 and 1.0 are equal, 1 and '1' are not. Different ones differ, but with a
probability of 2^-64 each time they are compared. The hashes are Python's of texts and bytes (SipHash), which
differ from process to process.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from functools import cache
from itertools import islice
from struct import Struct
from typing import Any

Row = tuple[Any, ...]


class Digest:
    """A result by columns, and row by row with the values sorted as text. Its length is the number of rows."""

    def __init__(self, rows: Iterable[Row], most: int | None = None) -> None:
        """Read the rows, ``most`` of them at most."""
        self.columns: list[array[int]] = []
        self.as_text: array[int] = array("q")
        for row in islice(rows, most):
            self.columns = self.columns or [array("q") for _ in row]
            hashes = [_hash(value) for value in row]
            for column, number in zip(self.columns, hashes, strict=True):
                column.append(number)
            if len(row) > 1:
                hashes = [number for _, number in sorted(zip(map(_text, row), hashes, strict=True))]
            self.as_text.append(combine(*hashes))

    def __len__(self) -> int:
        return len(self.as_text)


def distinct_rows(rows: Iterable[Row]) -> set[int]:
    """The hashes of a result's different rows, columns in their order."""
    return {hash_row(row) for row in rows}


def hash_row(row: Row) -> int:
    """One number for a row, columns in their order."""
    return combine(*map(_hash, row))


def combine(*hashes: int) -> int:
    """One number for several in their order.

    That of a tuple would not do: sums of such numbers, which stand for multisets here, are often equal.
    """
    return hash(_packer(len(hashes)).pack(*hashes))


@cache
def _packer(count: int) -> Struct:
    return Struct(f"{count}q")


def _text(value: Any) -> str:
    """What the official program sorts the values of a row by."""
    return f"{value}{type(value)}"


def _hash(value: Any) -> int:
    # the first letter tells the types apart
    kind = type(value)
    if kind is str:
        return hash("t" + value)
    if kind is bytes:
        return hash(b"b" + value)
    if kind is float and value.is_integer():
        value = int(value)
    return hash(f"n{value!r}")
