"""The [data] table of a recipe: which dataset, where it lies, how it is split. Imports no torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from kdzoo.spelling import hint
from kdzoo.tasks.text_to_sql.embedded.names import DATABASES, FAMILIES

OnError = Literal["raise", "skip"]


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EmbeddedData(_Data):
    """The generated text-to-SQL benchmark that kdzoo brings: databases, questions and SQL from a seed."""

    kind: Literal["embedded"]
    seed: int = 0
    questions: int = Field(6000, ge=50, description="training questions")
    test_questions: int = Field(300, ge=10, description="held-out questions")
    databases: int = Field(
        len(DATABASES), ge=1, le=len(DATABASES), description="how many of the domains are used"
    )
    families: tuple[str, ...] = Field(
        FAMILIES, min_length=1, description="the kinds of questions that are asked"
    )

    @model_validator(mode="after")
    def _known_families(self) -> EmbeddedData:
        unknown = [name for name in self.families if name not in FAMILIES]
        if unknown:
            raise ValueError(f"no family of questions is called {unknown[0]!r}{hint(unknown[0], FAMILIES)}")
        return self


class SqlData(_Data):
    """What datasets of SQL questions have in common: where they lie and which parts their prompts have."""

    path: str
    details: bool = Field(
        True, description="show types, primary keys and comments of the columns in the prompt"
    )
    values: bool = Field(True, description="show the first values of each column in the prompt")
    matching: bool = Field(True, description="show the contents that the question mentions in the prompt")
    max_train: int | None = Field(None, ge=1, description="a seeded sample of so many training questions")
    max_evaluation: int | None = Field(
        None, ge=1, description="a seeded sample of so many evaluation questions"
    )
    on_error: OnError = "raise"
    seed: int = 0


class SpiderData(SqlData):
    """Spider in its official layout, and its variants (DK, Syn, Realistic) as evaluation files."""

    kind: Literal["spider"]
    train: tuple[str, ...] | None = Field(
        None, description="default: train_spider.json and train_others.json, else train.json"
    )
    evaluation: str = "dev.json"
    split: Literal["official", "question"] = Field(
        "official", description="question: hold out questions of the training databases, by their gold SQL"
    )
    held_out: float = Field(0.1, gt=0, lt=1, description="fraction that the question split holds out")


class BirdData(SqlData):
    """BIRD in its official layout."""

    kind: Literal["bird"]
    train: tuple[str, ...] = Field(("train/train.json",), description="none: the data is for evaluation only")
    evaluation: str = "dev/dev.json"
    evidence: bool = Field(True, description="with external knowledge (w/ EK) or without (w/o EK)")


class JsonlData(_Data):
    """Any task of prompts and targets, one JSON object a line."""

    kind: Literal["jsonl"]
    train: str
    evaluation: str
    on_error: OnError = "raise"


DataConfig = Annotated[EmbeddedData | SpiderData | BirdData | JsonlData, Field(discriminator="kind")]
