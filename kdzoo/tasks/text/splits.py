"""A split of a dataset as the ``datasets`` library reads it, which is imported when it is needed and not before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdzoo.errors import UserError
from kdzoo.spelling import did_you_mean

# What the library calls the readers of local files.
_READERS = {
    ".parquet": "parquet",
    ".json": "json",
    ".jsonl": "json",
    ".csv": "csv",
    ".tsv": "csv",
    ".arrow": "arrow",
}
_SAVED_TO_DISK = ("dataset_dict.json", "state.json")


@dataclass(frozen=True)
class Table:
    """Parts of splits, one after the other: of each its rows from ``start`` to before ``end``."""

    columns: list[str]
    parts: list[tuple[Any, int, int]]

    def rows(self, columns: Sequence[str], most: int | None = None) -> Iterator[dict[str, Any]]:
        """The first so many rows, with these columns only."""
        left = most
        for split, start, end in self.parts:
            end = end if left is None else min(end, start + left)
            left = None if left is None else left - (end - start)
            yield from split.select(range(start, end)).select_columns(list(columns))


def read_split(
    path: str, subset: str | None, revision: str | None, split: str, key: str, cache: Path
) -> Table:
    """Read a split, or parts of it as the library writes them (``train[:10%]``, ``train+test``).

    ``key`` is how a message calls the setting that names the split. What is made of local files is kept below ``cache``.

    Raises:
        UserError: the library is not installed, the data cannot be found or read, or have no such split.
    """
    try:
        import datasets
    except ImportError:
        raise UserError(
            'data of kind "hf" need the package datasets: pip install "kdzoo[datasets]"'
        ) from None
    splits = _splits(datasets, path, subset, revision, cache)
    lengths = {name: len(found) for name, found in splits.items()}
    try:
        instructions = datasets.ReadInstruction.from_spec(split).to_absolute(lengths)
    except (ValueError, AssertionError) as error:
        name = split.partition("[")[0]
        known = list(lengths)
        if name not in known and "+" not in split:
            raise UserError(
                f"{path}: {key}: there is no split {name!r}{did_you_mean(name, known)}; it has {', '.join(known)}"
            ) from None
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: {key}: {split!r} cannot be read as a split: {reason}") from None
    parts = [
        (splits[i.splitname], i.from_ or 0, lengths[i.splitname] if i.to is None else i.to)
        for i in instructions
    ]
    return Table(list(parts[0][0].column_names), parts)


def _splits(
    datasets: Any, path: str, subset: str | None, revision: str | None, cache: Path
) -> dict[str, Any]:
    """All splits by their names; those of a file, or of a single split that was saved, are called train."""
    local = Path(path).expanduser()
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity_error()
    try:
        if local.is_dir() and any((local / name).is_file() for name in _SAVED_TO_DISK):
            found = datasets.load_from_disk(str(local))
            return dict(found) if isinstance(found, datasets.DatasetDict) else {"train": found}
        if local.is_file():
            return dict(_of_file(datasets, local, cache))
        settings = {"cache_dir": str(cache / "datasets")} if local.is_dir() else {}
        loaded = datasets.load_dataset(
            str(local) if local.is_dir() else path, subset, revision=revision, **settings
        )
        return dict(loaded)
    except UserError:
        raise
    except Exception as error:  # the library raises those of every format and of the network
        raise UserError(_why(error, path, local)) from error


def _of_file(datasets: Any, file: Path, cache: Path) -> Any:
    reader = _READERS.get(file.suffix.lower())
    if reader is None:
        known = ", ".join(_READERS)
        raise UserError(f"{file}: its name must end with one of {known}, which say how it is read")
    settings = {"sep": "\t"} if file.suffix.lower() == ".tsv" else {}
    return datasets.load_dataset(
        reader, data_files={"train": str(file)}, cache_dir=str(cache / "datasets"), **settings
    )


def _why(error: Exception, path: str, local: Path) -> str:
    reason = " ".join(str(error).split())
    # the library says what is wrong with a file in the error behind its own
    if error.__cause__ is not None:
        reason = f"{reason} ({' '.join(str(error.__cause__).split())[:300]})"
    if local.exists():
        return f"{path}: cannot be read: {reason}"
    return f"{path}: there is no such folder or file, and as a hub name it cannot be loaded: {reason}"
