"""Collects what is wrong in a recipe and tells it all at once, with file, line and key."""

from __future__ import annotations

from collections.abc import Sequence

from kdzoo.errors import UserError
from kdzoo.recipe.lines import Key, Line, line_of
from kdzoo.recipe.origin import Origin, Override
from kdzoo.recipe.schema import Recipe

_LAST = (2, "", 0)
_MOST_TOLD = 100


class Problems:
    """The problems of one recipe. ``stages`` are the stages' names, by which their keys are shown."""

    def __init__(self, origin: Origin, stages: Sequence[object] = ()) -> None:
        self._origin = origin
        self._stages = stages
        self._found: list[tuple[tuple[int, str, int], str]] = []
        self._keys: list[Key] = []

    @classmethod
    def of(cls, recipe: Recipe) -> Problems:
        """None yet, of a recipe that has been read."""
        return cls(recipe.origin, [stage.name for stage in recipe.stages])

    @classmethod
    def unseen(cls) -> Problems:
        """Those of a table that is checked to know whether it is right; nobody is told them."""
        return cls(Origin())

    def add(self, key: Key, message: str, *others: Key) -> None:
        """Note a problem with a key. ``others`` are keys that take part in it.

        If an override set one of the keys, or the table that they stand in, the message names the override.
        """
        self._keys += [key, *others]
        override = self._override_of(key, *others)
        if override is not None:
            at, given = override
            self.add_override(given, message if at == key else self._shown(key) + message)
            return
        line = line_of(self._origin.lines, key)
        where = line or self._origin.file
        prefix = "" if where is None else f"{where}: "
        self._found.append((self._order_of(line), f"{prefix}{self._shown(key)}{message}"))

    def concern(self, table: str) -> bool:
        """Whether a table of the recipe has a problem, or takes part in one."""
        return any(key[0] == table for key in self._keys)

    def add_override(self, override: Override, message: str) -> None:
        """Note a problem with an override."""
        order = _LAST if override.line is None else self._order_of(override.line)
        self._found.append((order, f"{override.shown}: {message}"))

    @property
    def texts(self) -> list[str]:
        """All problems: the file's in its order, those of files that it extends, then those of the command line."""
        in_order = sorted(self._found, key=lambda found: found[0])
        return list(dict.fromkeys(text for _, text in in_order))

    @property
    def told(self) -> str:
        """The problems as one message, one a line; of very many no more than the first."""
        texts = self.texts
        rest = len(texts) - _MOST_TOLD
        return "\n".join(texts[:_MOST_TOLD] + ([f"and {rest:,} more"] if rest > 0 else []))

    def raise_if_any(self) -> None:
        """Tell all problems, one a line.

        Raises:
            UserError: there are problems.
        """
        if self._found:
            raise UserError(self.told)

    def _order_of(self, line: Line | None) -> tuple[int, str, int]:
        if line is None:
            return 0, "", 0
        return (0, "", line.number) if line.file == self._origin.file else (1, str(line.file), line.number)

    def _override_of(self, *keys: Key) -> tuple[Key, Override] | None:
        for key in keys:
            for at, override in reversed(self._origin.overrides.items()):  # the latest set the value
                table = key[:-1]
                made_table = bool(table) and table not in self._origin.lines and at[: len(table)] == table
                if key[: len(at)] == at or made_table:
                    return at, override
        return None

    def _shown(self, key: Key) -> str:
        """How a key is named to the user: stages by their names, everything else by dots."""
        if len(key) > 1 and key[0] == "stage" and isinstance(key[1], int):
            name = self._stages[key[1]] if key[1] < len(self._stages) else None
            rest = _dotted(key[2:])
            stage = f'stage "{name}"' if isinstance(name, str) else f"stage {key[1] + 1}"
            return f"{stage}: " + (f"{rest}: " if rest else "")
        return f"{_dotted(key)}: " if key else ""


def _dotted(key: Key) -> str:
    text = ""
    for part in key:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
