"""Arguments that were renamed: who gives them by the earlier name is understood."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

_Function = TypeVar("_Function", bound=Callable[..., Any])


def earlier_name(earlier: str, now: str) -> Callable[[_Function], _Function]:
    """Let the argument ``now`` of a function be given by the name ``earlier`` too, which then counts."""

    def renaming(function: _Function) -> _Function:
        @wraps(function)
        def call(*arguments: Any, **named: Any) -> Any:
            if earlier in named:
                named[now] = named.pop(earlier)  # over the one that dataclasses.replace adds by itself
            return function(*arguments, **named)

        return call  # type: ignore[return-value]

    return renaming
