"""Paths of data and models: variables, folders, and what is said of what is not there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kdzoo.errors import UserError
from kdzoo.recipe import Recipe, check_model_paths, check_paths, load_recipe, missing_data

Load = Callable[..., Recipe]
Problems = Callable[..., list[str]]


def spider(right: str, path: str) -> str:
    return right.replace('kind = "embedded"', f'kind = "spider"\npath = "{path}"')


def test_a_variable_is_expanded(load: Load, right: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOLDER", "/some/where")
    assert load(spider(right, "${FOLDER}/spider")).data.path == "/some/where/spider"
    assert load(spider(right, "${FOLDER:-other}/spider")).data.path == "/some/where/spider"


@pytest.mark.parametrize("value", [None, ""])
def test_a_variable_that_is_not_set_has_its_default(
    load: Load, right: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.delenv("FOLDER", raising=False)
    if value is not None:
        monkeypatch.setenv("FOLDER", value)
    assert load(spider(right, "${FOLDER:-../data}/spider")).data.path == str(tmp_path.parent / "data/spider")
    assert load(spider(right, "x${FOLDER:-}y")).data.path == str(tmp_path / "xy")


def test_a_variable_that_is_not_set_and_has_no_default(
    problems: Problems, right: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FOLDER", raising=False)
    advice = "set it, or write ${FOLDER:-default}"
    assert problems(spider(right, "${FOLDER}/spider")) == [
        f"r.toml:3: data.path: the environment variable FOLDER is not set; {advice}"
    ]
    assert problems(spider(right, "x"), "data.path=${FOLDER}") == [
        f"--set data.path=${{FOLDER}}: the environment variable FOLDER is not set; {advice}"
    ]


@pytest.mark.parametrize("path", ["${FOLDER", "${}", "${1X}", "${A-b}"])
def test_a_variable_that_is_written_wrongly(problems: Problems, right: str, path: str) -> None:
    assert problems(spider(right, path)) == [
        "r.toml:3: data.path: write a variable as ${NAME} or ${NAME:-default}"
    ]


class TestAPathIsRelativeToWhereItIsWritten:
    @pytest.fixture(autouse=True)
    def folders(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A recipe's folder and another one to work in, with the same in both."""
        for folder in ("recipes/there", "work/there"):
            (tmp_path / folder).mkdir(parents=True)
        monkeypatch.chdir(tmp_path / "work")

    @pytest.mark.parametrize(
        ("path", "found"),
        [
            ("there", "recipes/there"),
            ("./there", "recipes/there"),
            ("nowhere", "recipes/nowhere"),
            ("../work/there", "work/there"),
            ("${UNSET:-there}", "recipes/there"),
            ("${EMPTY:-.}/there", "recipes/there"),
            # a variable in its middle does not say where it begins
            ("x/../${FOLDER}", "recipes/there"),
            ("${FOLDER}", "work/there"),
            ("${FOLDER:-else}/x", "work/there/x"),
        ],
    )
    def test_in_a_file_to_its_folder_and_in_a_variable_to_the_working_directory(
        self, tmp_path: Path, right: str, monkeypatch: pytest.MonkeyPatch, path: str, found: str
    ) -> None:
        monkeypatch.setenv("FOLDER", "there")
        monkeypatch.setenv("EMPTY", "")
        (tmp_path / "recipes/r.toml").write_text(spider(right, path))
        assert load_recipe(Path("../recipes/r.toml")).data.path == str(tmp_path / found)

    @pytest.mark.parametrize(
        "override", ["data.path=there", "data={kind='spider', path='there'}", "data.path=${UNSET:-there}"]
    )
    def test_on_the_command_line_to_the_working_directory(
        self, tmp_path: Path, right: str, override: str
    ) -> None:
        (tmp_path / "recipes/r.toml").write_text(spider(right, "x"))
        recipe = load_recipe(Path("../recipes/r.toml"), ["data.seed=1", override])
        assert recipe.data.path == str(tmp_path / "work/there")

    def test_a_model_s_too_and_what_is_no_folder_there_is_a_hub_name(
        self, tmp_path: Path, right: str
    ) -> None:
        (tmp_path / "recipes/models/small").mkdir(parents=True)
        recipes = Path("../recipes/r.toml")
        text = right.replace("train = { vocab_size = 500 }", 'path = "models/small"')
        text = text.replace(
            'from_scratch = { architecture = "llama", hidden_size = 32 }', 'path = "org/name"'
        )
        recipes.write_text(text)
        recipe = load_recipe(recipes, ["teacher={path='models/small'}"])
        assert recipe.tokenizer is not None
        assert recipe.tokenizer.path == str(tmp_path / "recipes/models/small")
        assert recipe.student.path == "org/name"
        assert recipe.teacher is not None
        assert recipe.teacher.path == "models/small"  # there is none in the working directory

    def test_a_hub_name_must_not_stand_for_a_folder_that_happens_to_be_in_the_working_directory(
        self, tmp_path: Path, right: str
    ) -> None:
        """Libraries would load it from there."""
        Path("small").mkdir()
        text = right.replace("train = { vocab_size = 500 }", 'path = "small"')
        (tmp_path / "recipes/r.toml").write_text(text)
        recipe = load_recipe(Path("../recipes/r.toml"))
        with pytest.raises(UserError) as caught:
            check_paths(recipe)
        assert str(caught.value) == (
            "../recipes/r.toml:5: tokenizer.path: small is a folder in the working directory, and a path is relative to "
            "where it is written; write the whole path, or one from the recipe's folder"
        )


def test_a_model_s_folder_is_found_and_a_hub_name_stays(load: Load, right: str, tmp_path: Path) -> None:
    (tmp_path / "models/student").mkdir(parents=True)
    text = right.replace("train = { vocab_size = 500 }", 'path = "org/tokenizer-1.0"')
    text = text.replace(
        'from_scratch = { architecture = "llama", hidden_size = 32 }', 'path = "models/student"'
    )
    recipe = load(text)
    assert recipe.student.path == str(tmp_path / "models/student")
    assert recipe.tokenizer is not None
    assert recipe.tokenizer.path == "org/tokenizer-1.0"


def test_a_home_folder(load: Load, right: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load(spider(right, "~/spider")).data.path == str(tmp_path / "spider")


def test_a_path_that_no_system_has(load: Load, right: str) -> None:
    path = load(spider(right, "a\\u0000b")).data.path
    assert Path(path).name == "a\0b"
    assert missing_data(load(spider(right, "a\\u0000b"))) == [(("data", "path"), path)]


def test_data_that_are_not_there(load: Load, right: str, tmp_path: Path) -> None:
    recipe = load(spider(right, "spider"))
    assert missing_data(recipe) == [(("data", "path"), str(tmp_path / "spider"))]
    with pytest.raises(UserError) as caught:
        check_paths(recipe)
    assert str(caught.value) == (
        f"r.toml:3: data.path: there is no {tmp_path / 'spider'}; --rehearse runs the recipe without it"
    )
    (tmp_path / "spider").mkdir()
    for name in ("train.json", "dev.json"):
        (tmp_path / "spider" / name).touch()
    check_paths(load(spider(right, "spider")))
    assert missing_data(load(spider(right, "spider"))) == []


def test_files_of_a_dataset_that_are_not_there(load: Load, right: str, tmp_path: Path) -> None:
    (tmp_path / "spider").mkdir()
    (tmp_path / "spider/train.json").touch()
    with pytest.raises(UserError) as caught:
        check_paths(load(spider(right, "spider"), "data.evaluation=none.json"))
    assert str(caught.value) == (
        f"--set data.evaluation=none.json: there is no {tmp_path}/spider/none.json; --rehearse runs the recipe without it"
    )


def test_a_file_where_the_folder_of_a_dataset_should_be(load: Load, right: str, tmp_path: Path) -> None:
    (tmp_path / "spider").touch()
    with pytest.raises(UserError) as caught:
        check_paths(load(spider(right, "spider")))
    file = tmp_path / "spider"
    assert str(caught.value).startswith(f"r.toml:3: data.path: {file} is not the folder of a dataset; ")


def test_a_folder_where_a_file_of_examples_should_be(load: Load, right: str, tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").touch()
    (tmp_path / "test.jsonl").mkdir()
    text = right.replace(
        'kind = "embedded"', 'kind = "jsonl"\ntrain = "train.jsonl"\nevaluation = "test.jsonl"'
    )
    with pytest.raises(
        UserError, match=r"^r\.toml:4: data\.evaluation: .*test\.jsonl is not a file of examples; "
    ):
        check_paths(load(text))


def test_data_that_are_not_there_are_told_at_their_line_or_override(
    load: Load, right: str, tmp_path: Path
) -> None:
    recipe = load(spider(right, "spider"))
    check_model_paths(recipe)
    with pytest.raises(UserError, match=rf"^r\.toml:3: data\.path: there is no {tmp_path}/spider"):
        check_paths(recipe)
    with pytest.raises(UserError, match=rf"^--set data\.path=other: there is no {tmp_path}/other"):
        check_paths(load(spider(right, "spider"), "data.path=other"))


def test_files_of_examples_that_are_not_there(load: Load, right: str, tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").touch()
    text = right.replace(
        'kind = "embedded"', 'kind = "jsonl"\ntrain = "train.jsonl"\nevaluation = "test.jsonl"'
    )
    recipe = load(text)
    assert missing_data(recipe) == [(("data", "evaluation"), str(tmp_path / "test.jsonl"))]
    with pytest.raises(UserError, match=r"^r\.toml:4: data\.evaluation: there is no .*/test\.jsonl; "):
        check_paths(recipe)


def test_files_that_a_training_is_scored_on_are_read_too(load: Load, right: str, tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").touch()
    data = 'kind = "jsonl"\ntrain = "train.jsonl"\n[evaluation_sets.dev]\nevaluation = "dev.jsonl"'
    text = right.replace('kind = "embedded"', data).replace('[[stage]]\nkind = "evaluate"\n', "")
    assert missing_data(load(text)) == []
    assert missing_data(load(text, "kid.evaluate_every=5")) == [
        (("evaluation_sets", "dev", "evaluation"), str(tmp_path / "dev.jsonl"))
    ]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("./no", "there is no folder HERE/no, and it cannot be a hub name"),
        ("/no/model/here", "there is no folder /no/model/here, and it cannot be a hub name"),
        ("a/b/c", "there is no folder HERE/a/b/c, and it cannot be a hub name"),
    ],
)
def test_models_that_are_not_there(load: Load, right: str, tmp_path: Path, path: str, message: str) -> None:
    text = right.replace("train = { vocab_size = 500 }", 'path = "org/name"')
    text = text.replace('from_scratch = { architecture = "llama", hidden_size = 32 }', f'path = "{path}"')
    with pytest.raises(UserError) as caught:
        check_paths(load(text))
    assert str(caught.value) == f"r.toml:11: student.path: {message.replace('HERE', str(tmp_path))}"


def test_a_file_where_a_model_s_folder_should_be(load: Load, right: str, tmp_path: Path) -> None:
    (tmp_path / "model").touch()
    text = right.replace("train = { vocab_size = 500 }", 'path = "model"')
    with pytest.raises(UserError) as caught:
        check_paths(load(text))
    where = "r.toml:5: tokenizer.path"
    assert str(caught.value) == f"{where}: {tmp_path / 'model'} is a file, not the folder of a model"


def test_variables_that_make_a_path_without_end(
    load: Load, right: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LONG", "x" * 1000)
    with pytest.raises(UserError) as caught:
        load(right.replace("train = { vocab_size = 500 }", f'path = "{"${LONG}" * 1000}"'))
    assert str(caught.value) == (
        "r.toml:5: tokenizer.path: no path can be so long: 4,096 bytes at most, and 255 of each name in it"
    )
