"""Checks of a method's options."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal, get_args, get_origin

from pydantic import ValidationError

from kdzoo.errors import UserError
from kdzoo.methods.method import Options
from kdzoo.methods.used_options import watched
from kdzoo.testing.case import Case
from kdzoo.testing.check import Check
from kdzoo.testing.check_aux_loss import aux_loss_gives_a_tensor_or_none
from kdzoo.testing.check_divergence import divergence_gives_a_tensor
from kdzoo.testing.check_sequences import sequences_fit_their_prompts
from kdzoo.testing.check_state import sequences_are_made


def options_survive_a_recipe(case: Case) -> None:
    """The options are the same after they were written as JSON and read."""
    written = case.options.model_dump(mode="json", by_alias=True)
    assert type(case.options).model_validate(written) == case.options, (
        f"{case.name}: options do not survive being written as JSON"
    )


def options_refuse_other_names(case: Case) -> None:
    """An option that the method does not have is an error."""
    try:
        type(case.options)(**{"no such option": 1})
    except ValidationError:
        return
    raise AssertionError(f"{case.name}: its options accept any name; a recipe's typo would pass unseen")


def options_are_read(case: Case) -> None:
    """Every option is read by some hook, with the options as given or with one of them at another choice.

    Whether an option counts may depend on another, so each is put to its other choices and bounds, one at a time.
    """
    given = case.options
    unread = set(type(given).model_fields)
    every = [given, type(given)(), *_variants(given), *_variants(type(given)())]
    # what the core makes before the steps may take two choices at once
    needs_teacher = any(other.needs_teacher_target for one in every for other in (one, *_variants(one)))
    for options in every:
        if not unread:
            return
        noted, read = watched(options)
        try:
            _use(replace(case, options=noted))
            if needs_teacher:
                _ = noted.teacher_target_decoding
        except UserError:
            continue  # an impossible combination, and it says so
        unread -= read
    names = ", ".join(field for field in type(given).model_fields if field in unread)
    assert not unread, (
        f"{case.name}: no hook reads the options {names}: whatever a recipe says for them would change nothing; use "
        "them, or leave them out of the method's options"
    )


def _use(case: Case) -> None:
    """Call every hook on a few steps."""
    for step in case.steps():
        sequences = case.make(step)
        if case.implements("divergence"):
            student, teacher = (model.logits(sequences) for model in (step.student, step.teacher))
            mask = sequences.mask
            case.divergence(step, student[mask], teacher[mask], case.scored(sequences))
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


CHECKS = [
    Check(options_survive_a_recipe),
    Check(options_refuse_other_names),
    Check(
        options_are_read,
        needs=(
            sequences_are_made,
            sequences_fit_their_prompts,
            divergence_gives_a_tensor,
            aux_loss_gives_a_tensor_or_none,
        ),
    ),
]
