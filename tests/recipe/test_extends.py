"""``extends``: one recipe over another, every key with the file and line that it stands in."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kdzoo.errors import UserError
from kdzoo.recipe import Recipe, load_recipe, resolved_toml
from kdzoo.recipe.extends import read_written
from kdzoo.recipe.lines import Key
from kdzoo.recipe.toml_reader import MOST_BYTES, MOST_KEYS

Load = Callable[..., Recipe]
Problems = Callable[..., list[str]]


@pytest.fixture
def base(write: Callable[[], Path]) -> Path:
    """The right recipe as base.toml in the working directory."""
    return write().rename("base.toml")


class TestARecipeOverAnother:
    def test_keys_and_tables_that_it_does_not_give_are_the_other_s(self, base: Path, load: Load) -> None:
        recipe = load('extends = "base.toml"\nseed = 3\n[training]\nbatch_size = 8\n')
        assert (recipe.seed, recipe.training.batch_size, recipe.training.epochs) == (3, 8, 2)
        assert recipe.student.from_scratch == {"architecture": "llama", "hidden_size": 32}
        assert [stage.name for stage in recipe.stages] == ["finetune", "kid", "evaluate"]

    def test_tables_in_tables_are_laid_over_each_other_too(self, base: Path, load: Load) -> None:
        recipe = load('extends = "base.toml"\n[student.from_scratch]\nnum_hidden_layers = 1\n')
        assert recipe.student.from_scratch == {
            "architecture": "llama",
            "hidden_size": 32,
            "num_hidden_layers": 1,
        }

    def test_arrays_are_replaced_and_so_are_the_stages(self, base: Path, load: Load) -> None:
        stages = '[[stage]]\nkind = "distill"\nmethod = "rkd"\n[[stage]]\nkind = "evaluate"\n'
        recipe = load(f'extends = "base.toml"\n{stages}')
        assert [stage.name for stage in recipe.stages] == ["rkd", "evaluate"]

    def test_a_chain_ends_with_the_nearest_value(self, base: Path, load: Load) -> None:
        Path("middle.toml").write_text(
            'extends = "base.toml"\nname = "m"\n[training]\nepochs = 5\nwarmup = 0.5\n'
        )
        recipe = load('extends = "middle.toml"\n[training]\nepochs = 7\n')
        assert (recipe.name, recipe.training.epochs, recipe.training.warmup) == ("m", 7, 0.5)

    def test_a_name_that_no_file_gives_is_that_of_the_recipe_s_own_file(self, base: Path, load: Load) -> None:
        assert load('extends = "base.toml"\n').name == "r"

    def test_an_override_counts_over_both(self, base: Path, load: Load) -> None:
        assert (
            load('extends = "base.toml"\n[training]\nepochs = 7\n', "training.epochs=9").training.epochs == 9
        )

    def test_the_resolved_recipe_says_all_and_extends_nothing(self, base: Path, load: Load) -> None:
        recipe = load('extends = "base.toml"\n[training]\nepochs = 7\n')
        text = resolved_toml(recipe)
        assert "extends" not in text
        base.unlink()
        Path("kept.toml").write_text(text)
        assert load_recipe(Path("kept.toml")) == recipe


class TestPaths:
    def test_it_is_found_beside_the_file_that_names_it(
        self, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "a/b").mkdir(parents=True)
        (tmp_path / "a/middle.toml").write_text('extends = "../base.toml"\n')
        (tmp_path / "a/b/r.toml").write_text('extends = "../middle.toml"\n')
        monkeypatch.chdir("/")
        assert load_recipe(tmp_path / "a/b/r.toml").training.epochs == 2

    def test_a_variable_may_say_where_it_begins(
        self, base: Path, load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("RECIPES", ".")
        Path("sub").mkdir()
        Path("sub/r.toml").write_text('extends = "${RECIPES}/base.toml"\n')
        assert load_recipe(Path("sub/r.toml")).training.epochs == 2

    def test_paths_are_relative_to_the_file_that_they_stand_in(self, base: Path, tmp_path: Path) -> None:
        data = 'kind = "jsonl"\ntrain = "t.jsonl"\nevaluation = "e.jsonl"'
        base.write_text(base.read_text().replace('kind = "embedded"', data))
        Path("sub").mkdir()
        Path("sub/r.toml").write_text('extends = "../base.toml"\n[data]\nevaluation = "e.jsonl"\n')
        recipe = load_recipe(Path("sub/r.toml"))
        assert recipe.data.train == str(tmp_path / "t.jsonl")
        assert recipe.data.evaluation == str(tmp_path / "sub/e.jsonl")


class TestMistakes:
    """One clear message, at the line that has to be changed."""

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ('extends = "no.toml"\n', "r.toml:1: extends: no.toml: there is no such recipe"),
            ('seed = 1\nextends = "sub"\n', "r.toml:2: extends: sub: is a folder, not a recipe"),
            ("extends = 3\n", "r.toml:1: extends: must be the path of a recipe, not 3"),
            ('extends = ""\n', 'r.toml:1: extends: must be the path of a recipe, not ""'),
            ('extends = "a\\u0000b"\n', "r.toml:1: extends: must be the path of a recipe, not "),
            (
                'extends = ["base.toml"]\n',
                'r.toml:1: extends: must be the path of a recipe, not ["base.toml"]',
            ),
            ("[extends]\nx = 1\n", "r.toml:1: extends: must be the path of a recipe, not { x = 1 }"),
            ('extends = "r.toml"\n', "r.toml:1: extends: the recipe extends itself"),
            ('extends = "./sub/../r.toml"\n', "r.toml:1: extends: the recipe extends itself"),
            (
                'extends = "circle.toml"\n',
                "circle.toml:2: extends: goes in a circle: r.toml -> circle.toml -> r.toml",
            ),
            ('extends = "broken.toml"\n', "broken.toml:1: not valid TOML: "),
            ('extends = "latin.toml"\n', "r.toml:1: extends: latin.toml:2: not UTF-8 text"),
            (
                'extends = "${NOT_SET}/base.toml"\n',
                "r.toml:1: extends: the environment variable NOT_SET is not set; ",
            ),
            ("seed = " + "[" * 3000 + "]" * 3000, "r.toml: nested too deeply"),
            ("seed = 1\na" + ".a" * 3000 + " = 1\n", "r.toml:2: nested too deeply"),
            ('[training]\nextends = "base.toml"\n', None),
            ('extend = "base.toml"\n', None),
        ],
    )
    def test_in_extends(self, base: Path, problems: Problems, text: str, message: str | None) -> None:
        Path("sub").mkdir()
        Path("circle.toml").write_text('seed = 1\nextends = "r.toml"\n')
        Path("broken.toml").write_text("a = \n")
        Path("latin.toml").write_bytes(b"seed = 1\nname = 'gr\xfc\xdfe'\n")
        told = problems(text)
        if message is None:
            assert any("extends" in line for line in told)
        else:
            (line,) = told
            assert line.startswith(message)

    def test_a_chain_without_end(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        for number in range(60):
            Path(f"{number}.toml").write_text(f'extends = "{number + 1}.toml"\n')
        with pytest.raises(UserError) as caught:
            load_recipe(Path("0.toml"))
        assert str(caught.value) == "0.toml: extends more than 50 recipes, one through another"

    @pytest.mark.parametrize("name", ["large.toml", "/dev/zero"])
    def test_a_file_that_is_larger_than_any_recipe(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
    ) -> None:
        monkeypatch.chdir(tmp_path)
        Path("large.toml").write_text("#" * (MOST_BYTES + 1))
        Path("r.toml").write_text(f'extends = "{name}"\n')
        told = f"{name}: is larger than 1,048,576 bytes, the most that a recipe may have"
        for file, message in ((name, told), ("r.toml", f"r.toml:1: extends: {told}")):
            with pytest.raises(UserError) as caught:
                load_recipe(Path(file))
            assert str(caught.value) == message

    def test_more_keys_than_any_recipe_has(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        Path("r.toml").write_text(f"a = [{'1, ' * MOST_KEYS}]\n")
        with pytest.raises(UserError) as caught:
            load_recipe(Path("r.toml"))
        assert str(caught.value) == "r.toml: has 10,001 keys and items; a recipe has 10,000 at most"

    def test_a_file_that_may_not_be_read(self, base: Path, problems: Problems) -> None:
        Path("loop.toml").symlink_to("loop.toml")
        (line,) = problems('extends = "loop.toml"\n')
        assert line == f"r.toml:1: extends: loop.toml: cannot be read: {os.strerror(40)}"

    def test_in_the_other_recipe_is_told_at_its_own_file_and_line(
        self, base: Path, problems: Problems
    ) -> None:
        base.write_text(base.read_text().replace("epochs = 2", "epochs = 2\nbatchsize = 8"))
        assert problems('extends = "base.toml"\n[training]\nwarmup = 7\n') == [
            "r.toml:3: training.warmup: must be at least 0 and less than 1, not 7",
            'base.toml:15: training.batchsize: unknown key; did you mean "batch_size"?',
        ]

    def test_a_value_that_another_one_replaces_is_no_mistake(self, base: Path, load: Load) -> None:
        base.write_text(base.read_text().replace("epochs = 2", "epochs = -2"))
        assert load('extends = "base.toml"\n[training]\nepochs = 3\n').training.epochs == 3

    def test_stages_that_are_replaced_leave_no_lines_behind(self, base: Path, problems: Problems) -> None:
        assert problems('extends = "base.toml"\n\n[[stage]]\nkind = "distill"\nmethod = "kidd"\n') == [
            'r.toml:5: stage "kidd": method: no method \'kidd\' is installed; did you mean "kid"?'
        ]


NUMBERS = count(1000)
# every value stands once in all files, so that where it stands can be searched for
LEAVES = st.builds(lambda: next(NUMBERS)) | st.lists(st.builds(lambda: next(NUMBERS)), max_size=2)
TABLES = st.recursive(
    LEAVES, lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3), max_leaves=8
).filter(lambda value: isinstance(value, dict))


def leaves(value: Any, at: Key = ()) -> Iterator[tuple[Key, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*at, key))
    else:
        yield at, value


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(TABLES, min_size=1, max_size=4))
def test_any_chain(tmp_path: Path, tables: list[dict[str, Any]]) -> None:
    files = [tmp_path / f"{number}.toml" for number in range(len(tables))]
    for number, (file, table) in enumerate(zip(files, tables, strict=True)):
        further = {} if number + 1 == len(tables) else {"extends": files[number + 1].name}
        file.write_text(tomli_w.dumps({**further, **table}))
    written = read_written(files[0])
    # oracle: a leaf counts unless a nearer recipe has a value at its key, above it, or a table in its place
    expected: dict[Key, Any] = {}
    nearer: list[Key] = []
    tables_of_nearer: set[Key] = set()
    for table in tables:
        new = dict(leaves(table))
        hidden = [
            key
            for key in new
            if any(key[: len(other)] == other for other in nearer) or key in tables_of_nearer
        ]
        expected |= {key: value for key, value in new.items() if key not in hidden}
        nearer += [key for key in new if key not in hidden]
        tables_of_nearer |= {key[:length] for key in all_tables(table) for length in range(1, len(key) + 1)}
    assert dict(leaves(written.content)) == expected
    for key, value in expected.items():
        line = written.lines[key]
        text = line.file.read_text().split("\n")[line.number - 1]
        if isinstance(value, int):
            assert str(value) in text
        for number, item in enumerate(value if isinstance(value, list) else []):
            at = written.lines[(*key, number)]
            assert str(item) in at.file.read_text().split("\n")[at.number - 1]
    assert all(line.file in files for line in written.lines.values())


def all_tables(value: Any, at: Key = ()) -> Iterator[Key]:
    if isinstance(value, dict):
        yield at
        for key, inner in value.items():
            yield from all_tables(inner, (*at, key))
