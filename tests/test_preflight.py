"""What does not fit is told before a run writes anything, from configurations and tokenizers alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoConfig, TrainerCallback
from transformers.integrations import integration_utils

from kdzoo import preflight
from kdzoo.errors import UserError
from kdzoo.recipe import load_recipe
from kdzoo.testing import make_tokenizer

STAGES = {
    "teacher": '[[stage]]\nkind = "finetune"\n',
    "student": '[[stage]]\nkind = "finetune"\nname = "base"\nmodel = "student"\n',
    "kid": '[[stage]]\nkind = "distill"\nmethod = "kid"\n',
    "sft": '[[stage]]\nkind = "distill"\nmethod = "sft"\n',
    "evaluate": '[[stage]]\nkind = "evaluate"\n',
}
WORDS = ["<unk>", "<s>", "</s>", "select", "from", "where"]


def save_tokenizer(folder: Path, words: list[str] = WORDS, **special: str) -> None:
    tokenizer = make_tokenizer(words, unk_token="<unk>", bos_token="<s>", eos_token="</s>", **special)
    tokenizer.save_pretrained(folder)


def save_config(folder: Path, **settings: Any) -> None:
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    AutoConfig.for_model("llama", **{"vocab_size": 6, **sizes, **settings}).save_pretrained(folder)


class Check:
    """Checks recipes of two pretrained models, which have a configuration and a tokenizer and no weights."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for role in ("teacher", "student"):
            save_config(folder / role)
            save_tokenizer(folder / role)

    def __call__(self, *stages: str, more: str = "", overrides: tuple[str, ...] = ()) -> None:
        models = "".join(f'[{role}]\npath = "{self.folder / role}"\n' for role in ("teacher", "student"))
        text = '[data]\nkind = "embedded"\n' + models + more + "".join(STAGES[stage] for stage in stages)
        path = self.folder / "r.toml"
        path.write_text(text)
        preflight.check(load_recipe(path, overrides))

    def refused(self, *stages: str, more: str = "", overrides: tuple[str, ...] = ()) -> str:
        with pytest.raises(UserError) as caught:
            self(*stages, more=more, overrides=overrides)
        assert caught.value.exit_code == 2
        message = str(caught.value)
        assert "\n" not in message
        return message


@pytest.fixture
def check(tmp_path: Path) -> Check:
    return Check(tmp_path)


def test_models_that_fit_pass_without_their_weights(check: Check) -> None:
    check("teacher", "kid", "evaluate")
    assert list(check.folder.rglob("*.safetensors")) == []


class TestTokenizers:
    def test_the_models_must_share_one(self, check: Check) -> None:
        save_tokenizer(check.folder / "student", [*WORDS[:4], "where", "from"])
        message = check.refused("kid")
        assert message.startswith("student and teacher have different tokenizers")
        assert "2 tokens differ, for example 'from': id 5 in the student's, 4 in the teacher's" in message

    def test_also_where_a_tokenizer_is_named(self, check: Check) -> None:
        save_tokenizer(check.folder / "student", [*WORDS[:4], "where", "from"])
        named = f'[tokenizer]\npath = "{check.folder / "teacher"}"\n'
        assert "different tokenizers" in check.refused("kid", more=named)

    def test_a_named_one_must_be_the_models_own(self, check: Check) -> None:
        save_tokenizer(check.folder / "another", [*WORDS[:4], "where", "from"])
        named = f'[tokenizer]\npath = "{check.folder / "another"}"\n'
        assert "names another vocabulary than the teacher's own" in check.refused("kid", more=named)

    def test_a_named_one_stands_in_where_a_model_has_none(self, check: Check) -> None:
        for file in (check.folder / "student").glob("tokenizer*"):
            file.unlink()
        assert "the tokenizer of" in check.refused("kid")
        check("kid", more=f'[tokenizer]\npath = "{check.folder / "teacher"}"\n')

    def test_a_model_must_know_all_its_tokens(self, check: Check) -> None:
        save_config(check.folder / "student", vocab_size=5)
        assert (
            check.refused("kid") == "the tokenizer has token ids up to 5, and the student knows only 5 tokens"
        )

    def test_a_padding_token_beyond_the_vocabulary_is_never_seen_by_the_model(self, check: Check) -> None:
        for role in ("teacher", "student"):
            save_tokenizer(check.folder / role, [*WORDS, "<pad>"], pad_token="<pad>")
        check("kid")

    def test_there_must_be_one(self, check: Check) -> None:
        save_tokenizer(check.folder / "teacher")
        for file in (check.folder / "student").glob("tokenizer*"):
            file.unlink()
        assert check.refused("kid").startswith(
            f"the tokenizer of '{check.folder / 'student'}' cannot be loaded"
        )


class TestModels:
    def test_a_folder_without_a_model(self, check: Check) -> None:
        (check.folder / "teacher/config.json").unlink()
        message = check.refused("kid")
        assert f"the model '{check.folder / 'teacher'}' cannot be loaded" in message
        assert "rehearse" not in message

    def test_a_hub_name_that_is_not_found_may_have_been_meant_for_a_folder(self, check: Check) -> None:
        message = check.refused("kid", overrides=("teacher.path=models/teacher",))
        assert "the model 'models/teacher' cannot be loaded" in message
        assert "There is no folder of that name here either" in message

    @pytest.mark.parametrize(
        ("override", "words"),
        [
            (
                "student.lora={rank=2, target_modules=['q_prj']}",
                "student.lora: Target modules {'q_prj'} not found",
            ),
            ("student.attention=flash_attention_2", "the student cannot be built: FlashAttention2"),
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
        assert message == "teacher.gradient_checkpointing: llama does not support it"


class TestPositions:
    """Only the models that a stage runs must have room for its prompts and targets."""

    LIMITS = ("training.input_limit=100", "training.output_limit=20")

    @pytest.mark.parametrize(
        ("short", "stages", "stage"),
        [
            ("teacher", ["teacher"], "finetune"),
            ("teacher", ["kid"], "kid"),
            ("teacher", ["teacher", "evaluate"], "finetune"),
            ("student", ["student"], "base"),
            ("student", ["sft"], "sft"),
            ("student", ["kid"], "kid"),
        ],
    )
    def test_too_few(self, check: Check, short: str, stages: list[str], stage: str) -> None:
        save_config(check.folder / short, max_position_embeddings=119)
        assert check.refused(*stages, overrides=self.LIMITS) == (
            f"stage {stage!r}: the {short} has 119 positions, fewer than the 120 of input_limit + output_limit"
        )
        save_config(check.folder / short, max_position_embeddings=120)
        check(*stages, overrides=self.LIMITS)

    @pytest.mark.parametrize(
        ("short", "stages"),
        [("teacher", ["student", "sft", "evaluate"]), ("student", ["teacher", "evaluate"])],
    )
    def test_a_model_that_takes_no_part_may_have_few(
        self, check: Check, short: str, stages: list[str]
    ) -> None:
        save_config(check.folder / short, max_position_embeddings=50)
        check(*stages, overrides=self.LIMITS)

    def test_a_teacher_takes_part_in_the_comparison_with_it(self, check: Check) -> None:
        save_config(check.folder / "teacher", max_position_embeddings=50)
        message = check.refused(
            "sft", "evaluate", overrides=(*self.LIMITS, "evaluation.metrics=['exaccerr']")
        )
        assert message.startswith("stage 'evaluate': the teacher has 50 positions")

    def test_limits_of_one_evaluation_count_for_it(self, check: Check) -> None:
        limits = (*self.LIMITS, "evaluate.input_limit=5000")
        assert check.refused("sft", "evaluate", overrides=limits).startswith(
            "stage 'evaluate': the student has"
        )


class TestLoggers:
    @pytest.fixture
    def known(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, type], None]:
        def known(name: str, callback: type) -> None:
            monkeypatch.setitem(integration_utils.INTEGRATION_TO_CALLBACK, name, callback)

        return known

    def test_one_that_is_installed(self, check: Check, known: Callable[[str, type], None]) -> None:
        known("notebook", TrainerCallback)
        check("sft", overrides=('training.loggers=["notebook"]',))

    def test_one_that_is_not(self, check: Check, known: Callable[[str, type], None]) -> None:
        class Missing(TrainerCallback):  # type: ignore[misc]
            def __init__(self) -> None:
                raise RuntimeError("requires notebook to be installed")

        known("notebook", Missing)
        message = check.refused("sft", overrides=('sft.loggers=["notebook"]',))
        assert (
            message == "stage 'sft': the logger 'notebook' cannot be used: requires notebook to be installed"
        )

    def test_one_that_does_not_exist(self, check: Check) -> None:
        message = check.refused("sft", overrides=('training.loggers=["qqqq"]',))
        assert message.startswith("stage 'sft': no logger is called 'qqqq'; there are: ")
        assert "tensorboard" in message
