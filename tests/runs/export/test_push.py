"""Pushing to a hub that stands in for the real one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

from kdzoo.errors import RunError, UserError
from kdzoo.runs.export.push import full_name, push


class FakeHub:
    """What `huggingface_hub.HfApi` is asked for; it may fail."""

    def __init__(self, error: Exception | None = None) -> None:
        self.calls: list[tuple[str, Any]] = []
        self._error = error

    def __call__(self) -> FakeHub:
        return self

    def create_repo(self, repo: str, *, exist_ok: bool) -> str:
        self.calls.append(("create", (repo, exist_ok)))
        if self._error is not None:
            raise self._error
        return f"https://hub/{repo}"

    def whoami(self) -> dict[str, str]:
        if self._error is not None:
            raise self._error
        return {"name": "me"}

    def upload_folder(self, *, repo_id: str, folder_path: Path, commit_message: str) -> None:
        self.calls.append(("upload", (repo_id, folder_path, commit_message)))


class Answer:
    """As much of a hub's answer as an error of it needs."""

    request = None

    def __init__(self, status: int) -> None:
        self.headers: dict[str, str] = {}
        self.status_code = status


def test_a_repository_is_made_and_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = FakeHub()
    monkeypatch.setattr(huggingface_hub, "HfApi", hub)
    assert push(tmp_path, "me/student", "exported") == "https://hub/me/student"
    assert hub.calls == [
        ("create", ("me/student", True)),
        ("upload", ("me/student", tmp_path, "exported")),
    ]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (HfHubHTTPError("no", response=Answer(401)), "the hub does not know the token; `hf auth login`"),
        (HfHubHTTPError("no", response=Answer(403)), "the token may not write there"),
        (HfHubHTTPError("many\n\nlines", response=Answer(500)), "the hub refuses it: many lines"),
        (OfflineModeIsEnabled("offline\nmode"), "the hub cannot be reached: offline mode"),
        (ConnectionError("no route"), "the hub cannot be reached: no route"),
        (RuntimeError(), "the hub cannot be reached: RuntimeError"),
    ],
)
def test_what_fails_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, told: str
) -> None:
    monkeypatch.setattr(huggingface_hub, "HfApi", FakeHub(error))
    with pytest.raises(RunError) as raised:
        push(tmp_path, "me/student", "exported")
    assert str(raised.value).startswith(f"--push me/student: {told}")
    assert str(raised.value).endswith(f"; {tmp_path} stays as it is")
    assert "\n" not in str(raised.value)


def test_a_token_is_needed_before_anything_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: "secret")
    assert full_name("me/student") == "me/student"
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    with pytest.raises(RunError, match=r"--push me/student: there is no token for the hub; `hf auth login`"):
        full_name("me/student")


@pytest.mark.parametrize("repo", ["a/b/c", "me/", "-x", "a b"])
def test_a_repository_has_a_name(repo: str) -> None:
    with pytest.raises(UserError, match=r"is no name of a repository: "):
        full_name(repo)


def test_a_repository_without_an_owner_is_one_s_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: "secret")
    monkeypatch.setattr(huggingface_hub, "HfApi", FakeHub())
    assert full_name("student") == "me/student"
    for error, told in (
        (HfHubHTTPError("no", response=Answer(401)), "does not know the token"),
        (OfflineModeIsEnabled("offline"), "cannot be reached: offline"),
    ):
        monkeypatch.setattr(huggingface_hub, "HfApi", FakeHub(error))
        with pytest.raises(RunError, match=told):
            full_name("student")
