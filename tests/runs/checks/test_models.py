"""Models that cannot be had as the recipe wants them are told with line and key before a run writes anything."""

from __future__ import annotations

from typing import Any

import pytest

from kdzoo.engine.models import gguf
from kdzoo.engine.models.tokenizers import load_tokenizer
from kdzoo.runs.checks import count_from_scratch

Check = Any  # of conftest.py


def test_models_that_fit_pass_in_silence(check: Check) -> None:
    assert check("teacher", "kid", "evaluate") == []


def test_nothing_is_looked_at_where_every_stage_is_finished(check: Check) -> None:
    for role in ("teacher", "student"):
        (check.folder / role / "config.json").write_text("{")
    done = check.folder / "runs/other"
    assert check("teacher", "kid", finished={"finetune": done, "kid": done}) == []


def test_a_table_whose_files_only_a_hub_has_is_left_alone(check: Check) -> None:
    there = check("kid", overrides=("teacher.path=models/teacher",), tables=["student"])
    assert there == []


def test_problems_with_both_models_are_told_at_once(check: Check) -> None:
    for role in ("teacher", "student"):
        (check.folder / role / "config.json").unlink()
    lines = check.refused("kid").split("\n")
    assert [line.split(": ")[:2] for line in lines] == [
        ["./r.toml:6", "teacher.path"],
        ["./r.toml:8", "student.path"],
    ]


class TestFurtherTeachers:
    """Models in [teachers.NAME]: what is wrong with one is told at its own lines, as with the teacher."""

    TABLES = ("tokenizer", "teacher", "student", "wide")
    STAGE = '[[stage]]\nkind = "distill"\nmethod = "multi"\noptions.weights = { teacher = 1, wide = 1 }\n'

    @pytest.fixture
    def wide(self, check: Check) -> Check:
        check.save_model("wide", hidden_size=32)
        check.save_tokenizer("wide")
        check.text = check.text.replace("[student]", '[teachers.wide]\npath = "wide"\n[student]')
        return check

    def test_that_fit_pass_in_silence(self, wide: Check) -> None:
        assert wide(more=self.STAGE, tables=self.TABLES) == []

    def test_that_no_stage_uses_are_told(self, wide: Check) -> None:
        assert wide("kid", tables=self.TABLES) == ["./r.toml:7: teachers.wide: no stage uses this teacher"]

    def test_whose_weights_are_broken(self, wide: Check) -> None:
        (wide.folder / "wide/model.safetensors").write_bytes(b"cut off")
        message = wide.refused(more=self.STAGE, tables=self.TABLES)
        assert message.startswith("./r.toml:8: teachers.wide.path: the weights of './wide' cannot be loaded")

    def test_that_have_another_vocabulary(self, wide: Check) -> None:
        wide.save_tokenizer("wide", ["<unk>", "<s>", "</s>", "select", "where", "from"])
        message = wide.refused(more=self.STAGE, tables=self.TABLES)
        assert message.startswith(
            './r.toml:10: student.path: student and teacher "wide" have different tokenizers, so'
        )

    def test_that_have_too_few_positions(self, wide: Check) -> None:
        wide.save_model("wide", max_position_embeddings=50)
        limits = ("training.input_limit=40", "training.output_limit=20")
        message = wide.refused(more=self.STAGE, tables=self.TABLES, overrides=limits)
        assert message.endswith(
            'the teacher "wide" has 50 positions, fewer than the 60 of input_limit + output_limit'
        )


class TestPretrained:
    def test_a_folder_without_a_model(self, check: Check) -> None:
        (check.folder / "teacher/config.json").unlink()
        message = check.refused("kid")
        assert message.startswith("./r.toml:6: teacher.path: the model './teacher' cannot be loaded")
        assert "rehearse" not in message

    def test_layers_that_it_does_not_have(self, check: Check) -> None:
        assert check("kid", overrides=("student.keep_layers=1",)) == []
        message = check.refused("kid", overrides=("student.keep_layers=[0, 7]",))
        assert message == (
            "--set student.keep_layers=[0, 7]: there is no layer 7; the model has layers 0 to 1"
        )

    def test_a_file_in_gguf_that_is_not_there_or_cannot_be_read(self, check: Check, monkeypatch: Any) -> None:
        monkeypatch.setattr(gguf, "find_spec", lambda _: None)
        message = check.refused("kid", overrides=("student.gguf_file=m.gguf",))
        assert message.startswith("./r.toml:8: student.path: reading a GGUF file needs the package gguf")

    @pytest.mark.parametrize(
        "content",
        [
            "{",
            "[]",
            "{}",
            '{"model_type": "no such"}',
            '{"model_type": "llama", "hidden_size": "wide"}',
            '{"model_type": "llama", "num_attention_heads": 5}',
        ],
    )
    def test_a_configuration_that_is_none(self, check: Check, content: str) -> None:
        (check.folder / "student/config.json").write_text(content)
        message = check.refused("kid")
        assert message.startswith("./r.toml:8: student.path: the model './student' cannot be loaded")
        assert "\n" not in message

    def test_a_hub_name_that_is_not_found_may_have_been_meant_for_a_folder(self, check: Check) -> None:
        message = check.refused("kid", overrides=("teacher.path=models/teacher",))
        assert "the model 'models/teacher' cannot be loaded" in message
        assert "There is no folder of that name here either" in message

    @pytest.mark.parametrize(
        ("override", "words"),
        [
            (
                "student.lora={rank=2, target_modules=['q_prj']}",
                "student.lora={rank=2, target_modules=['q_prj']}: student.lora.target_modules: Target modules {'q_prj'} "
                "not found",
            ),
            (
                "student.attention=flash_attention_2",
                "student.attention=flash_attention_2: the student cannot be built: FlashAttention2",
            ),
        ],
    )
    def test_settings_that_its_architecture_cannot_have(
        self, check: Check, override: str, words: str
    ) -> None:
        assert words in check.refused("kid", overrides=(override,))

    def test_gradient_checkpointing_where_there_is_none(
        self, check: Check, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from transformers import LlamaForCausalLM

        monkeypatch.setattr(LlamaForCausalLM, "supports_gradient_checkpointing", False)
        message = check.refused("kid", overrides=("teacher.gradient_checkpointing=true",))
        assert message == "--set teacher.gradient_checkpointing=true: llama does not support it"


class TestFromScratch:
    """What is wrong with a model from scratch is told by its line, its model and the setting that is to blame."""

    MODEL = """\
[tokenizer]
train = { vocab_size = 300 }
[student]
[student.from_scratch]
architecture = "llama"
hidden_size = 16
num_attention_heads = 2
"""

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            (
                '"llama"',
                '"lama"',
                "9: student.from_scratch.architecture: no architecture 'lama'; did you mean",
            ),
            ("hidden_size", "hiden_size", "10: student.from_scratch.hiden_size: llama has no setting"),
            ("= 16", '= "16"', "10: student.from_scratch.hidden_size: llama does not accept these settings"),
            ("heads = 2", "heads = 3", "8: student.from_scratch: llama does not accept these settings"),
            ('"llama"', '"t5"', "8: student.from_scratch: the student cannot be built"),
        ],
    )
    def test_a_wrong_setting(self, check: Check, old: str, new: str, message: str) -> None:
        assert f"r.toml:{message}" in self.refused(check, self.MODEL.replace(old, new))

    @pytest.mark.parametrize("family", ["phi3", "gpt2", "opt", "bloom"])
    def test_special_tokens_are_those_of_the_run_s_tokenizer(self, check: Check, family: str) -> None:
        """Phi-3's own padding token, 32000, is no token of a vocabulary of 300."""
        check.text = self.recipe(self.MODEL.replace("llama", family))
        assert check() == []

    def recipe(self, model: str) -> str:
        data = '[data]\nkind = "jsonl"\ntrain = "train.jsonl"\nevaluation = "evaluation.jsonl"\n'
        limits = "[training]\ninput_limit = 50\noutput_limit = 20\n"
        return data + model + limits + '[[stage]]\nkind = "distill"\nmethod = "sft"\n'

    def refused(self, check: Check, model: str) -> str:
        check.text = self.recipe(model)
        message = check.refused()
        assert isinstance(message, str)
        return message


class TestParametersFromScratch:
    """Two layers of width 16 have 4,000 weights or so, and every token 16 in the table of embeddings."""

    SIZES = 'architecture = "llama", hidden_size = 16, intermediate_size = 32, num_attention_heads = 2, num_hidden_layers = 2'
    REST = 2 * (4 * 16 * 16 + 3 * 16 * 32 + 2 * 16) + 16

    def recipe(self, check: Check, tokenizer: str) -> Any:
        data = check.text.split("[teacher]")[0]
        check.text = f"{data}[tokenizer]\n{tokenizer}\n[student]\nfrom_scratch = {{ {self.SIZES} }}\n"
        return check.recipe("sft")

    def test_are_those_of_the_tokenizer(self, check: Check) -> None:
        recipe = self.recipe(check, 'path = "teacher"')
        tokenizer = load_tokenizer(str(check.folder / "teacher"))
        assert len(tokenizer) == 6
        assert count_from_scratch(recipe, tokenizer) == {"student": self.REST + 2 * 6 * 16}

    def test_are_as_many_as_a_tokenizer_that_is_not_trained_lets_there_be(self, check: Check) -> None:
        recipe = self.recipe(check, "train = { vocab_size = 1000 }")
        assert count_from_scratch(recipe, None) == {"student": self.REST + 2 * 1000 * 16}

    def test_are_unknown_where_the_tokenizer_is(self, check: Check) -> None:
        assert count_from_scratch(self.recipe(check, 'path = "someone/model"'), None) == {}
