"""The Python that loads an exported folder with plain transformers, for its card."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kdzoo.engine.models.adapter_folder import BASE
from kdzoo.engine.prompts.chat import TEMPLATE_SETTINGS
from kdzoo.recipe.prompt_table import PromptConfig
from kdzoo.runs.export.base import AdapterBase

_PROMPT = "..."


@dataclass(frozen=True)
class HowToLoad:
    """``place`` is a folder, or a hub name if it ``is_on_hub``; ``base`` an adapter's; ``tokens`` the most of an answer."""

    place: str
    is_on_hub: bool
    base: AdapterBase | None
    prompt: PromptConfig
    chat_template: str
    tokens: int

    def code(self) -> str:
        """The whole of it."""
        return "\n".join([*self._imports(), "", *self._loading(), "", *self._asking()])

    def _imports(self) -> list[str]:
        if self.base is None:
            return ["from transformers import AutoModelForCausalLM, AutoTokenizer"]
        return [
            *(["from huggingface_hub import snapshot_download"] if self._is_fetched else []),
            "from peft import PeftModel",
            "from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig",
        ]

    @property
    def _is_fetched(self) -> bool:
        """Whether the base lies in a folder of the repository, which only a path names."""
        return self.is_on_hub and self.base is not None and self.base.is_made_by_run

    def _loading(self) -> list[str]:
        folder = f"snapshot_download({self.place!r})" if self._is_fetched else repr(self.place)
        lines = [f"folder = {folder}", "tokenizer = AutoTokenizer.from_pretrained(folder)"]
        if self.base is None:
            return [*lines, "model = AutoModelForCausalLM.from_pretrained(folder)"]
        return [
            *lines,
            self._loading_base(self.base),
            "model = PeftModel.from_pretrained(base, folder)",
            "model.generation_config = GenerationConfig.from_pretrained(folder)",
        ]

    def _loading_base(self, base: AdapterBase) -> str:
        if base.is_made_by_run:
            return f'base = AutoModelForCausalLM.from_pretrained(f"{{folder}}/{BASE}")'
        if base.folder is not None:
            return f"base = AutoModelForCausalLM.from_pretrained({base.name!r})  # where that folder is"
        revision = "" if base.revision is None else f", revision={base.revision!r}"
        return f"base = AutoModelForCausalLM.from_pretrained({base.name!r}{revision})"

    def _asking(self) -> list[str]:
        return [
            f"prompt = {_PROMPT!r}",
            *self._inputs(),
            f"output = model.generate(**inputs, max_new_tokens={self.tokens})",
            'answer = output[0, inputs["input_ids"].shape[1]:]',
            "print(tokenizer.decode(answer, skip_special_tokens=True))",
        ]

    def _inputs(self) -> list[str]:
        if self.prompt.template == "plain":
            return ['inputs = tokenizer(prompt, return_tensors="pt")']
        system = [] if self.prompt.system is None else [{"role": "system", "content": self.prompt.system}]
        before = "".join(f"{message!r}, " for message in system)
        settings: dict[str, Any] = {
            name: value for name, value in TEMPLATE_SETTINGS.items() if name in self.chat_template
        }
        more = "".join(f", {name}={value!r}" for name, value in settings.items())
        return [
            f'messages = [{before}{{"role": "user", "content": prompt}}]',
            "inputs = tokenizer.apply_chat_template(",
            f'    messages, add_generation_prompt=True, return_dict=True, return_tensors="pt"{more}',
            ")",
        ]
