"""Pushing an exported folder to the model hub."""

from __future__ import annotations

from pathlib import Path

import huggingface_hub
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from huggingface_hub.utils._validators import validate_repo_id

from kdzoo.errors import RunError, UserError

_LOGIN = "`hf auth login`, or the environment variable HF_TOKEN, gives one"


def full_name(repo: str) -> str:
    """A repository's name with its owner's, who is whoever is logged in unless it is given.

    Raises:
        UserError: it is no name of a repository.
        RunError: nobody is logged in, or the hub cannot say who.
    """
    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise UserError(f"--push {repo}: is no name of a repository: {_one_line(error)}") from None
    if huggingface_hub.get_token() is None:
        raise RunError(f"--push {repo}: there is no token for the hub; {_LOGIN}")
    if "/" in repo:
        return repo
    try:
        return f"{huggingface_hub.HfApi().whoami()['name']}/{repo}"
    except HfHubHTTPError as error:
        raise RunError(f"--push {repo}: {_refusal(error)}") from None
    except Exception as error:  # as below
        raise RunError(f"--push {repo}: the hub cannot be reached: {_one_line(error)}") from None


def push(folder: Path, repo: str, message: str) -> str:
    """Upload a folder into a repository of models, which is made if it is not there. Gives its address.

    Raises:
        RunError: the hub refuses it, or cannot be reached.
    """
    api = huggingface_hub.HfApi()
    try:
        address = api.create_repo(repo, exist_ok=True)
        api.upload_folder(repo_id=repo, folder_path=folder, commit_message=message)
    except HfHubHTTPError as error:
        raise RunError(f"--push {repo}: {_refusal(error)}; {folder} stays as it is") from None
    except Exception as error:  # no network is another error by each version of the hub's client
        raise RunError(
            f"--push {repo}: the hub cannot be reached: {_one_line(error)}; {folder} stays as it is"
        ) from None
    return str(address)


def _refusal(error: HfHubHTTPError) -> str:
    status = None if error.response is None else error.response.status_code
    if status == 401:
        return f"the hub does not know the token; {_LOGIN}"
    if status == 403:
        return "the token may not write there"
    return f"the hub refuses it: {_one_line(error)}"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
