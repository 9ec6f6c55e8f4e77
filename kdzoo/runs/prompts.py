"""Prompts as a run's models read them: shortened to the limits and encoded, before a run as in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from kdzoo.engine.prompts.chat import ChatTemplate, Turns
from kdzoo.engine.prompts.encoding import (
    Encoded,
    Text,
    count_prompt_tokens,
    encode_for_training,
)
from kdzoo.recipe import Evaluation, Training
from kdzoo.tasks.example import Example
from kdzoo.tasks.fitting import TOKENS_ADDED, fit, without_longer


@dataclass(frozen=True)
class Prompts:
    """Prompts in the tokens of a run's tokenizer, written by its chat template where there is one."""

    tokenizer: PreTrainedTokenizerBase
    chat: ChatTemplate | None

    def tokens(self, prompt: str, earlier: Turns = ()) -> int:
        """The number of tokens of a prompt, what was said earlier and the chat template included."""
        return count_prompt_tokens(self.tokenizer, prompt, self.chat, earlier)

    @property
    def bytes_added(self) -> int:
        """At most so many tokens are added to a text to make a prompt of it."""
        return TOKENS_ADDED if self.chat is None else self.chat.bytes_added

    def to_train_on(self, examples: Sequence[Example], training: Training) -> list[Example]:
        """The examples that a training with these limits takes, with prompts as short as it wants them."""
        limit = training.input_limit
        if training.long_prompts == "leave_out":
            return without_longer(examples, limit, self.tokens, added=self.bytes_added)
        return fit(examples, limit, self.tokens, training=True, added=self.bytes_added)

    def to_answer(self, examples: Sequence[Example], evaluation: Evaluation) -> list[Example]:
        """The examples of an evaluation, with prompts as short as it wants them."""
        return fit(examples, evaluation.input_limit, self.tokens, training=False, added=self.bytes_added)

    def encoded(
        self, fitting: Sequence[Example], training: Training, privileged_prompt: str | None = None
    ) -> Encoded:
        """Encode prompts that fit with their targets; see `encode_for_training`."""
        texts = [Text(e.prompt, e.target, e.group, e.earlier) for e in fitting]
        return encode_for_training(
            texts, self.tokenizer, training.input_limit, training.output_limit, privileged_prompt, self.chat
        )
