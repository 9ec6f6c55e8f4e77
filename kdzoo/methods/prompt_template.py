"""Texts from which a second prompt is made for each example: its own prompt and target, with words around them."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

from kdzoo.spelling import nearest

PLACES = ("prompt", "target")
_PLACE = re.compile(rf"\{{({'|'.join(PLACES)})\}}")
_ANY_PLACE = re.compile(r"\{\s*(\w+)\s*\}")


def _checked(template: str) -> str:
    if "prompt" not in _PLACE.findall(template):
        raise ValueError("must have {prompt} where the prompt is to stand, and {target} where the target is")
    for word in _ANY_PLACE.findall(_PLACE.sub("", template)):
        meant = nearest(word.lower(), list(PLACES))
        if meant is not None:
            raise ValueError(f'has {{{word}}}, which stays as it is; did you mean "{{{meant}}}"?')
    return template


PromptTemplate = Annotated[str, AfterValidator(_checked)]
"""The type of an option that is the text of a second prompt: {prompt} and {target} in it stand for an example's own.

All other braces stay as they are.
"""


def filled(template: str, prompt: str, target: str) -> str:
    """The template with an example's prompt and target in their places."""
    values = {"prompt": prompt, "target": target}
    return _PLACE.sub(lambda place: values[place[1]], template)
