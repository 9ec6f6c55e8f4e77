"""The licence of a base, as its folder or the hub tells it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from huggingface_hub import ModelCardData

from kdzoo.runs.export import licence
from kdzoo.runs.export.base import Source
from kdzoo.runs.export.licence import Licence, licence_of, take_files_along

CARD = "---\nlicense: other\nlicense_name: llama3\nlicense_link: {link}\n---\n# A base\n"


def local(folder: Path) -> Source:
    return Source("base", "the local folder base", folder=folder)


def test_a_folder_s_card_names_it(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    assert licence_of(local(tmp_path)) == Licence("apache-2.0")
    (tmp_path / "README.md").write_text(CARD.format(link="https://llama/licence"))
    found = licence_of(local(tmp_path))
    assert found == Licence("other", "llama3", "https://llama/licence")
    assert found.words == "llama3"
    (tmp_path / "README.md").write_text(CARD.format(link="LICENSE"))
    assert licence_of(local(tmp_path)) == Licence("other", "llama3", None)


@pytest.mark.parametrize(
    "card", ["# no metadata\n", "---\n- a list\n---\n", "---\n: {\n---\n", b"\xff\xfe", None]
)
def test_a_card_may_say_nothing(tmp_path: Path, card: str | bytes | None) -> None:
    if card is not None:
        (tmp_path / "README.md").write_bytes(card if isinstance(card, bytes) else card.encode())
    assert licence_of(local(tmp_path)) is None


def test_the_hub_is_asked_for_a_hub_name(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def model_info(name: str, *, revision: str | None, timeout: float) -> Any:
        asked.append((name, revision))
        return SimpleNamespace(card_data=ModelCardData(license="mit"))

    monkeypatch.setattr(licence, "HfApi", lambda: SimpleNamespace(model_info=model_info))
    base = Source("some/base", "some/base", is_on_hub=True, revision="v2")
    assert licence_of(base) is None  # the suite is offline
    assert asked == []
    monkeypatch.setattr(licence, "HF_HUB_OFFLINE", False)
    assert licence_of(base) == Licence("mit")
    assert asked == [("some/base", "v2")]


def test_a_hub_that_cannot_be_reached_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def model_info(*_: Any, **__: Any) -> Any:
        raise ConnectionError

    monkeypatch.setattr(licence, "HfApi", lambda: SimpleNamespace(model_info=model_info))
    monkeypatch.setattr(licence, "HF_HUB_OFFLINE", False)
    assert licence_of(Source("some/base", "some/base", is_on_hub=True)) is None


def test_its_texts_are_taken_along(tmp_path: Path) -> None:
    base, out = tmp_path / "base", tmp_path / "out"
    base.mkdir()
    out.mkdir()
    (base / "LICENSE.txt").write_text("terms")
    (base / "NOTICE").write_text("notice")
    (base / "LICENSE.bin").write_bytes(bytes(2 << 20))
    (base / "config.json").write_text("{}")
    assert take_files_along(local(base), out) == ["LICENSE.txt", "NOTICE"]
    assert {file.name: file.read_text() for file in out.iterdir()} == {
        "LICENSE.txt": "terms",
        "NOTICE": "notice",
    }
    assert take_files_along(Source("some/base", "some/base", is_on_hub=True), out) == []
