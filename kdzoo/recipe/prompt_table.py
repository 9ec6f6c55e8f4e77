"""[prompt]: how prompts are written for the models."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from kdzoo.recipe.tables import Location, Table, conflict


class PromptConfig(Table):
    """[prompt]: how the data's prompts and targets are written for the models.

    With the template "chat" a prompt is what a user says and a target what the assistant answers, in the form of the
    tokenizer's own chat template, up to the end of the answer's turn, which ends what is generated too.
    """

    template: Literal["plain", "chat"] = Field(
        "plain", description="plain: texts as they are; chat: by the tokenizer's chat template"
    )
    system: Location | None = Field(
        None, description="chat: the system message of conversations that have none of their own"
    )

    @model_validator(mode="after")
    def _parts_fit(self) -> PromptConfig:
        if self.system is not None and self.template != "chat":
            raise conflict('belongs to a chat; write template = "chat" beside it', "system", "template")
        return self
