"""Reading files that people give us, and writing ours so that a crash never leaves half of one; and why either failed."""

from __future__ import annotations

import codecs
import errno
import hashlib
import json
import os
import secrets
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from kdzoo.errors import UserError

# How libraries below us word that the system refused to write, where they do not raise an OSError.
_REFUSALS = ("I/O error", "PytorchStreamWriter failed", "unexpected pos")

# How libraries, and the system's own loader of them, word that there is no more memory.
_SHORTAGES = (
    "can't allocate memory",
    "Cannot allocate memory",
    "cannot allocate memory",
    "bad_alloc",
    "failed to map segment",
    "can't start new thread",
)

_READ = 1 << 20

# Machines, and containers above all, have processes of the same numbers, and may share a folder.
_TOKEN = secrets.token_hex(4)


def read_text(file: Path, what: str = "file", most: int | None = None) -> str:
    """The content of a file in UTF-8, which may begin with a byte order mark. ``what`` it should be is for messages.

    Of a file that holds more than ``most`` bytes, or has no end, no more than these are read.

    Raises:
        UserError: there is no such file, it cannot be read, it holds more than ``most`` bytes, or it is no UTF-8 text.
    """
    try:
        with file.open("rb") as stream:
            raw = stream.read(-1 if most is None else most + 1)
    except FileNotFoundError:
        raise UserError(f"{file}: there is no such {what}") from None
    except IsADirectoryError:
        raise UserError(f"{file}: is a folder, not a {what}") from None
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror}") from None
    except ValueError:  # a null character
        raise UserError(f"{str(file)!r}: names no {what}") from None
    if most is not None and len(raw) > most:
        raise UserError(f"{file}: is larger than {most:,} bytes, the most that a {what} may have")
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise UserError(f"{file}: is UTF-16 text; write it as UTF-8")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise UserError(f"{file}:{line}: not UTF-8 text (byte {error.start} of the file)") from None


def read_json(file: Path) -> Any:
    """The content of a JSON file.

    Raises:
        UserError: it cannot be read, or it is not JSON; the message names the line.
    """
    try:
        return parse_json(read_text(file))
    except NotJSONError as error:
        where = f"{file}" if error.line is None else f"{file}:{error.line}"
        raise UserError(f"{where}: {error}") from None


class NotJSONError(ValueError):
    """What is wrong with a text that is no JSON, and in which of its lines, counted from 1, where that is known."""

    def __init__(self, reason: str, line: int | None = None) -> None:
        super().__init__(reason)
        self.line = line


def parse_json(text: str) -> Any:
    """What a JSON text says.

    Raises:
        NotJSONError: it is no JSON, or none that can be read.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise NotJSONError(f"not valid JSON: {error.msg} (column {error.colno})", error.lineno) from None
    except RecursionError:
        raise NotJSONError("nested too deeply") from None
    except ValueError as error:  # a number of too many digits
        raise NotJSONError(f"not valid JSON: {error}") from None


def digest_of(file: Path, whole: int = 64 << 20) -> str:
    """A hash by which a file's content is known again: the same for a copy of it, however new.

    A file of more than ``whole`` bytes, which would take too long to read, is known by its size, its time and its first MiB
    (where SQLite keeps a counter that it raises with every change).

    Raises:
        OSError: it cannot be read.
        ValueError: there can be no file of this name (it has a null character).
    """
    status = file.stat()
    return _digest_of(file, whole, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


@cache
def _digest_of(file: Path, whole: int, size: int, modified: int, changed: int) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        if size > whole:
            digest.update(f"{size}:{modified}".encode() + stream.read(_READ))
        else:
            while part := stream.read(_READ):
                digest.update(part)
    return digest.hexdigest()


def temporary_name(path: Path) -> Path:
    """What to call a file while it is being written: hidden beside its place, and no other process's of any machine."""
    return path.with_name(f".{path.name}.{os.getpid()}-{_TOKEN}.tmp")


def write_text(path: Path, text: str) -> None:
    """Replace a file's content at once."""
    temporary = temporary_name(path)
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Replace a JSON file's content at once."""
    write_text(path, _as_json(content))


def overwrite_json(path: Path, content: Any) -> None:
    """Write over a JSON file's own space, which a full disk allows as long as no more blocks are needed.

    A crash in between leaves the file broken: for what is better said so than not at all.
    """
    with path.open("r+b") as file:
        file.write(_as_json(content).encode())
        file.truncate()


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Fill a folder under a temporary name; it takes its own name when the block ends well, replacing what was there.

    Its files are on the disk by then.
    """
    temporary = temporary_name(path)
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file():
                with file.open("rb") as stream:
                    os.fsync(stream.fileno())
        if path.exists():
            shutil.rmtree(path)
        temporary.rename(path)
        names_to_disk(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def free_bytes(folder: Path) -> int:
    """The bytes that are free on the disk of a folder, which may still have to be made."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.is_dir())
    return shutil.disk_usage(there).free


def names_to_disk(folder: Path) -> None:
    """Let the names in a folder outlast a loss of power, where the file system can promise that."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        return
    finally:
        os.close(handle)


def remove_leftovers(folder: Path) -> None:
    """Remove what a killed process was writing in a folder, where no other process is at work."""
    for leftover in folder.glob(".*.tmp"):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the system gave no more memory, which a file may be read into as well."""
    is_told = isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
    return is_told or any(shortage in str(error) for shortage in _SHORTAGES)


def why_not_written(error: BaseException, below: Path | None = None) -> str | None:
    """The reason, if an error says that the system refused to write a file (a full disk, a limit); else None.

    The file is named as it is seen from the folder ``below``, and that folder not at all.
    """
    if isinstance(error, BrokenPipeError):
        return None  # whoever read our output has gone
    if isinstance(error, OSError):
        reason = error.strerror or str(error)
        file = None if error.filename is None else _seen_from(below, Path(os.fsdecode(error.filename)))
        return reason if file is None else f"{file}: {reason}"
    words = str(error)
    from_sqlite = isinstance(error, sqlite3.OperationalError) and ("disk" in words or "readonly" in words)
    if from_sqlite or any(refusal in words for refusal in _REFUSALS):
        return words.splitlines()[0]
    return None


def why_not_writable(folder: Path) -> str | None:
    """The reason why nothing can be written to a folder, which need not be there yet; None if there is none."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    code = errno.ENOTDIR
    if os.statvfs(there).f_flag & os.ST_RDONLY:
        code = errno.EROFS
    elif there.is_dir():
        if os.access(there, os.W_OK | os.X_OK):
            return None
        code = errno.EACCES
    reason = os.strerror(code)
    return reason if there == folder else f"{there}: {reason}"


def _seen_from(folder: Path | None, file: Path) -> Path | None:
    if folder is None or not file.absolute().is_relative_to(folder.absolute()):
        return file
    return None if file.absolute() == folder.absolute() else file.absolute().relative_to(folder.absolute())


def _as_json(content: Any) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
