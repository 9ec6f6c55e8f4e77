"""A sweep is a grid of recipes; everything that is wrong with any of them is told at once, where it stands."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kdzoo.errors import UserError
from kdzoo.recipe import Sweep, load_recipe, load_sweep
from kdzoo.recipe.sweep import split_seeds
from kdzoo.recipe.toml_text import toml_value

LoadSweep = Callable[..., Sweep]
Problems = Callable[..., list[str]]

GRID = "[sweep]\nstudent_seed = [1, 2]\nkid.options.alpha = [0.1, 0.3]\n"


@pytest.fixture
def sweep(write: Callable[[str], Path], right: str) -> LoadSweep:
    """The members of the right recipe with a sweep behind it."""

    def sweep(text: str = GRID, *overrides: str, seeds: tuple[int, ...] = ()) -> Sweep:
        return load_sweep(write(right + text), overrides, seeds=seeds)

    return sweep


@pytest.fixture
def problems(sweep: LoadSweep, right: str) -> Problems:
    """The lines of the message that a wrong sweep gives; lines are counted from the one of [sweep]."""
    first = right.count("\n") + 1

    def problems(text: str, *overrides: str, seeds: tuple[int, ...] = ()) -> list[str]:
        with pytest.raises(UserError) as caught:
            sweep(text, *overrides, seeds=seeds)
        assert caught.value.exit_code == 2
        told = str(caught.value)
        for number in range(9):
            told = told.replace(f"r.toml:{first + number}:", f"r.toml:+{number}:")
        return told.split("\n")

    return problems


class TestAGrid:
    def test_the_last_key_varies_fastest(self, sweep: LoadSweep) -> None:
        found = sweep()
        assert found.keys == ("student_seed", "kid.options.alpha")
        assert [tuple(member.values.values()) for member in found.members] == list(
            product([1, 2], [0.1, 0.3])
        )

    def test_a_member_is_an_ordinary_recipe_that_says_its_values(self, sweep: LoadSweep) -> None:
        for member in sweep().members:
            seed, alpha = member.values["student_seed"], member.values["kid.options.alpha"]
            assert (member.recipe.student_seed, member.recipe.stages[1].options["alpha"]) == (seed, alpha)
            assert member.recipe.name == "r"
            assert member.label == f"student_seed={seed} alpha={alpha}"

    def test_its_settings_give_the_same_recipe_to_set(self, sweep: LoadSweep) -> None:
        for member in sweep().members:
            (alone,) = load_sweep(Path("r.toml"), member.settings).members
            assert alone.recipe == member.recipe
            assert alone.values == {}

    def test_without_a_sweep_a_recipe_stands_for_itself(self, sweep: LoadSweep, right: str) -> None:
        for text in ("", "[sweep]\n"):
            found = sweep(text)
            assert (found.keys, len(found.members)) == ((), 1)
            assert (found.members[0].settings, found.members[0].label) == ((), "")

    def test_methods_models_and_tables_can_be_swept(self, sweep: LoadSweep) -> None:
        text = (
            '[sweep]\nkid.method = ["kid", "rkd"]\n"training.loggers" = [[], ["tensorboard"]]\n'
            'teacher = [{ path = "org/a" }, { path = "org/b", lora = { rank = 2 } }]\n'
            'tokenizer = [{ path = "org/a" }]\n'
        )
        found = sweep(text).members
        assert len(found) == 8
        assert {m.recipe.stages[1].method for m in found} == {"kid", "rkd"}
        assert {m.recipe.training.loggers for m in found} == {(), ("tensorboard",)}
        assert {m.recipe.teacher.path for m in found} == {"org/a", "org/b"}
        assert (
            found[1].label
            == 'method=kid loggers=[] teacher={ path = "org/b", lora = { rank = 2 } } tokenizer={ path = "org/a" }'
        )

    def test_keys_that_end_alike_are_shown_whole(self, sweep: LoadSweep) -> None:
        member = sweep("[sweep]\nfinetune.epochs = [1]\nkid.epochs = [2]\nseed = [3]\n").members[0]
        assert member.label == "finetune.epochs=1 kid.epochs=2 seed=3"

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=20)
    @given(
        epochs=st.lists(st.floats(0.01, 99) | st.integers(1, 99), min_size=1, max_size=3, unique=True),
        tokens=st.lists(
            st.text(st.characters(exclude_categories=["Cs"]), max_size=8), min_size=1, max_size=3, unique=True
        ),
    )
    def test_any_values(self, sweep: LoadSweep, epochs: list[float], tokens: list[str]) -> None:
        text = f"[sweep]\nkid.options.mask_token = {toml_value(tokens)}\ntraining.epochs = {toml_value(epochs)}\n"
        found = sweep(text).members
        assert [(m.recipe.stages[1].options["mask_token"], m.recipe.training.epochs) for m in found] == list(
            product(tokens, epochs)
        )
        for member in found:
            assert load_sweep(Path("r.toml"), member.settings).members[0].recipe == member.recipe


class TestSet:
    def test_it_fixes_a_swept_key(self, sweep: LoadSweep) -> None:
        found = sweep(GRID, "kid.options.alpha=0.7")
        assert found.keys == ("student_seed",)
        assert [m.recipe.stages[1].options["alpha"] for m in found.members] == [0.7, 0.7]
        assert sweep(GRID, "kid.options={alpha=0.7}").keys == ("student_seed",)

    def test_however_the_key_is_written(self, sweep: LoadSweep) -> None:
        assert sweep("[sweep]\nkid.training.max_steps = [1, 2]\n", "kid.max_steps=3").keys == ()

    def test_of_another_key_counts_for_all_members(self, sweep: LoadSweep) -> None:
        assert {m.recipe.training.epochs for m in sweep(GRID, "training.epochs=7").members} == {7}


class TestSeeds:
    def test_they_are_swept_last(self, sweep: LoadSweep) -> None:
        found = sweep("[sweep]\nkid.options.alpha = [0.1, 0.3]\n", seeds=(5, 6))
        assert found.keys == ("kid.options.alpha", "student_seed")
        assert [m.recipe.student_seed for m in found.members] == [5, 6, 5, 6]
        assert sweep("", seeds=(5, 6)).keys == ("student_seed",)

    def test_they_count_instead_of_the_sweep_s_own(self, sweep: LoadSweep) -> None:
        found = sweep(seeds=(5, 6, 7))
        assert found.keys == ("student_seed", "kid.options.alpha")
        assert [m.recipe.student_seed for m in found.members] == [5, 5, 6, 6, 7, 7]

    def test_they_exclude_another_setting_of_it(self, problems: Problems) -> None:
        assert problems("", "student_seed=3", seeds=(1, 2)) == [
            "--seeds and --set student_seed exclude each other"
        ]

    def test_a_seed_that_is_refused(self, problems: Problems) -> None:
        assert problems("", seeds=(1, -2)) == [
            "--seeds 1,-2: must be at least 0 and less than 2147483648, not -2"
        ]

    @pytest.mark.parametrize("text", ["", "1,", "1,x", "1-3", "1.5"])
    def test_what_is_no_list_of_seeds(self, text: str) -> None:
        with pytest.raises(UserError) as caught:
            split_seeds(text)
        assert str(caught.value) == (
            f"--seeds {text}: write whole numbers with a comma between them, for example 1,2,3"
        )

    def test_a_seed_that_stands_there_twice(self) -> None:
        assert split_seeds("1, 2,3") == [1, 2, 3]
        with pytest.raises(UserError, match=r"^--seeds 1,2,1: 1 stands there twice$"):
            split_seeds("1,2,1")


class TestPaths:
    def test_they_are_relative_to_the_file_also_on_the_command_line_of_a_member(
        self, sweep: LoadSweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Path("models/a").mkdir(parents=True)
        (tmp_path / "work").mkdir()
        text = '[sweep]\ntokenizer = [{ path = "models/a" }]\nteacher.path = ["models/a", "org/b"]\n'
        recipe = Path("r.toml").absolute()
        sweep("")
        recipe.write_text(
            recipe.read_text().replace('from_scratch = { architecture = "llama", hidden_size = 64 }\n', "")
            + text
        )
        monkeypatch.chdir(tmp_path / "work")
        first, second = load_sweep(recipe).members
        assert first.values["teacher.path"] == "models/a"
        assert first.recipe.teacher.path == str(tmp_path / "models/a")
        assert second.recipe.teacher.path == "org/b"
        for member in (first, second):
            (alone,) = load_sweep(recipe, member.settings).members
            assert alone.recipe == member.recipe


class TestMistakes:
    """One message each, at its line, before anything runs."""

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("kidd.options.alpha = [1]", 'r.toml:+1: sweep.kidd.options.alpha: no stage or table "kidd"; did you mean "kid"?'),
            ("kid.options.alhpa = [1]", 'r.toml:+1: sweep.kid.options.alhpa: unknown option of method kid; did you mean "alpha"?'),
            ("training.epoch = [1, 2]", 'r.toml:+1: sweep.training.epoch: unknown key; did you mean "epochs"?'),
            ("kid = [1]", 'r.toml:+1: sweep.kid: "kid" is a stage; name the key too, for example kid.options.alpha=0.3'),
            ("training.epochs = 3", "r.toml:+1: sweep.training.epochs: must be a list of values, not 3"),
            ("[sweep.training]\nepochs = 3", "r.toml:+2: sweep.training.epochs: must be a list of values, not 3"),
            ("kid.options = {}", "r.toml:+1: sweep.kid.options: must be a list of values, not {}"),
            ("training.epochs = []", "r.toml:+1: sweep.training.epochs: must have at least one value"),
            ("training.epochs = [1, 2,\n 1]", "r.toml:+2: sweep.training.epochs[2]: has 1 twice"),
            ("training.epochs = [1, 1.0]", "r.toml:+1: sweep.training.epochs[1]: has 1.0 twice"),
            ("kid.options.alpha = [0.1,\n 7]", "r.toml:+2: sweep.kid.options.alpha: must be greater than 0 and at most 1, not 7"),
            ("training.epochs = [true, 1]", "r.toml:+1: sweep.training.epochs: must be a number, not true"),
            ("kid.options = [{ alpha = 7 }]", 'r.toml:+1: sweep.kid.options: stage "kid": options.alpha: must be greater than 0 and at most 1, not 7'),
            ('name = ["a", "b"]', "r.toml:+1: sweep.name: cannot be swept: all members have the recipe's name"),
            ("kid.max_steps = [1]\nkid.training.max_steps = [2]", "r.toml:+2: sweep.kid.training.max_steps: sets the same as kid.max_steps"),
            ('kid.student_from = ["later"]', 'r.toml:+1: sweep.kid.student_from: no stage before this one is called "later" and trains a model'),
            ("extends = ['x.toml']", 'r.toml:+1: sweep.extends: no stage or table "extends"; '),
        ],
    )  # fmt: skip
    def test_in_a_key_or_value(self, problems: Problems, text: str, message: str) -> None:
        (line,) = problems(f"[sweep]\n{text}\n")
        assert line.startswith(message)

    def test_that_are_several_are_all_told(self, problems: Problems) -> None:
        assert problems(f"{GRID.replace('0.3', '3')}training.epochs = [-1, 1]\n") == [
            "r.toml:+3: sweep.training.epochs: must be greater than 0 and at most 10000, not -1",
            "r.toml:+2: sweep.kid.options.alpha: must be greater than 0 and at most 1, not 3",
        ]

    def test_of_the_recipe_itself_are_told_once(self, problems: Problems, right: str) -> None:
        (line,) = problems(GRID, "kid.options.strategy=7")
        assert line.startswith("--set kid.options.strategy=7: ")

    def test_a_combination_that_does_not_fit(self, problems: Problems) -> None:
        assert problems("[sweep]\ntraining.batch_size = [8, 9]\ntraining.micro_batch_size = [4]\n") == [
            "r.toml:+2: sweep.training.micro_batch_size: micro_batch_size = 4 does not divide batch_size = 9"
        ]

    @pytest.mark.parametrize("value", ["3", "[1]", '"x"'])
    def test_a_sweep_that_is_no_table(self, write: Callable[[str], Path], right: str, value: str) -> None:
        with pytest.raises(UserError) as caught:
            load_sweep(write(f"sweep = {value}\n{right}"))
        assert str(caught.value) == f"r.toml:1: sweep: must be a table of lists, not {value}"

    def test_a_grid_without_end(self, problems: Problems) -> None:
        values = ", ".join(map(str, range(100)))
        text = f"[sweep]\nseed = [{values}]\nstudent_seed = [{values}]\ndata.seed = [{values}]\n"
        assert problems(text) == ["r.toml:+0: sweep: stands for 1000000 runs; 1000 at most"]

    def test_a_grid_whose_size_has_too_many_digits_to_be_told(self, problems: Problems) -> None:
        values = ", ".join(map(str, range(1000)))
        keys = ("seed", "student_seed", "data.seed", "training.batch_size")
        text = "[sweep]\n" + "".join(f"{key} = [{values}]\n" for key in keys)
        assert problems(text) == ["r.toml:+0: sweep: stands for more than 1000000000 runs; 1000 at most"]

    def test_more_values_of_a_key_than_there_may_be_runs(self, problems: Problems) -> None:
        text = f"[sweep]\nseed = [{', '.join(['0'] * 1001)}]\n"
        assert problems(text) == [
            "r.toml:+1: sweep.seed: has 1001 values; a sweep stands for 1000 runs at most"
        ]

    def test_more_keys_than_anyone_sweeps(self, problems: Problems) -> None:
        text = "[sweep]\n" + "".join(f"training.k{number} = [1]\n" for number in range(101))
        assert problems(text) == ["r.toml:+0: sweep: has 101 keys; 100 at most"]

    def test_in_a_recipe_that_is_extended_stand_there(self, write: Callable[[str], Path], right: str) -> None:
        write(right + GRID.replace("0.3", "3")).rename("base.toml")
        with pytest.raises(UserError) as caught:
            load_sweep(write('extends = "base.toml"\n[sweep]\nstudent_seed = [7]\n'))
        line = right.count("\n") + 3
        assert str(caught.value).startswith(f"base.toml:{line}: sweep.kid.options.alpha: must be greater")

    def test_one_recipe_is_wanted_and_there_are_several(
        self, write: Callable[[str], Path], right: str
    ) -> None:
        with pytest.raises(
            UserError, match="sweep: makes several recipes of one, and a single one is asked for"
        ):
            load_recipe(write(right + GRID))
