"""The [data] table of a recipe: which dataset, where it lies, how it is split. Imports no torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EmbeddedData(_Data):
    """The generated text-to-SQL benchmark that kdzoo brings: databases, questions and SQL made from a seed."""

    kind: Literal["embedded"]
    seed: int = 0
    questions: int = Field(6000, ge=50, description="training questions")
    test_questions: int = Field(300, ge=10, description="held-out questions")
    databases: int = Field(6, ge=1, le=6, description="how many of the domains are used")


class _SqlFiles(_Data):
    """What datasets of SQL questions have in common."""

    path: str
    values: bool = Field(True, description="show the first values of each column in the prompt")
    matching: bool = Field(True, description="show the contents that the question mentions in the prompt")
    max_train: int | None = Field(None, ge=1)
    max_evaluation: int | None = Field(None, ge=1)
    on_error: Literal["raise", "skip"] = "raise"


class SpiderData(_SqlFiles):
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
    seed: int = 0


class BirdData(_SqlFiles):
    """BIRD in its official layout."""

    kind: Literal["bird"]
    train: str = "train/train.json"
    evaluation: str = "dev/dev.json"
    evidence: bool = Field(True, description="with external knowledge (w/ EK) or without (w/o EK)")


class JsonlData(_Data):
    """Any task of prompts and targets, one JSON object a line."""

    kind: Literal["jsonl"]
    train: str
    evaluation: str


DataConfig = Annotated[EmbeddedData | SpiderData | BirdData | JsonlData, Field(discriminator="kind")]
