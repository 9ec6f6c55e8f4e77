"""The rules of a dataset: what its description, its table, its examples and its fingerprint keep to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from kdzoo.spelling import hint
from kdzoo.tasks import registry
from kdzoo.tasks.entries import is_unicode
from kdzoo.tasks.example import Example, Splits
from kdzoo.testing import loaded_examples
from kdzoo.testing.check import Check
from kdzoo.testing.dataset_case import DatasetCase
from kdzoo.testing.global_generators import global_generators, global_generators_kept
from kdzoo.testing.loaded_examples import difference, digest_of_splits

_SHORTER = 2


def description_is_complete(case: DatasetCase) -> None:
    """The description's texts are there."""
    for field in ("name", "summary"):
        text = getattr(case.dataset, field)
        assert isinstance(text, str), f"Dataset.{field} must be a text, not {text!r}"
        assert text.strip(), f"Dataset.{field} is empty"


def metrics_are_installed(case: DatasetCase) -> None:
    """Every metric that the description names is there."""
    known = registry.metrics.names()
    for metric in case.dataset.metrics:
        assert metric in known, f"{case.name}: no metric {metric!r} is installed{hint(str(metric), known)}"


def table_refuses_other_keys(case: DatasetCase) -> None:
    """A key that the table does not have is an error."""
    try:
        type(case.config).model_validate({**_written(case), "no such key": 1})
    except ValidationError:
        return
    raise AssertionError(f"{case.name}: its table accepts any key; a recipe's typo would pass unseen")


def table_survives_a_recipe(case: DatasetCase) -> None:
    """The table is the same after it was written as JSON and read."""
    try:
        again = type(case.config).model_validate_json(json.dumps(_written(case)), strict=True)
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(map(str, problem["loc"]))
        raise AssertionError(
            f"{case.name}: its table cannot be read again once it is written as JSON: {key}: {problem['msg']}"
        ) from error
    assert again == case.config, f"{case.name}: its table does not survive being written as JSON"


def rehearsal_values_fit(case: DatasetCase) -> None:
    """The table is right with what a rehearsal makes smaller."""
    given, little = case.config.model_dump(), {}
    for key, most in case.dataset.little.items():
        value = given[key]
        little[key] = value[:most] if isinstance(value, list | tuple) else min(value or most, most)
    try:
        type(case.config).model_validate({**given, **little})
    except ValidationError as error:
        raise AssertionError(
            f"{case.name}: a rehearsal's table with {little} is wrong: {error.errors()[0]['msg']}"
        ) from error


def examples_are_loaded(case: DatasetCase) -> None:
    """Loading gives kdzoo.Splits, whose parts are lists of kdzoo.Example, and one example at least."""
    splits = case.loaded[0]
    assert isinstance(splits, Splits), f"{case.name}: load gave {type(splits).__name__}, not kdzoo.Splits"
    for part, examples in case.parts:
        assert isinstance(examples, list), (
            f"{case.name}: {part} must be a list, not {type(examples).__name__}"
        )
        for number, example in enumerate(examples):
            assert isinstance(example, Example), (
                f"{case.name}: {part}[{number}] must be a kdzoo.Example, not {type(example).__name__}"
            )
    assert splits.train or splits.evaluation, f"{case.name}: load gave no example at all"


def examples_are_texts(case: DatasetCase) -> None:
    """Ids, prompts and targets are texts that say something."""
    for part, examples in case.parts:
        for number, example in enumerate(examples):
            for field in ("id", "prompt", "target"):
                text, where = getattr(example, field), f"{case.name}: {part}[{number}].{field}"
                assert isinstance(text, str), f"{where} must be a text, not {text!r:.80}"
                assert text.strip(), f"{where} is blank"
                assert is_unicode(text), f"{where} holds half a character (a lone surrogate)"


def ids_are_unique(case: DatasetCase) -> None:
    """No two examples of one part have the same id."""
    for part, examples in case.parts:
        seen: set[str] = set()
        for example in examples:
            assert example.id not in seen, f"{case.name}: two examples of {part} have the id {example.id!r}"
            seen.add(example.id)


def databases_are_there(case: DatasetCase) -> None:
    """The database that an example names is a file."""
    for part, examples in case.parts:
        for example in examples:
            assert example.database is None or example.database.is_file(), (
                f"{case.name}: {part}: the example {example.id!r} names a database that is not there: {example.database}"
            )


def prompts_can_be_shortened(case: DatasetCase) -> None:
    """Where an example can shorten its prompt, it gives a text that is not longer."""
    for part, examples in case.parts:
        for example in examples:
            for training in (True, False) if example.shorten is not None else ():
                assert example.shorten is not None
                most = len(example.prompt) // _SHORTER
                text = example.shorten(lambda text, most=most: len(text) <= most, training)  # type: ignore[misc]
                assert isinstance(text, str), f"{case.name}: {part}: shorten gave {text!r:.80}, not a text"
                assert len(text) <= len(example.prompt), (
                    f"{case.name}: {part}: shorten makes the prompt of {example.id!r} longer"
                )


def global_generators_are_left_alone(case: DatasetCase) -> None:
    """Loading moves no global generator, which training or another dataset may draw from."""
    with global_generators_kept():
        before = global_generators()
        case.load(case.config, case.made_folder("of generators"))
        assert global_generators() == before, (
            f"{case.name}: load draws from a global generator, or seeds it; use one of its own, random.Random(seed)"
        )


def loading_again_gives_the_same(case: DatasetCase) -> None:
    """The same table gives the same examples, with what is kept of the first loading and without."""
    for what, cache in (("once more", case.cache), ("into another folder", case.made_folder("again"))):
        again = case.load(case.config, cache)
        differs = difference(case.splits, case.cache, again, cache)
        assert differs is None, f"{case.name}: loading {what} gives other examples: {differs}"


def another_process_loads_the_same(case: DatasetCase) -> None:
    """So it does in a process in which sets have another order."""
    # without the program's own folder on the path, whose modules might be taken for others
    command = [sys.executable, "-P", str(loaded_examples.__file__), case.name, json.dumps(_written(case))]
    paths = os.pathsep.join(path for path in sys.path if path)
    for seed in ("1", "2"):
        cache = case.made_folder(f"of another process {seed}")
        environment = {**os.environ, "PYTHONPATH": paths, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [*command, str(cache)], env=environment, check=False, capture_output=True, encoding="utf-8"
        )
        assert done.returncode == 0, (
            f"{case.name}: loading fails in another process: {(done.stderr.splitlines() or ['?'])[-1]}"
        )
        assert done.stdout.strip() == digest_of_splits(case.splits, case.cache), (
            f"{case.name}: another process loads other examples, or in another order: is a set gone through, or hash() used?"
        )


def parts_hold_their_examples(case: DatasetCase) -> None:
    """The table that is narrowed to one part gives the examples of that part."""
    for part, whole in case.parts:
        narrowed = case.dataset.part_of(case.config, part)
        if narrowed is None:
            assert not whole, f"{case.name}: part says that there is no {part}, but load gives {len(whole)}"
            continue
        cache = case.made_folder(f"only {part}")
        found = getattr(case.load(narrowed, cache), part)
        ours, theirs = ((whole, []), (found, [])) if part == "train" else (([], whole), ([], found))
        differs = difference(Splits(*ours), case.cache, Splits(*theirs), cache)
        assert differs is None, (
            f"{case.name}: the table that part narrows to {part} gives other examples: {differs}"
        )


def fingerprint_covers_what_is_read(case: DatasetCase) -> None:
    """Every file that loading reads is one of those that shape the fingerprint, so that a change of it is noticed."""
    shaping = {Path(file).expanduser().resolve() for file in case.dataset.shaping(case.config).files}
    missed = sorted(case.data_files_read - shaping)
    assert not missed, (
        f"{case.name}: load reads {missed[0]}, which does not shape the fingerprint: a run would not notice a change of "
        "it; name it by a key of file_keys or folder_keys, or in inputs"
    )


def unread_settings_are_keys(case: DatasetCase) -> None:
    """What the description calls unread settings are keys of the table."""
    known = list(type(case.config).model_fields)
    for key in case.dataset.shaping(case.config).unread:
        assert key in known, (
            f"{case.name}: inputs: unread names {key!r}, no key of its table{hint(key, known)}"
        )


def _written(case: DatasetCase) -> dict[str, Any]:
    return case.config.model_dump(mode="json", by_alias=True)


def _is_installed(case: DatasetCase) -> bool:
    return case.is_installed


def _is_narrowed(case: DatasetCase) -> bool:
    return case.dataset.part is not None


_LOADED = (examples_are_loaded,)
_READ = (examples_are_loaded, examples_are_texts)

CHECKS: list[Check[DatasetCase]] = [
    Check(description_is_complete),
    Check(metrics_are_installed),
    Check(table_refuses_other_keys),
    Check(table_survives_a_recipe),
    Check(rehearsal_values_fit),
    Check(unread_settings_are_keys),
    Check(examples_are_loaded),
    Check(examples_are_texts, needs=_LOADED),
    Check(ids_are_unique, needs=_READ),
    Check(databases_are_there, needs=_LOADED),
    Check(prompts_can_be_shortened, needs=_READ),
    Check(global_generators_are_left_alone, needs=_LOADED),
    Check(loading_again_gives_the_same, needs=(*_READ, global_generators_are_left_alone)),
    Check(
        another_process_loads_the_same,
        needs=(table_survives_a_recipe, loading_again_gives_the_same),
        applies=_is_installed,
        otherwise="does not apply to a dataset that is not installed",
    ),
    Check(
        parts_hold_their_examples,
        needs=(*_READ, loading_again_gives_the_same),
        applies=_is_narrowed,
        otherwise="does not apply to a dataset whose table is not narrowed to a part",
    ),
    Check(fingerprint_covers_what_is_read, needs=_LOADED),
]
