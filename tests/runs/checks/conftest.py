"""Recipes of two small pretrained models on prompts and targets in JSON lines, checked as before a run."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import AutoConfig, AutoModelForCausalLM

from kdzoo.errors import UserError
from kdzoo.recipe import Recipe, load_recipe
from kdzoo.report.progress import Reporter
from kdzoo.runs import checks as preflight
from kdzoo.runs.context import RunContext
from kdzoo.runs.run_directory import RunDirectory
from kdzoo.tasks.load import DataReader
from kdzoo.testing import make_tokenizer

STAGES = {
    "teacher": '[[stage]]\nkind = "finetune"\n',
    "student": '[[stage]]\nkind = "finetune"\nname = "base"\nmodel = "student"\n',
    "kid": '[[stage]]\nkind = "distill"\nmethod = "kid"\n',
    "sft": '[[stage]]\nkind = "distill"\nmethod = "sft"\n',
    "evaluate": '[[stage]]\nkind = "evaluate"\n',
}
WORDS = ["<unk>", "<s>", "</s>", "select", "from", "where"]


class Check:
    """Checks recipes of a teacher and a student in folders of their names."""

    words = WORDS
    text = """\
[data]
kind = "jsonl"
train = "train.jsonl"
evaluation = "evaluation.jsonl"
[teacher]
path = "teacher"
[student]
path = "student"
"""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.directory = folder / "runs/r"
        for role in ("teacher", "student"):
            self.save_model(role)
            self.save_tokenizer(role)
        self.save_data("train", [("select", "from where")] * 4)
        self.save_data("evaluation", [("where", "select")])

    def save_tokenizer(self, role: str, words: list[str] = WORDS, **special: str) -> None:
        tokenizer = make_tokenizer(words, unk_token="<unk>", bos_token="<s>", eos_token="</s>", **special)
        tokenizer.backend_tokenizer.pre_tokenizer = WhitespaceSplit()
        tokenizer.save_pretrained(self.folder / role)

    def save_config(self, role: str, **settings: Any) -> Any:
        sizes = {
            "hidden_size": 16,
            "intermediate_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
        }
        config = AutoConfig.for_model("llama", **{"vocab_size": 6, **sizes, **settings})
        config.save_pretrained(self.folder / role)
        return config

    def save_model(self, role: str, **settings: Any) -> None:
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(self.save_config(role, **settings))
        model.save_pretrained(self.folder / role)

    def save_data(self, split: str, pairs: Iterable[tuple[str, str]], groups: Iterable[Any] = ()) -> None:
        entries: list[dict[str, Any]] = [{"prompt": prompt, "target": target} for prompt, target in pairs]
        for entry, group in zip(entries, groups, strict=False):
            entry["group"] = group
        text = "".join(json.dumps(entry) + "\n" for entry in entries)
        (self.folder / f"{split}.jsonl").write_text(text)

    def recipe(self, *stages: str, more: str = "", overrides: tuple[str, ...] = ()) -> Recipe:
        path = self.folder / "r.toml"
        path.write_text(self.text + more + "".join(STAGES[stage] for stage in stages))
        return load_recipe(path, overrides)

    def __call__(
        self,
        *stages: str,
        more: str = "",
        overrides: tuple[str, ...] = (),
        finished: Mapping[str, Path] | None = None,
        tables: Collection[str] = ("tokenizer", "teacher", "student"),
    ) -> list[str]:
        """Give what a check tells, or raise what it refuses."""
        recipe = self.recipe(*stages, more=more, overrides=overrides)
        context = RunContext(
            recipe, RunDirectory(self.directory), DataReader(self.folder / "cache"), Reporter(quiet=True)
        )
        told = preflight.check(context, finished or {}, tables).notices
        return [line.replace(str(self.folder), ".") for line in told]

    def refused(self, *stages: str, exit_code: int = 2, **given: Any) -> str:
        """Give the message of a check that fails, with the folder's name as a dot."""
        with pytest.raises(UserError) as caught:
            self(*stages, **given)
        assert caught.value.exit_code == exit_code
        assert not self.directory.exists()
        return str(caught.value).replace(str(self.folder), ".")


@pytest.fixture
def check(tmp_path: Path) -> Check:
    return Check(tmp_path)
