"""The logits of a step's further table models on scored tokens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import Tensor

from kdzoo.methods.model_names import no_such_model
from kdzoo.methods.sequences import ScoredTokens
from kdzoo.testing.table_model import TableStep


class TableLogits(Mapping[str, Tensor]):
    """Logits [N, V] by the models' names, of the type and on the tokens of those that the teacher has given.

    What is given for the teacher counts for the model that teaches too, unless that reads privileged prompts.
    """

    def __init__(self, step: TableStep, tokens: ScoredTokens, of_teacher: Tensor) -> None:
        self._step = step
        self._tokens = tokens
        self._of_teacher = of_teacher

    def __getitem__(self, name: str) -> Tensor:
        step, tokens = self._step, self._tokens
        if name not in step.names_beside_the_student:
            raise no_such_model(name, step.names_beside_the_student)
        if step.teacher is step.model(name):
            return self._of_teacher
        logits = step.model(name).logits(step.training_sequence)
        return logits[tokens.rows, tokens.positions].to(self._of_teacher.dtype)

    def __iter__(self) -> Iterator[str]:
        return iter(self._step.names_beside_the_student)

    def __len__(self) -> int:
        return len(self._step.names_beside_the_student)
