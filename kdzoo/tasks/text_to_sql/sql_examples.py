"""From questions on databases to examples: schemas and matched contents are read once and kept on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from kdzoo.tasks.example import Example
from kdzoo.tasks.text_to_sql.contents_cache import ContentsCache
from kdzoo.tasks.text_to_sql.prompt import question_text, schema_text
from kdzoo.tasks.text_to_sql.prompt_style import PromptStyle
from kdzoo.tasks.text_to_sql.questions import Question
from kdzoo.tasks.text_to_sql.schema import Comments
from kdzoo.tasks.text_to_sql.shorten import SqlPrompt


def make_examples(
    questions: Sequence[Question], style: PromptStyle, comments: Mapping[str, Comments], cache: Path
) -> list[Example]:
    """Make one example per question, in their order. ``comments`` is by database.

    Raises:
        RunError: a database cannot be read.
    """
    examples: list[Example | None] = [None] * len(questions)
    by_database: dict[Path, list[int]] = {}
    for i, question in enumerate(questions):
        by_database.setdefault(question.database, []).append(i)
    for database, indices in by_database.items():
        of_database = [questions[i] for i in indices]
        made = _examples_of(database, of_database, style, comments.get(of_database[0].db_id, {}), cache)
        for i, example in zip(indices, made, strict=True):
            examples[i] = example
    return [example for example in examples if example is not None]


def _examples_of(
    database: Path, questions: Sequence[Question], style: PromptStyle, comments: Comments, cache: Path
) -> list[Example]:
    contents = ContentsCache(database, cache)
    schema = contents.schema(comments)
    # the knowledge names contents too
    asked = [f"{q.text} {q.evidence}".strip() for q in questions]
    matches = contents.matches(asked) if style.matches else [()] * len(questions)
    beginning = schema_text(schema, style, questions[0].db_id)
    examples = []
    for question, found in zip(questions, matches, strict=True):
        prompt = SqlPrompt(schema, question, style, found)
        examples.append(
            Example(
                id=question.id,
                prompt=beginning + question_text(question.text, style, found, question.evidence),
                target=question.sql,
                question=question.text,
                group=question.db_id,
                database=database,
                difficulty=question.difficulty,
                shorten=prompt.shortened,
            )
        )
    contents.save()
    return examples
