"""What a file of predictions is held against: the names that the gold file gives its questions and columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kdzoo.errors import UserError

# The keys that tell which question an entry belongs to; the first that entries have counts.
_ID_KEYS = ("question_id", "id")


@dataclass(frozen=True)
class GoldFile:
    """``count`` questions. ``ids``: by key, those of the questions in their order, where all of them have one.

    ``names`` are what the questions are called where the file gives none. ``text_keys`` are the keys, in lower
    case, under which its entries hold text.
    """

    count: int
    ids: Mapping[str, Sequence[str]] = field(default_factory=dict)
    names: Sequence[str] = ()
    text_keys: frozenset[str] = frozenset()

    @classmethod
    def of(cls, entries: Sequence[Mapping[str, Any]], names: Sequence[str]) -> GoldFile:
        """Look at a gold file's entries."""
        ids = {
            key: [str(entry[key]) for entry in entries]
            for key in _ID_KEYS
            if all(_is_id(entry.get(key)) for entry in entries)
        }
        keys = {key.lower() for entry in entries for key, value in entry.items() if isinstance(value, str)}
        return cls(len(entries), ids, names, frozenset(keys))

    def order_of(self, entries: Sequence[tuple[str, Mapping[str, Any]]]) -> list[int] | None:
        """The entry of each question by the ids that the entries give; None if they give none.

        ``entries`` come with where they stand.

        Raises:
            UserError: the ids are not those of the questions, each once; the message says what is wrong.
        """
        key = next((key for key in _ID_KEYS if any(key in entry for _, entry in entries)), None)
        if key is None:
            return None
        given = []
        for where, entry in entries:
            if not _is_id(entry.get(key)):
                raise UserError(f'{where}: has no "{key}" (a number or text), as others in the file have')
            given.append(str(entry[key]))
        known = self._known(key)
        for ids in known:
            if given == list(ids):
                return list(range(len(given)))
        for ids in known:
            if len(set(ids)) == len(ids) == len(given) and set(ids) == set(given):
                places = {name: place for place, name in enumerate(given)}
                return [places[name] for name in ids]
        raise UserError(_what_is_wrong(key, given, [where for where, _ in entries], known))

    def _known(self, key: str) -> list[Sequence[str]]:
        """What an id may be, the likeliest first: the file's own, else the questions' names or places."""
        own = [self.ids[k] for k in (key, *_ID_KEYS) if k in self.ids]
        places = [] if own else [[str(place) for place in range(self.count)]]
        return [*own, *([self.names] if self.names else []), *places]


def _is_id(value: Any) -> bool:
    return isinstance(value, int | str) and not isinstance(value, bool)


def _what_is_wrong(
    key: str, given: Sequence[str], where: Sequence[str], known: Sequence[Sequence[str]]
) -> str:
    likeliest = max(known, key=lambda ids: len(set(ids) & set(given)))
    for place, name in enumerate(given):
        if name not in likeliest:
            return (
                f'{where[place]}: no question has the {key} "{name}" (they have "{likeliest[0]}" to '
                f'"{likeliest[-1]}"); without any "{key}" predictions are taken in the questions\' order'
            )
        if name in given[:place]:
            return f'{where[place]}: a second prediction with the {key} "{name}"'
    missing = next((name for name in likeliest if name not in given), None)
    file = where[0].rsplit(":", 1)[0]
    if missing is not None:
        return f'{file}: has no prediction with the {key} "{missing}"'
    return f"{file}: several questions have the same {key}, and the predictions are not in their order"
