"""A run's trained model that answers questions of a user, as it does in an evaluation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase, TextStreamer

from kdzoo.engine.models.adapters import base_model
from kdzoo.engine.models.end_tokens import ending_at
from kdzoo.engine.models.tokenizers import load_tokenizer, reads_special_tokens
from kdzoo.engine.prompts.chat import Turns
from kdzoo.engine.prompts.encoding import decode
from kdzoo.errors import UserError
from kdzoo.report.progress import Reporter
from kdzoo.runs.asked_data import AskedData
from kdzoo.runs.context import ModelRef, RunContext
from kdzoo.runs.evaluation.evaluate import encode_questions, judged
from kdzoo.runs.run_directory import RunDirectory
from kdzoo.runs.threads import threads_for
from kdzoo.runs.trained_stage import TrainedStage
from kdzoo.tasks.example import Example
from kdzoo.tasks.load import DataReader


@dataclass(frozen=True)
class Answered:
    """What a model has said, and what of it an evaluation judges (of text-to-SQL: the statement).

    ``was_shortened``: the prompt was longer than the evaluation's input limit. ``was_cut``: the answer had not ended when
    it had as many tokens as it may have. ``database`` is the file that a statement is to be run on.
    """

    text: str
    judged: str
    was_shortened: bool = False
    was_cut: bool = False
    database: Path | None = None


class AnsweringModel:
    """Loads the model that a stage has left, once, and answers with it.

    It decodes greedily, or at a ``temperature`` samples by ``seed``, ``most`` tokens at the most: those of the evaluation
    unless given.
    """

    def __init__(
        self,
        found: TrainedStage,
        asked: AskedData,
        reporter: Reporter,
        *,
        temperature: float = 0.0,
        most: int | None = None,
        seed: int = 0,
    ) -> None:
        """Load the model and its tokenizer.

        Raises:
            UserError: one cannot be loaded, or the model has too few positions for so many tokens.
        """
        self._asked = asked
        self._context = _Context(found, reporter)
        self._model: Any = self._context.model_to_use(ModelRef(found.stage.role, found.folder))
        self._ends = self._context.end_ids(self._model)
        self._most = most or asked.evaluation.output_limit
        self._check_positions()
        inner = base_model(self._model)
        settings = ending_at(self._model, self._ends, self._context.tokenizer.pad_token_id)
        settings.max_new_tokens = self._most
        if temperature > 0:
            settings.update(do_sample=True, temperature=temperature, top_k=0, top_p=1.0)
        inner.generation_config = settings
        self._temperature = temperature
        torch.manual_seed(seed)

    @property
    def has_turns(self) -> bool:
        """Whether what was said before may stand before a question: of text, with a chat template."""
        return self._asked.asking is None and self._context.chat is not None

    def answer(
        self, question: str, earlier: Turns = (), tell: Callable[[str], None] | None = None
    ) -> Answered:
        """Answer a question, after what was said ``earlier``; ``tell`` gets the answer piece by piece as it comes.

        Raises:
            UserError: the chat template refuses the conversation.
        """
        context, evaluation = self._context, self._asked.evaluation
        example = self._example(question, earlier)
        (prompt,), _ = encode_questions(context, [example], evaluation)
        ids = torch.tensor([prompt.prompt], device=self._model.device)
        streamer = None if tell is None else _Streamer(context.tokenizer, tell)
        with torch.no_grad(), threads_for(self._model, context.recipe.threads):
            output = self._model.generate(
                input_ids=ids, attention_mask=torch.ones_like(ids), streamer=streamer
            )
        said: list[int] = output[0, ids.shape[1] :].tolist()
        text = decode(context.tokenizer, said)
        return Answered(
            text,
            judged(self._asked.data, [text], evaluation)[0],
            context.prompts.tokens(example.prompt, example.earlier) > evaluation.input_limit,
            not said or said[-1] not in self._ends,
            example.database,
        )

    def _example(self, question: str, earlier: Turns) -> Example:
        asked = self._asked
        if asked.asking is not None and asked.database is not None:
            return asked.asking.example(question, asked.database)
        return Example("asked", question, "", question=question, earlier=tuple(earlier))

    def _check_positions(self) -> None:
        positions = getattr(self._model.config.get_text_config(), "max_position_embeddings", None)
        longest = self._asked.evaluation.input_limit + self._most
        if positions is not None and positions < longest:
            raise UserError(
                f"the model has {positions:,} positions, fewer than the {longest:,} of a prompt (evaluation.input_limit) and "
                "its answer (--max-new-tokens)"
            )


class _Context(RunContext):
    """The tokenizer is the one that is saved with the model, which needs none of what the run was made from."""

    def __init__(self, found: TrainedStage, reporter: Reporter) -> None:
        folder = found.run.folder
        super().__init__(found.recipe, RunDirectory(folder), DataReader.below(folder.parent), reporter)
        self._found = found

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        config = self._config(self._found.stage.role)
        tokenizer = load_tokenizer(str(self._found.model), trust_remote_code=config.trust_remote_code)
        return tokenizer if self.recipe.prompt.template == "plain" else reads_special_tokens(tokenizer)


class _Streamer(TextStreamer):  # type: ignore[misc]  # transformers has no types
    def __init__(self, tokenizer: PreTrainedTokenizerBase, tell: Callable[[str], None]) -> None:
        super().__init__(
            tokenizer, skip_prompt=True, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        self._tell = tell

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        if text:
            self._tell(text)
