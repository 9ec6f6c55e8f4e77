"""A stage's fingerprint changes with everything that shapes its result, and with nothing else."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdzoo.recipe import Recipe, load_recipe, rehearsed
from kdzoo.runs import fingerprints

STAGES = """\
[[stage]]
kind = "finetune"

[[stage]]
kind = "distill"
method = "sft"

[[stage]]
kind = "distill"
method = "kid"

[[stage]]
kind = "distill"
method = "rkd"
name = "more"
student_from = "kid"

[[stage]]
kind = "evaluate"
models = ["teacher", "kid"]
"""
SETTINGS = """\
[training]
batch_size = 8
max_steps = 5

"""
RECIPE = (
    """\
[data]
kind = "embedded"

[tokenizer]
train = { vocab_size = 500 }

[teacher]
from_scratch = { architecture = "llama", hidden_size = 64 }

[student]
from_scratch = { architecture = "llama", hidden_size = 32 }

"""
    + SETTINGS
    + STAGES
)

ALL = {"finetune", "sft", "kid", "more", "evaluate"}
TRAINED = ALL
SHAPING = {
    "seed=1": ALL,
    "student_seed=1": ALL - {"finetune"},
    "data.seed=1": ALL,
    "data.questions=100": ALL,
    "tokenizer.train.vocab_size=501": ALL,
    "teacher.from_scratch.hidden_size=128": ALL - {"sft"},
    "teacher.lora={rank=2}": ALL - {"sft"},
    "student.from_scratch.num_hidden_layers=1": ALL - {"finetune"},
    "student.lora={rank=2}": ALL - {"finetune"},
    "training.learning_rate=1e-3": TRAINED,
    "training.output_limit=64": ALL,
    "training.micro_batch_size=4": TRAINED,
    "training.group_by=database": TRAINED,
    "finetune.max_steps=6": ALL - {"sft"},
    "sft.max_steps=6": {"sft"},
    "sft.seed=1": {"sft"},
    "kid.seed=1": {"kid", "more", "evaluate"},
    "finetune.seed=1": ALL - {"sft"},
    "kid.options.alpha=0.3": {"kid", "more", "evaluate"},
    "kid.warmup=0.5": {"kid", "more", "evaluate"},
    "more.options.kd_weight=0.5": {"more"},
    "training.evaluate_every=2": TRAINED,
    "kid.evaluate_every='1 epoch'": {"kid", "more", "evaluate"},
    "evaluation.max_examples=5": {"evaluate"},
    "evaluate.time_limit=3": {"evaluate"},
    "evaluation.metrics=['ex', 'ts']": {"evaluate"},
    "evaluation.extract=auto": {"evaluate"},
    "prompt.template=chat": ALL,
}
NOT_SHAPING = {
    "name=other": set[str](),
    "threads=1": set[str](),
    "training.sharing=off": set[str](),
    "kid.sharing=prompt": set[str](),
    "training.logging_steps=1": set[str](),
    "training.save_steps=7": set[str](),
    "training.nonfinite_steps=5": set[str](),
    "training.loggers=['tensorboard']": set[str](),
    "training.evaluate_examples=7": set[str](),
    "training.evaluate_metric=ts": set[str](),
    "training.evaluate_set=embedded": set[str](),
    "training.evaluate_every=0": set[str](),
    "evaluation.batch_size=3": set[str](),
    "evaluation.exaccerr_samples=3": set[str](),
    "student.attention=eager": set[str](),
    "teacher.gradient_checkpointing=true": set[str](),
    # settings that others put out of force
    "sft.micro_batch_size=8": set[str](),
    "training.epochs=7": set[str](),
}


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Recipe]:
    path = tmp_path_factory.mktemp("recipe") / "r.toml"

    def recipe(*overrides: str, text: str = RECIPE) -> Recipe:
        path.write_text(text)
        return load_recipe(path, overrides)

    return recipe


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {name for name, fingerprint in before.items() if after[name] != fingerprint}


class TestSettings:
    @pytest.mark.parametrize(("override", "stages"), [*SHAPING.items(), *NOT_SHAPING.items()])
    def test_each_changes_the_stages_that_it_shapes(
        self, recipe: Callable[..., Recipe], override: str, stages: set[str]
    ) -> None:
        assert changed(fingerprints.of_stages(recipe()), fingerprints.of_stages(recipe(override))) == stages

    # sft.micro_batch_size = 8 would take back what training.micro_batch_size sets
    @settings(deadline=None, max_examples=25)
    @given(
        st.sets(st.sampled_from(sorted({*SHAPING, *NOT_SHAPING} - {"sft.micro_batch_size=8"})), max_size=5)
    )
    def test_several_change_what_any_of_them_shapes(
        self, recipe: Callable[..., Recipe], overrides: set[str]
    ) -> None:
        found = changed(fingerprints.of_stages(recipe()), fingerprints.of_stages(recipe(*sorted(overrides))))
        assert found == set[str]().union(*((SHAPING | NOT_SHAPING)[override] for override in overrides))

    def test_the_type_of_weights_shapes_what_is_trained_on_them(self, recipe: Callable[..., Recipe]) -> None:
        adapted, narrow = "teacher.lora={rank=2}", "teacher.dtype=bfloat16"
        of = fingerprints.of_stages
        assert changed(of(recipe(adapted)), of(recipe(adapted, narrow))) == ALL - {"sft"}

    def test_what_was_begun_with_other_threads_is_the_same_run(self, recipe: Callable[..., Recipe]) -> None:
        names = [fingerprints.run_name(r, fingerprints.of_stages(r)) for r in (recipe(), recipe("threads=2"))]
        assert names[0] == names[1]

    @pytest.mark.parametrize("override", ["prompt.template=plain", "evaluation.extract=none"])
    def test_what_is_the_default_is_no_other_run(self, recipe: Callable[..., Recipe], override: str) -> None:
        prints = fingerprints.of_stages(recipe())
        assert fingerprints.of_stages(recipe(override)) == prints
        if override.startswith("prompt"):
            assert fingerprints.run_name(recipe(override), prints) == fingerprints.run_name(recipe(), prints)

    def test_epochs_count_where_no_number_of_steps_is_given(self, recipe: Callable[..., Recipe]) -> None:
        text = RECIPE.replace("max_steps = 5\n", "")
        before, after = (fingerprints.of_stages(recipe(*o, text=text)) for o in ((), ("training.epochs=7",)))
        assert changed(before, after) == ALL

    def test_groups_have_a_size_only_where_there_are_groups(self, recipe: Callable[..., Recipe]) -> None:
        size, grouped = "training.group_size=2", "training.group_by=database"
        of = fingerprints.of_stages
        assert changed(of(recipe()), of(recipe(size))) == set()
        assert changed(of(recipe(grouped)), of(recipe(grouped, size))) == ALL

    def test_what_exaccerr_needs_counts_where_it_is_measured(self, recipe: Callable[..., Recipe]) -> None:
        metric = "evaluation.metrics=['exaccerr']"
        text = RECIPE.replace('models = ["teacher", "kid"]', 'models = ["sft"]')
        of = fingerprints.of_stages

        def changes(*overrides: str, first: tuple[str, ...] = ()) -> set[str]:
            return changed(of(recipe(*first, text=text)), of(recipe(*first, *overrides, text=text)))

        assert changes("evaluation.exaccerr_samples=3", first=(metric,)) == {"evaluate"}
        # the teacher is part of the measure, and of nothing else that is said of a student trained without it
        assert "evaluate" in changes("finetune.max_steps=6", first=(metric,))
        assert "evaluate" not in changes("finetune.max_steps=6")

    @pytest.mark.parametrize(
        ("override", "stages"),
        [
            ("kid.evaluate_every=3", {"kid", "more", "evaluate"}),
            ("kid.evaluate_examples=7", {"kid", "more", "evaluate"}),
            ("kid.evaluate_metric=ts", {"kid", "more", "evaluate"}),
            ("kid.keep_best=true", {"kid", "more", "evaluate"}),
            ("kid.evaluate_metric=ex", set()),  # which it is without being said
            ("kid.evaluate_set=embedded", set()),
            ("evaluation.max_examples=50", {"kid", "more", "evaluate"}),
            ("evaluation.output_limit=33", {"kid", "more", "evaluate"}),
            ("evaluation.time_limit=3", {"kid", "more", "evaluate"}),
            ("evaluation.batch_size=3", set()),
            ("data.test_questions=12", ALL),  # what is generated for one part shapes the other
        ],
    )
    def test_what_shapes_scores_shapes_a_stage_that_is_scored(
        self, recipe: Callable[..., Recipe], override: str, stages: set[str]
    ) -> None:
        of, scored = fingerprints.of_stages, "kid.evaluate_every=2"
        assert changed(of(recipe(scored)), of(recipe(scored, override))) == stages

    def test_all_models_that_a_stage_learns_from_shape_it(self, recipe: Callable[..., Recipe]) -> None:
        tables = "".join(
            f'[teachers.{name}]\nfrom_scratch = {{ architecture = "llama", hidden_size = 96 }}\n'
            for name in ("wide", "deep")
        )
        stage = '[[stage]]\nkind = "distill"\nmethod = "multi"\noptions.weights = { teacher = 1, wide = 1 }\n'
        text = RECIPE.replace("[student]", f"{tables}[student]") + stage
        before = fingerprints.of_stages(recipe(text=text))
        for override, stages in {
            "teachers.wide.from_scratch.hidden_size=128": {"multi"},
            "teachers.deep.from_scratch.hidden_size=128": set(),
            "teacher.from_scratch.hidden_size=128": ALL - {"sft"} | {"multi"},
            "multi.options.weights={ teacher = 1, deep = 1 }": {"multi"},
            "teachers.wide.attention=eager": set(),
        }.items():
            assert changed(before, fingerprints.of_stages(recipe(override, text=text))) == stages

    def test_the_name_of_a_stage_does_not_count(self, recipe: Callable[..., Recipe]) -> None:
        before = fingerprints.of_stages(recipe())
        after = fingerprints.of_stages(recipe(text=RECIPE.replace('name = "more"', 'name = "again"')))
        assert after["again"] == before["more"]

    def test_stages_that_do_the_same_have_one_fingerprint(self, recipe: Callable[..., Recipe]) -> None:
        twice = RECIPE + '[[stage]]\nkind = "distill"\nmethod = "sft"\nname = "sft2"\n'
        prints = fingerprints.of_stages(recipe(text=twice))
        assert prints["sft2"] == prints["sft"]
        assert len(set(prints.values())) == len(ALL)

    def test_the_student_s_seed_is_the_recipe_s_unless_given(self, recipe: Callable[..., Recipe]) -> None:
        of = fingerprints.of_stages
        assert changed(of(recipe()), of(recipe("student_seed=0"))) == set()
        # what trains no student and compares no models with samples has the recipe's
        assert changed(of(recipe("student_seed=0")), of(recipe("student_seed=0", "seed=1"))) == ALL - {"sft"}
        untrained = RECIPE.replace('[[stage]]\nkind = "finetune"\n\n', "").replace(
            '"teacher", "kid"', '"kid"'
        )
        kid = changed(
            of(recipe("student_seed=0", text=untrained)),
            of(recipe("student_seed=0", "seed=1", text=untrained)),
        )
        assert "kid" in kid  # its teacher's random weights are the recipe's seed's
        assert "sft" not in kid


class TestRuns:
    def test_the_same_recipe_is_the_same_run(self, recipe: Callable[..., Recipe]) -> None:
        first, second = (fingerprints.run_name(r, fingerprints.of_stages(r)) for r in (recipe(), recipe()))
        assert first == second
        assert re.fullmatch(r"r-[0-9a-f]{8}", first)

    def test_rehearsals_of_two_recipes_are_two_that_share_their_stages(
        self, recipe: Callable[..., Recipe]
    ) -> None:
        """The same tiny models stand in for both."""
        rehearsals = [rehearsed(recipe(f"training.batch_size={size}")) for size in (8, 16)]
        prints = [fingerprints.of_stages(rehearsal) for rehearsal in rehearsals]
        assert (rehearsals[0], prints[0]) == (rehearsals[1], prints[1])
        names = {fingerprints.run_name(*pair) for pair in zip(rehearsals, prints, strict=True)}
        assert len(names) == 2

    @pytest.mark.parametrize("override", ["kid.options.alpha=0.3", "training.sharing=off"])
    def test_a_recipe_that_says_otherwise_is_another(
        self, recipe: Callable[..., Recipe], override: str
    ) -> None:
        first, second = (
            fingerprints.run_name(r, fingerprints.of_stages(r)) for r in (recipe(), recipe(override))
        )
        assert first != second

    def test_so_is_the_same_recipe_where_a_stage_would_give_something_else(
        self, recipe: Callable[..., Recipe]
    ) -> None:
        prints = fingerprints.of_stages(recipe())
        assert fingerprints.run_name(recipe(), prints) != fingerprints.run_name(
            recipe(), {**prints, "kid": "0"}
        )


def test_a_stage_that_has_a_seed_of_its_own_is_the_same_for_all_students_seeds(
    recipe: Callable[..., Recipe],
) -> None:
    own, without = (
        {fingerprints.of_stages(recipe(*given, f"student_seed={seed}"))["sft"] for seed in (0, 1, 2)}
        for given in (("sft.seed=0",), ())
    )
    assert len(own) == 1
    assert len(without) == 3
    assert own < without  # that of the seed which it has


class TestVersionsAndCode:
    @pytest.mark.parametrize("package", ["kdzoo", "torch", "transformers", "peft", "tokenizers"])
    def test_another_version_shapes_everything(
        self, recipe: Callable[..., Recipe], monkeypatch: pytest.MonkeyPatch, package: str
    ) -> None:
        before = fingerprints.of_stages(recipe())
        version = fingerprints.version
        monkeypatch.setattr(
            fingerprints, "version", lambda name: version(name) + ("+1" if name == package else "")
        )
        assert changed(before, fingerprints.of_stages(recipe())) == ALL

    def test_what_a_student_begins_as_shapes_it_and_so_do_the_layers_that_it_keeps(
        self, recipe: Callable[..., Recipe], tmp_path: Path
    ) -> None:
        def prints(path: str, *overrides: str) -> dict[str, str]:
            models = f'[teacher]\npath = "{path}"\n[student]\npath = "{path}"\nkeep_layers = 2\n'
            base = (
                '[[stage]]\nkind = "finetune"\nname = "base"\nmodel = "student"\nstudent_from = "finetune"\n'
            )
            taught = '[[stage]]\nkind = "finetune"\n'
            text = f'[data]\nkind = "embedded"\n{models}{SETTINGS}{taught}{base}'
            return fingerprints.of_stages(recipe(*overrides, text=text))

        (tmp_path / "m").mkdir()
        before = prints(str(tmp_path / "m"))
        for override, stages in {
            "student.keep_layers=1": {"base"},
            "student.lora={rank=2}": {"base"},
            "finetune.max_steps=6": {"finetune", "base"},
            "base.max_steps=6": {"base"},
        }.items():
            assert changed(before, prints(str(tmp_path / "m"), override)) == stages

    @pytest.fixture
    def copy(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
        """A copy of our code, which the fingerprints are taken of."""
        copy = tmp_path / "kdzoo"
        shutil.copytree(fingerprints._ROOT, copy, ignore=shutil.ignore_patterns("__pycache__"))
        monkeypatch.setattr(fingerprints, "_ROOT", copy)
        fingerprints._code.cache_clear()
        yield copy
        fingerprints._code.cache_clear()

    @pytest.mark.parametrize(
        ("file", "stages"),
        [
            ("engine/training/step.py", ALL),
            ("methods/divergences/f_divergences.py", ALL),
            ("runs/training/train.py", ALL),
            ("runs/context.py", ALL),
            ("tasks/fitting.py", ALL),
            ("tasks/sql/compare.py", {"evaluate"}),
            ("runs/evaluation/measuring.py", {"evaluate"}),
            ("report/table.py", set()),
            ("commands/run.py", set()),
        ],
    )
    def test_a_change_of_our_code_shapes_what_it_computes(
        self, recipe: Callable[..., Recipe], copy: Path, file: str, stages: set[str]
    ) -> None:
        before = fingerprints.of_stages(recipe())
        with (copy / file).open("a") as code:
            code.write("# changed\n")
        fingerprints._code.cache_clear()
        assert changed(before, fingerprints.of_stages(recipe())) == stages

    def test_all_code_that_is_named_is_there(self) -> None:
        assert [
            room for room in fingerprints._EVALUATION_CODE if not (fingerprints._ROOT / room).exists()
        ] == []


class TestModelsInFolders:
    @pytest.fixture
    def text(self, tmp_path: Path) -> str:
        for name in ("teacher", "student", "tokenizer"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "config.json").write_text("{}")
        models = f'[teacher]\npath = "{tmp_path / "teacher"}"\n[student]\npath = "{tmp_path / "student"}"\n'
        return '[data]\nkind = "embedded"\n' + models + SETTINGS + STAGES

    def touch(self, file: Path) -> None:
        file.write_text(file.read_text() + " ")

    def test_one_that_changes_under_its_name_shapes_what_is_made_of_it(
        self, recipe: Callable[..., Recipe], text: str, tmp_path: Path
    ) -> None:
        before = fingerprints.of_stages(recipe(text=text))
        self.touch(tmp_path / "teacher/config.json")
        assert changed(before, fingerprints.of_stages(recipe(text=text))) == ALL - {"sft"}

    def test_the_student_s_brings_the_tokenizer_of_all(
        self, recipe: Callable[..., Recipe], text: str, tmp_path: Path
    ) -> None:
        before = fingerprints.of_stages(recipe(text=text))
        self.touch(tmp_path / "student/config.json")
        assert changed(before, fingerprints.of_stages(recipe(text=text))) == ALL

    def test_how_the_student_is_adapted_does_not_shape_the_teacher(
        self, recipe: Callable[..., Recipe], text: str
    ) -> None:
        before = fingerprints.of_stages(recipe(text=text))
        after = fingerprints.of_stages(recipe("student.lora={rank=8}", text=text))
        assert changed(before, after) == ALL - {"finetune"}

    def test_a_tokenizer_s_folder_counts(
        self, recipe: Callable[..., Recipe], text: str, tmp_path: Path
    ) -> None:
        text += f'[tokenizer]\npath = "{tmp_path / "tokenizer"}"\n'
        before = fingerprints.of_stages(recipe(text=text))
        self.touch(tmp_path / "tokenizer/config.json")
        assert changed(before, fingerprints.of_stages(recipe(text=text))) == ALL

    @pytest.mark.parametrize("changes", ["base", "adapter", "below"])
    def test_so_does_the_base_of_an_adapter_and_what_that_is_made_of(
        self, recipe: Callable[..., Recipe], text: str, tmp_path: Path, changes: str
    ) -> None:
        for name, base in (("teacher", "adapter"), ("adapter", "below")):
            (tmp_path / name).mkdir(exist_ok=True)
            content = json.dumps({"base_model_name_or_path": str(tmp_path / base)})
            (tmp_path / name / "adapter_config.json").write_text(content)
        if changes == "base":  # the folder beside stands in for one that was moved
            (tmp_path / "adapter/adapter_config.json").write_text('{"base_model_name_or_path": "gone"}')
        for name in ("below", "base"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "config.json").write_text("{}")
        before = fingerprints.of_stages(recipe(text=text))
        file = "adapter_config.json" if changes == "adapter" else "config.json"
        self.touch(tmp_path / changes / file)
        assert changed(before, fingerprints.of_stages(recipe(text=text))) == ALL - {"sft"}

    def test_a_base_s_revision_on_the_hub_counts(
        self, recipe: Callable[..., Recipe], text: str, tmp_path: Path
    ) -> None:
        file = tmp_path / "teacher/adapter_config.json"
        prints = []
        for revision in ("one", "two"):
            file.write_text(json.dumps({"base_model_name_or_path": "some/model", "revision": revision}))
            os.utime(file, ns=(1, 1))
            prints.append(fingerprints.of_stages(recipe(text=text)))
        assert changed(*prints) == ALL - {"sft"}


class TestData:
    """What only evaluation reads does not shape what is trained."""

    def later(self, file: Path, text: str = "") -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        os.utime(file, ns=(1, file.stat().st_mtime_ns + 1_000_000_000))

    def prints(self, recipe: Callable[..., Recipe], data: str, *overrides: str) -> dict[str, str]:
        text = RECIPE.replace('kind = "embedded"', data).replace(
            'models = ["teacher", "kid"]', 'models = ["kid"]'
        )
        return fingerprints.of_stages(recipe(*overrides, text=text))

    def test_jsonl(self, recipe: Callable[..., Recipe], tmp_path: Path) -> None:
        train, evaluation = tmp_path / "train.jsonl", tmp_path / "evaluation.jsonl"
        data = f'kind = "jsonl"\ntrain = "{train}"\nevaluation = "{evaluation}"'
        for file in (train, evaluation):
            self.later(file)
        before = self.prints(recipe, data)
        self.later(evaluation, "other")
        after = self.prints(recipe, data)
        assert changed(before, after) == {"evaluate"}
        assert changed(after, self.prints(recipe, data, f"data.evaluation={train}")) == {"evaluate"}
        self.later(train, "other")
        assert changed(after, self.prints(recipe, data)) == ALL

    def test_spider(self, recipe: Callable[..., Recipe], tmp_path: Path) -> None:
        data = f'kind = "spider"\npath = "{tmp_path}"'
        for name in ("train.json", "dev.json", "tables.json", "database/pets/pets.sqlite"):
            self.later(tmp_path / name)
        before = self.prints(recipe, data)
        for override in ("data.evaluation=spider_dk.json", "data.max_evaluation=5"):
            assert changed(before, self.prints(recipe, data, override)) == {"evaluate"}
        # nothing is held out of the official split
        assert changed(before, self.prints(recipe, data, "data.held_out=0.2")) == set()
        for override in ("data.values=false", "data.max_train=5", "data.split=question"):
            assert changed(before, self.prints(recipe, data, override)) == ALL
        # a file of questions that no set reads
        self.later(tmp_path / "spider_dk.json", "other")
        assert changed(before, self.prints(recipe, data)) == set()
        # a test suite beside a database
        for name in ("database/pets/suite-1.sqlite", "dev.json"):
            self.later(tmp_path / name, "other")
            after = self.prints(recipe, data)
            assert changed(before, after) == {"evaluate"}
            before = after
        for name in ("train.json", "tables.json", "database/pets/pets.sqlite", "train_spider.json"):
            self.later(tmp_path / name, "other")
            after = self.prints(recipe, data)
            assert changed(before, after) == ALL
            before = after

    def test_how_many_questions_a_split_holds_out_shapes_what_is_left(
        self, recipe: Callable[..., Recipe], tmp_path: Path
    ) -> None:
        data = f'kind = "spider"\npath = "{tmp_path}"\nsplit = "question"'
        self.later(tmp_path / "train.json")
        before = self.prints(recipe, data)
        assert changed(before, self.prints(recipe, data, "data.held_out=0.2")) == ALL
        assert changed(before, self.prints(recipe, data, "data.max_evaluation=5")) == {"evaluate"}

    def test_bird(self, recipe: Callable[..., Recipe], tmp_path: Path) -> None:
        data = f'kind = "bird"\npath = "{tmp_path}"'
        databases = {split: f"{split}/{split}_databases/{split}_db" for split in ("train", "dev")}
        for split, folder in databases.items():
            self.later(tmp_path / f"{split}/{split}.json")
            self.later(tmp_path / f"{split}/{split}_tables.json")
            self.later(tmp_path / folder / f"{split}_db.sqlite")
            self.later(tmp_path / folder / "database_description/t.csv")
        before = self.prints(recipe, data)
        for split, stages in (("dev", {"evaluate"}), ("train", ALL)):
            folder = databases[split]
            for name in (
                f"{split}/{split}.json",
                f"{split}/{split}_tables.json",
                f"{folder}/{split}_db.sqlite",
                f"{folder}/database_description/t.csv",
            ):
                self.later(tmp_path / name, "other")
                after = self.prints(recipe, data)
                assert changed(before, after) == stages, name
                before = after


class TestEvaluationSets:
    """Training depends on its own dataset's training part alone, an evaluation on the sets that it scores."""

    def text(self, folder: Path) -> str:
        head = f'''\
[data]
kind = "jsonl"
train = "{folder}/train"
evaluation = "{folder}/evaluation"
[datasets.other]
kind = "jsonl"
train = "{folder}/other"
[evaluation_sets.a]
[evaluation_sets.b]
evaluation = "{folder}/b"
'''
        models = RECIPE[RECIPE.index("[tokenizer]") : RECIPE.index("[training]")]
        models = models.replace("train = { vocab_size = 500 }", f'path = "{folder}/tokenizer"')
        return head + models + SETTINGS + STAGES.replace('name = "more"', 'name = "more"\ndata = "other"')

    @pytest.fixture
    def prints(self, recipe: Callable[..., Recipe], tmp_path: Path) -> Callable[..., dict[str, str]]:
        for name in ("train", "evaluation", "other", "b"):
            (tmp_path / name).touch()
        return lambda *overrides: fingerprints.of_stages(recipe(*overrides, text=self.text(tmp_path)))

    @pytest.mark.parametrize(
        ("override", "stages"),
        [
            ("evaluation_sets.b.evaluation=other", {"evaluate"}),
            ("evaluation_sets.b.max_examples=3", {"evaluate"}),
            ("evaluation_sets.b.metrics=['rouge_l']", {"evaluate"}),
            ("evaluation_sets.c.max_examples=3", {"evaluate"}),
            ("evaluate.sets=['a']", {"evaluate"}),
            ("evaluate.sets=['b', 'a']", {"evaluate"}),
            ("evaluate.sets=['a', 'b']", set()),
            ("datasets.other.train=elsewhere", {"more"}),
            ("datasets.another.kind=embedded", set()),
            ("data.train=elsewhere", {"finetune", "sft", "kid", "more", "evaluate"}),
            ("more.data=other", set()),
        ],
    )
    def test_settings(self, prints: Callable[..., dict[str, str]], override: str, stages: set[str]) -> None:
        assert changed(prints(), prints(override)) == stages

    @pytest.mark.parametrize(
        ("file", "stages"),
        [("b", {"evaluate"}), ("evaluation", {"evaluate"}), ("other", {"more"}), ("train", ALL)],
    )
    def test_files(
        self, prints: Callable[..., dict[str, str]], tmp_path: Path, file: str, stages: set[str]
    ) -> None:
        before = prints()
        (tmp_path / file).write_text("more")
        assert changed(before, prints()) == stages

    def test_a_tokenizer_that_is_trained_depends_on_all_that_is_trained_on(
        self, recipe: Callable[..., Recipe], tmp_path: Path
    ) -> None:
        text = self.text(tmp_path).replace(f'path = "{tmp_path}/tokenizer"', "train = { vocab_size = 500 }")
        before = fingerprints.of_stages(recipe(text=text))
        assert changed(before, fingerprints.of_stages(recipe("datasets.other.train=x", text=text))) == ALL


def test_the_package_that_quantises_a_teacher_shapes_what_it_teaches(
    recipe: Callable[..., Recipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = RECIPE.replace("train = { vocab_size = 500 }", 'path = "owner/t"').replace(
        'from_scratch = { architecture = "llama", hidden_size = 64 }', 'path = "owner/t"\nlora = { rank = 2 }'
    )
    few = recipe("teacher.quantization=8bit", text=text)

    def by(package: str | None) -> dict[str, str]:
        monkeypatch.setattr("kdzoo.engine.models.placement.quantiser_of", lambda bits: package)
        return fingerprints.of_stages(few)

    usual, other = by("bitsandbytes"), by("torchao")
    assert changed(usual, other) == ALL - {"sft"}
    assert by(None) == usual  # what is not installed runs nothing
    assert changed(usual, fingerprints.of_stages(recipe(text=text))) == ALL - {"sft"}
