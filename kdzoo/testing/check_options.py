"""The check that a method uses its options."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal, get_args, get_origin

from pydantic import ValidationError

from kdzoo.errors import UserError
from kdzoo.methods.method import Options
from kdzoo.methods.registry import implements
from kdzoo.methods.used_options import watched
from kdzoo.testing.case import Case


def check_options_are_used(case: Case, given: Options, read: set[str]) -> None:
    """Every option is read by some hook: ``read`` are those that were with the options that are ``given``.

    What is left may depend on another option, so each of these is put to its other choices and bounds, one at a time.
    """
    unread = set(type(given).model_fields) - read
    for options in (type(given)(), *_variants(given), *_variants(type(given)())):
        if not unread:
            return
        noted, now_read = watched(options)
        try:
            _use(replace(case, options=noted))
        except UserError:
            continue  # an impossible combination, and it says so
        unread -= now_read
    names = ", ".join(field for field in type(given).model_fields if field in unread)
    assert not unread, (
        f"{case.name}: no hook reads the options {names}: whatever a recipe says for them would change nothing; use "
        "them, or leave them out of the method's options"
    )


def _use(case: Case) -> None:
    """Call every hook on a few steps."""
    for step in case.steps():
        sequences = case.make(step)
        if implements(case.plugin, "divergence"):
            student, teacher = (model.logits(sequences) for model in (step.student, step.teacher))
            mask = sequences.mask
            case.divergence(step, student[mask], teacher[mask], sequences.scored)
        case.hooks.aux_loss(step=step, options=case.options)


def _variants(options: Options) -> Iterator[Options]:
    """The same options with one of them changed."""
    written = options.model_dump(by_alias=True)
    for field, info in type(options).model_fields.items():
        bounds = [
            getattr(part, name) for part in info.metadata for name in ("ge", "le") if hasattr(part, name)
        ]
        for value in (*_choices(info.annotation), *bounds):
            try:
                yield type(options).model_validate({**written, info.alias or field: value})
            except ValidationError:
                continue  # one that the options refuse in this combination


def _choices(annotation: Any) -> list[Any]:
    if annotation is bool:
        return [False, True]
    if get_origin(annotation) is Literal:
        return list(get_args(annotation))
    return [choice for part in get_args(annotation) for choice in _choices(part)]
