"""The licence of what a model was made from, as far as the folder or the card of its base tells it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import HfApi, ModelCard, ModelCardData
from huggingface_hub.constants import HF_HUB_OFFLINE, REPOCARD_NAME

from kdzoo.runs.export.base import Source

_FILES = ("LICENSE*", "LICENCE*", "NOTICE*", "USE_POLICY*", "COPYING*")
# A licence's text is no longer than this; what is is no licence.
_MOST = 1 << 20
_SECONDS = 10.0


@dataclass(frozen=True)
class Licence:
    """A licence as a card's metadata names it: an identifier of the hub's, and for others a name and a link."""

    identifier: str
    name: str | None = None
    link: str | None = None

    @property
    def words(self) -> str:
        """What a reader is told."""
        return self.name or self.identifier


def licence_of(base: Source) -> Licence | None:
    """The licence of a base that its folder's card, or the hub, names; None where neither does."""
    data = None
    if base.folder is not None:
        data = _of_card(base.folder / REPOCARD_NAME)
    elif base.is_on_hub and not HF_HUB_OFFLINE:
        data = _of_hub(base)
    if data is None or not isinstance(data.license, str):
        return None
    name, link = data.license_name, data.license_link
    # a link within the base's own folder leads nowhere from here
    is_link = isinstance(link, str) and link.startswith(("https://", "http://"))
    return Licence(data.license, name if isinstance(name, str) else None, link if is_link else None)


def take_files_along(base: Source, folder: Path) -> list[str]:
    """Copy the licence's own texts of a base in a local folder, which most licences ask for. Gives their names."""
    copied = []
    for file in _licence_files(base.folder):
        shutil.copyfile(file, folder / file.name)
        copied.append(file.name)
    return copied


def _licence_files(folder: Path | None) -> Iterator[Path]:
    if folder is not None and folder.is_dir():
        for pattern in _FILES:
            yield from (f for f in sorted(folder.glob(pattern)) if f.is_file() and f.stat().st_size <= _MOST)


def _of_card(file: Path) -> ModelCardData | None:
    if not file.is_file():
        return None
    try:
        data = ModelCard.load(file, ignore_metadata_errors=True).data
    except (
        Exception
    ):  # a card that cannot be read, which YAML and the hub's classes say in many ways, says nothing
        return None
    return data if isinstance(data, ModelCardData) else None


def _of_hub(base: Source) -> ModelCardData | None:
    try:
        return HfApi().model_info(base.name, revision=base.revision, timeout=_SECONDS).card_data
    except Exception:  # whatever keeps the hub from telling, the card then says where the licence is
        return None
