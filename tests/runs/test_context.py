"""What the stages of a run share: one tokenizer, and models as the recipe or an earlier stage gives them."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftConfig, PeftModel
from rich.console import Console
from transformers import AutoModelForCausalLM, AutoTokenizer

from kdzoo.engine.prompts.encoding import prompt_ids
from kdzoo.errors import UserError
from kdzoo.recipe import load_recipe
from kdzoo.report.progress import Reporter
from kdzoo.runs.context import ModelRef, RunContext
from kdzoo.runs.run_directory import RunDirectory
from kdzoo.tasks import load as load_module
from kdzoo.tasks.load import DataReader

RECIPE = """\
[data]
kind = "jsonl"
train = "train.jsonl"
evaluation = "train.jsonl"
[tokenizer]
train = { vocab_size = 320 }
[teacher]
from_scratch = { architecture = "llama", hidden_size = 16, intermediate_size = 32, num_hidden_layers = 1, num_attention_heads = 2 }
[student]
from_scratch = { architecture = "llama", hidden_size = 16, intermediate_size = 32, num_hidden_layers = 1, num_attention_heads = 2 }
[[stage]]
kind = "distill"
method = "sft"
"""

Make = Callable[..., RunContext]


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    monkeypatch.chdir(tmp_path)
    Path("train.jsonl").write_text(json.dumps({"prompt": "count 1:", "target": "1 2"}) + "\n")

    def context(*overrides: str) -> RunContext:
        Path("r.toml").write_text(RECIPE)
        recipe = load_recipe(Path("r.toml"), overrides)
        return RunContext(
            recipe, RunDirectory(Path("run")), DataReader(Path(".cache")), Reporter(Console(file=StringIO()))
        )

    return context


def weights(model: torch.nn.Module) -> list[torch.Tensor]:
    return [weight.detach() for weight in model.parameters()]


def equal(ours: torch.nn.Module, theirs: torch.nn.Module) -> bool:
    return all(a.equal(b) for a, b in zip(weights(ours), weights(theirs), strict=True))


class TestModelsFromScratch:
    def test_they_depend_on_the_seed_and_the_role_alone(self, context: Make) -> None:
        torch.manual_seed(1)
        first = context().model_to_use(ModelRef("student"))
        torch.manual_seed(2)
        assert equal(first, context().model_to_use(ModelRef("student")))
        assert not equal(first, context("seed=1").model_to_use(ModelRef("student")))
        # models of the same size must not start as each other
        teacher = context().model_to_use(ModelRef("teacher"))
        assert not equal(first, teacher)
        same = f"teachers.{{}}={RECIPE.split('from_scratch = ')[1].splitlines()[0]}"
        tables = [same.replace("{}", name).replace("={", "={from_scratch={") + "}" for name in ("one", "two")]
        one, two = (context(*tables).model_to_use(ModelRef(name)) for name in ("one", "two"))
        assert not any(equal(*pair) for pair in ((one, two), (one, first), (one, teacher), (two, teacher)))
        assert equal(one, context(tables[0]).model_to_use(ModelRef("one")))

    def test_the_student_s_may_depend_on_a_seed_of_its_own(self, context: Make) -> None:
        plain, student, both = context(), context("student_seed=1"), context("seed=1")
        for role, same in (("student", both), ("teacher", plain)):
            made = student.model_to_use(ModelRef(role))
            assert equal(made, same.model_to_use(ModelRef(role)))
            assert not equal(made, (plain if role == "student" else both).model_to_use(ModelRef(role)))

    def test_so_may_its_adapter(self, context: Make) -> None:
        lora = ("student.lora={rank=2}", "teacher.lora={rank=2}")
        for role, same in (("student", "seed=1"), ("teacher", "seed=0")):
            ours, theirs = (
                context(*lora, seed).model_to_train(ModelRef(role), Path(f"{role}-{seed}"))
                for seed in ("student_seed=1", same)
            )
            assert equal(ours, theirs)

    @pytest.mark.parametrize("lora", [(), ("student.lora={rank=2}",)])
    def test_a_stage_that_has_a_seed_of_its_own_trains_that_seed_s(
        self, context: Make, lora: tuple[str, ...]
    ) -> None:
        ours = context(*lora, "student_seed=1").model_to_train(ModelRef("student", seed=4), Path("ours"))
        theirs = context(*lora, "student_seed=4").model_to_train(ModelRef("student"), Path("theirs"))
        assert equal(ours, theirs)

    def test_they_know_the_tokenizer_s_tokens(self, context: Make) -> None:
        made = context()
        model = made.model_to_use(ModelRef("student"))
        assert model.config.vocab_size == len(made.tokenizer)
        assert model.config.eos_token_id == made.tokenizer.eos_token_id

    def test_they_leave_the_global_generator_alone(self, context: Make) -> None:
        made = context()
        assert made.tokenizer is not None
        before = torch.get_rng_state()
        made.model_to_train(ModelRef("student"), Path("stage"))
        assert torch.get_rng_state().equal(before)


class TestUse:
    def test_a_model_to_use_is_not_trained(self, context: Make) -> None:
        model = context().model_to_use(ModelRef("teacher"))
        assert not model.training
        assert not any(weight.requires_grad for weight in model.parameters())

    def test_a_model_to_train_has_all_its_weights_trained(self, context: Make) -> None:
        model = context().model_to_train(ModelRef("student"), Path("stage"))
        assert all(weight.requires_grad for weight in model.parameters())
        assert not Path("stage").exists()

    def test_or_its_adapter_alone_on_a_base_that_is_kept(self, context: Make) -> None:
        model = context("student.lora={rank=2, alpha=4}").model_to_train(ModelRef("student"), Path("stage"))
        assert isinstance(model, PeftModel)
        assert {"lora_" in name for name, w in model.named_parameters() if w.requires_grad} == {True}
        assert {"lora_" in name for name, w in model.named_parameters() if not w.requires_grad} == {False}
        assert (model.peft_config["default"].r, model.peft_config["default"].lora_alpha) == (2, 4)
        base = context().model_to_use(ModelRef("student"))
        with model.disable_adapter():
            tokens = torch.tensor([[1, 5, 9]])
            torch.testing.assert_close(model(tokens).logits, base(tokens).logits)
        assert (Path("stage") / "base/model.safetensors").is_file()

    @pytest.mark.parametrize("modules", ["'all-linear'", "['q_proj', 'embed_tokens']"])
    def test_adapters_on_weights_in_bfloat16_are_float32_wherever_they_come_from(
        self, context: Make, modules: str
    ) -> None:
        made = context(f"student.lora={{rank=2, target_modules={modules}}}", "student.dtype=bfloat16")
        first = made.model_to_train(ModelRef("student"), Path("stage"))
        assert isinstance(first, PeftModel)
        for name, weight in first.named_parameters():
            if weight.requires_grad:  # numbers that bfloat16 does not have
                weight.data.normal_(generator=torch.Generator().manual_seed(len(name)))
        first.save_pretrained("stage/model")
        again = made.model_to_train(ModelRef("student", Path("stage")), Path("next"))
        for model in (first, again):
            types = {weight.requires_grad: weight.dtype for weight in model.parameters()}
            assert types == {True: torch.float32, False: torch.bfloat16}
        assert equal(again, first)

    def test_an_adapter_remembers_its_base_s_revision_on_the_hub(
        self, context: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        base = context().model_to_use(ModelRef("student"))
        asked = []

        def from_the_hub(name: str, **settings: Any) -> Any:
            asked.append((name, settings["revision"]))
            model = copy.deepcopy(base)
            model.name_or_path = name
            return model, {"missing_keys": [], "mismatched_keys": []}

        made = context(
            'student={path="some/model", revision="v2", lora={rank=2}}', 'tokenizer={path="some/model"}'
        )
        made.tokenizer = context().tokenizer
        monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", from_the_hub)
        made.model_to_train(ModelRef("student"), Path("stage")).save_pretrained("stage/model")
        assert PeftConfig.from_pretrained("stage/model").revision == "v2"
        made.model_to_use(ModelRef("student", Path("stage")))
        assert set(asked) == {("some/model", "v2")}

    def test_a_teacher_that_the_recipe_does_not_have(self, context: Make) -> None:
        made = context()
        made.recipe = made.recipe.model_copy(update={"teacher": None})
        with pytest.raises(UserError, match=r"the recipe has no \[teacher\], and a stage needs it"):
            made.model_to_use(ModelRef("teacher"))


class TestAStudentThatBeginsAsATrainedTeacher:
    BEGUN = ModelRef("student", Path("taught"), begins_as="teacher")
    WHOLE = 'path="whole"'

    @pytest.fixture(autouse=True)
    def whole(self, context: Make) -> None:
        made = context("teacher.from_scratch.num_hidden_layers=3")
        made.model_to_use(ModelRef("teacher")).save_pretrained("whole")
        made.tokenizer.save_pretrained("whole")

    def made(self, context: Make, teacher: str = "", student: str = "") -> RunContext:
        """Both with the same path, and what else their tables say."""
        tables = (
            f"{role}={{{self.WHOLE}{more}}}" for role, more in (("teacher", teacher), ("student", student))
        )
        return context("tokenizer={path='whole'}", *tables)

    def taught(self, made: RunContext) -> torch.nn.Module:
        """What a stage has left in ``taught``: the teacher with other weights than it began with."""
        teacher = made.model_to_train(ModelRef("teacher"), Path("taught"))
        for name, weight in teacher.named_parameters():
            if weight.requires_grad:
                weight.data.normal_(std=0.3, generator=torch.Generator().manual_seed(len(name)))
        teacher.save_pretrained("taught/model")
        return teacher.eval()

    @pytest.mark.parametrize("lora", ["", ", lora={rank=2}"])
    def test_has_its_weights_all_of_which_are_trained(self, context: Make, lora: str) -> None:
        made = self.made(context, teacher=lora)
        teacher, student = self.taught(made), made.model_to_train(self.BEGUN, Path("stage"))
        tokens = torch.tensor([[1, 5, 9]])
        torch.testing.assert_close(student.eval()(tokens).logits, teacher(tokens).logits)
        assert not isinstance(student, PeftModel)
        assert all(weight.requires_grad for weight in student.parameters())

    def test_keeps_the_layers_that_it_is_to_have(self, context: Make) -> None:
        made = self.made(context, student=", keep_layers=[0, 2]")
        teacher, student = self.taught(made), made.model_to_train(self.BEGUN, Path("stage"))
        assert student.config.num_hidden_layers == 2
        teacher.model.layers = torch.nn.ModuleList([teacher.model.layers[0], teacher.model.layers[2]])
        assert equal(student, teacher)

    def test_may_have_an_adapter_on_what_it_begins_as(self, context: Make) -> None:
        made = self.made(context, student=", lora={rank=2}")
        teacher, student = self.taught(made), made.model_to_train(self.BEGUN, Path("stage"))
        assert isinstance(student, PeftModel)
        tokens = torch.tensor([[1, 5, 9]])
        torch.testing.assert_close(student.eval()(tokens).logits, teacher(tokens).logits)
        # the stage's own copy of its base is the trained teacher, not what both began as
        base = AutoModelForCausalLM.from_pretrained("stage/base")
        assert equal(base, teacher)
        student.save_pretrained("stage/model")
        again = made.model_to_use(ModelRef("student", Path("stage")))
        torch.testing.assert_close(again(tokens).logits, teacher(tokens).logits)


class TestTokenizer:
    def test_it_is_trained_once_and_kept(self, context: Make) -> None:
        first = context().tokenizer
        Path("train.jsonl").unlink()
        assert context().tokenizer.get_vocab() == first.get_vocab()

    def test_it_is_what_plain_transformers_reads_beside_the_models(self, context: Make) -> None:
        decomposed = "Cafe\N{COMBINING ACUTE ACCENT} </s>"
        made = context("student.from_scratch.architecture=qwen2")
        for role in ("student", "teacher"):
            folder = Path(role)
            made.model_to_use(ModelRef(role)).save_pretrained(folder)
            made.tokenizer.save_pretrained(folder)
            theirs = AutoTokenizer.from_pretrained(folder)(decomposed)["input_ids"]
            assert theirs == prompt_ids(made.tokenizer, decomposed)

    def test_it_encodes_the_data(self, context: Make) -> None:
        tokenizer = context().tokenizer
        assert tokenizer.decode(tokenizer.encode("count 1:", add_special_tokens=False)) == "count 1:"
        assert len(tokenizer.encode("count 1:", add_special_tokens=False)) > 1


class TestData:
    SETS = (
        'datasets.more={kind="jsonl", train="more.jsonl"}',
        'evaluation_sets.a.data="more"',
        'evaluation_sets.a.evaluation="train.jsonl"',
        "evaluation_sets.b.max_examples=1",
        'sft.data="more"',
    )

    def test_each_part_is_read_once(self, context: Make, monkeypatch: pytest.MonkeyPatch) -> None:
        read: list[Any] = []
        load = load_module.load

        def noted(data: Any, cache: Path) -> Any:
            read.append((data.train, data.evaluation))
            return load(data, cache=cache)

        monkeypatch.setattr(load_module, "load", noted)
        made = context(*self.SETS)
        Path("more.jsonl").write_text(json.dumps({"prompt": "zzz", "target": "yyy"}) + "\n")
        for _ in range(2):
            for data in (*made.recipe.training_data, *(one.data for one in made.recipe.sets_of())):
                made.splits(data)
        # both sets come to the same file
        more, held_out = (str(Path(name).absolute()) for name in ("more.jsonl", "train.jsonl"))
        assert read == [(more, None), (None, held_out)]

    def test_a_tokenizer_is_trained_on_what_stages_train_on(self, context: Make) -> None:
        lines = [json.dumps({"prompt": "qqqq" * 9, "target": "qqqq"}) + "\n"] * 3
        tokens = {}
        for name, overrides in (("one", ()), ("other", self.SETS)):
            made = context(*overrides)
            Path("more.jsonl").write_text("".join(lines))
            tokens[name] = set(made.trained_tokenizer.get_vocab())
        assert "qqqq" in tokens["other"] - tokens["one"]
