"""Which of a recipe's data the questions of a user are like, and on which database they are asked. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdzoo.errors import UserError
from kdzoo.recipe import Evaluation
from kdzoo.runs.trained_stage import TrainedStage
from kdzoo.spelling import hint
from kdzoo.tasks import registry
from kdzoo.tasks.asking import Asking
from kdzoo.tasks.dataset import DataConfig


@dataclass(frozen=True)
class AskedData:
    """The data whose prompts the questions have, and the settings that their answers are made by.

    Of text-to-SQL, ``asking`` makes the prompts, on ``database``: a name among the data's, or a file.
    """

    data: DataConfig
    evaluation: Evaluation
    asking: Asking | None = None
    database: str | Path | None = None


def choose_data(found: TrainedStage, cache: Path, name: str | None, file: Path | None) -> AskedData:
    """Choose the first evaluation set of the run's recipe, or what the stage was trained on, that has the database.

    ``name`` or ``file`` are the database that is asked for; without either the only one there is.

    Raises:
        UserError: there is no such database, or none is named among several, or the data are no text-to-SQL.
    """
    asked = list(_candidates(found, cache))
    on_databases = [one for one in asked if one.asking is not None]
    if not on_databases:
        if name is not None or file is not None:
            raise UserError(
                f'the data of {found.run.folder} are no text-to-SQL (kind = "{asked[0].data.kind}"), and have no databases'
            )
        return asked[0]
    if file is not None:
        return _on(on_databases[0], file)
    having = {known: one for one in reversed(on_databases) if one.asking for known in one.asking.names}
    if name is None and not asked[0].asking:
        return asked[0]
    if name is None and len(having) == 1:
        name = next(iter(having))
    if name is None or name not in having:
        raise UserError(_which(name, having))
    return _on(having[name], name)


def _candidates(found: TrainedStage, cache: Path) -> Iterator[AskedData]:
    recipe = found.recipe
    judging = next((stage for stage in recipe.stages if stage.role is None), None)
    sets = recipe.sets_of(judging)
    for data, evaluation in (
        *((scored.data, scored.evaluation) for scored in sets),
        (recipe.training_data_of(found.stage), sets[0].evaluation),
    ):
        asking = registry.datasets.find(data.kind).asking
        yield AskedData(data, evaluation, None if asking is None else asking(data, cache))


def _on(asked: AskedData, database: str | Path) -> AskedData:
    assert asked.asking is not None
    asked.asking.example("", database)  # what is no database is told before a model is loaded
    return AskedData(asked.data, asked.evaluation, asked.asking, database)


def _which(name: str | None, known: dict[str, Any]) -> str:
    names = sorted(known)
    if not names:
        return "the databases of the run's data are not there any more; --database FILE names a SQLite file"
    if name is not None:
        return f'--db: no database is called "{name}"{hint(name, names)}'
    return f"questions are asked on a database: name one by --db NAME{hint('', names)}, or --database FILE"
