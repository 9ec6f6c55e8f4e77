"""Second prompts from a template: what stands where, and templates that say something else than they mean."""

import pytest
from pydantic import ValidationError

from kdzoo import Options, PromptTemplate
from kdzoo.methods.prompt_template import filled


class Prompting(Options):
    template: PromptTemplate = "{prompt}{target}"


def test_prompt_and_target_stand_in_their_places_and_nothing_else_is_touched():
    template = 'Of {prompt}, as {"x": {y}} and {}, {target} and {target}: {prompt}'
    assert filled(template, "{target}?", "{prompt}!") == (
        'Of {target}?, as {"x": {y}} and {}, {prompt}! and {prompt}!: {target}?'
    )
    assert Prompting(template=template).template == template


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("Answer:", r"must have \{prompt\} where the prompt is to stand"),
        ("{target}", r"must have \{prompt\}"),
        ("{prompt} {traget}", r'has \{traget\}, which stays as it is; did you mean "\{target\}"\?'),
        ("{prompt} {Target}", r'has \{Target\}, .* did you mean "\{target\}"'),
        ("{prompt} { target }", r'has \{target\}, .* did you mean "\{target\}"'),
    ],
)
def test_one_that_was_meant_otherwise_is_refused(template, words):
    with pytest.raises(ValidationError, match=words):
        Prompting(template=template)
