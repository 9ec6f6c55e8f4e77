"""Every rule of a dataset catches the dataset with the fault that it is named after, and no other."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from outside_package import install
from pydantic import Field, field_validator

from kdzoo import DataConfig, Dataset, Example, Inputs, Splits, UserError
from kdzoo.testing import CheckError, Outcome, check_dataset, dataset_report
from kdzoo.testing.dataset_rules import CHECKS


class Lines(DataConfig):
    train: str | None = None
    evaluation: str
    most: int = Field(100, ge=2)
    style: str = "plain"


class AnyKey(Lines, extra="ignore"):
    pass


class Untold(Lines):
    secret: str = Field("given", exclude=True)


class LateDefault(Lines):
    count: int = "many"  # type: ignore[assignment]


class Even(Lines):
    @field_validator("most")
    @classmethod
    def _even(cls, most: int) -> int:
        if most % 2:
            raise ValueError("must be even")
        return most


def examples_of(file: str | None) -> list[Example]:
    if file is None:
        return []
    lines = Path(file).read_text(encoding="utf-8").splitlines()
    return [Example(f"{Path(file).stem}-{n}", f"say {line}", line) for n, line in enumerate(lines)]


def load(config: Lines, cache: Path) -> Splits:
    return Splits(examples_of(config.train), examples_of(config.evaluation))


def part(config: Lines, part: str) -> Lines | None:
    return config if part == "evaluation" else None if config.train is None else config


RIGHT: Dataset[Any] = Dataset(
    name="lines",
    summary="a target a line",
    config=Lines,
    load=load,
    metrics=("exact_match",),
    file_keys=("train", "evaluation"),
    part=part,
    little={"most": 8},
)


def changing(change: Callable[[Example], Any]) -> Callable[[Lines, Path], Any]:
    """A loading that changes the last example to evaluate on."""

    def changed(config: Lines, cache: Path) -> Splits:
        *others, last = load(config, cache).evaluation
        return Splits(examples_of(config.train), [*others, change(last)])

    return changed


class Counting:
    """A loading whose prompts differ from call to call."""

    calls = 0

    def __call__(self, config: Lines, cache: Path) -> Splits:
        self.calls += 1
        return changing(lambda example: replace(example, prompt=f"{self.calls}"))(config, cache)


def kept_of_the_first(config: Lines, cache: Path) -> Splits:
    """A loading that adds an example to what it has kept."""
    kept = cache / "kept"
    kept.write_text(kept.read_text() + "one more\n" if kept.exists() else "one\n")
    return Splits([], [*load(config, cache).evaluation, *examples_of(str(kept))])


def seeding(config: Lines, cache: Path) -> Splits:
    random.seed(0)
    return load(config, cache)


def with_a_companion(config: Lines, cache: Path) -> Splits:
    extra = Path(config.evaluation).with_suffix(".more").read_text()
    return changing(lambda example: replace(example, question=extra))(config, cache)


def longer(fits: Callable[[str], bool], training: bool) -> str:
    return "a prompt that is longer than the one that was to be made shorter"


def without_the_last(config: Lines, part: str) -> Lines:
    return config.model_copy(update={"evaluation": config.train}) if part == "evaluation" else config


# For each rule a dataset with the one fault that the rule is named after. The one about processes has a test of its own.
BROKEN: dict[str, Callable[[], Dataset[Any]]] = {
    "description_is_complete": lambda: replace(RIGHT, summary=" "),
    "metrics_are_installed": lambda: replace(RIGHT, metrics=("exact_mach",)),
    "table_refuses_other_keys": lambda: replace(RIGHT, config=AnyKey),
    "table_survives_a_recipe": lambda: replace(RIGHT, config=Untold),
    "rehearsal_values_fit": lambda: replace(RIGHT, little={"most": 1}),
    "unread_settings_are_keys": lambda: replace(
        RIGHT, inputs=lambda config: Inputs([Path("train.txt"), Path("test.txt")], frozenset({"stile"}))
    ),
    "examples_are_loaded": lambda: replace(RIGHT, load=lambda config, cache: ([], [])),
    "examples_are_texts": lambda: replace(RIGHT, load=changing(lambda e: replace(e, target="\n"))),
    "ids_are_unique": lambda: replace(RIGHT, load=changing(lambda e: replace(e, id="test-0"))),
    "databases_are_there": lambda: replace(
        RIGHT, load=changing(lambda e: replace(e, database=Path("none.sqlite")))
    ),
    "prompts_can_be_shortened": lambda: replace(RIGHT, load=changing(lambda e: replace(e, shorten=longer))),
    "global_generators_are_left_alone": lambda: replace(RIGHT, load=seeding),
    "loading_again_gives_the_same": lambda: replace(RIGHT, load=Counting()),
    "parts_hold_their_examples": lambda: replace(RIGHT, part=without_the_last),
    "fingerprint_covers_what_is_read": lambda: replace(RIGHT, load=with_a_companion),
}

TABLE = {"train": "train.txt", "evaluation": "test.txt"}


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("train.txt").write_text("a\nbe\nsee\n")
    Path("test.txt").write_text("dee\ne\neff\n")
    Path("test.more").write_text("more")


def failures(dataset: Dataset[Any] | str, **table: Any) -> dict[str, str]:
    with pytest.raises(CheckError) as caught:
        check_dataset(dataset, {**TABLE, **table})
    return {r.name: r.reason for r in caught.value.results if r.outcome is Outcome.FAILED}


class TestEveryRule:
    @pytest.mark.parametrize("name", BROKEN)
    def test_catches_the_dataset_with_its_fault_and_is_the_only_one(self, name: str) -> None:
        table = {"secret": "other"} if name == "table_survives_a_recipe" else {}
        found = failures(BROKEN[name](), **table)
        assert list(found) == [name]
        assert found[name].startswith(("lines", "Dataset."))

    def test_has_such_a_dataset_here(self) -> None:
        assert {check.name for check in CHECKS} == {*BROKEN, "another_process_loads_the_same"}

    def test_is_passed_by_what_the_broken_ones_are_made_from(self) -> None:
        check_dataset(RIGHT, TABLE)
        outcomes = {result.name: result.outcome for result in dataset_report(RIGHT, TABLE)}
        assert outcomes.pop("another_process_loads_the_same") is Outcome.DOES_NOT_APPLY
        assert set(outcomes.values()) == {Outcome.PASSED}

    def test_stands_behind_those_that_it_needs(self) -> None:
        names = [check.name for check in CHECKS]
        for check in CHECKS:
            assert all(names.index(needed.__name__) < names.index(check.name) for needed in check.needs)


SHUFFLED = """\
from pathlib import Path
from kdzoo import DataConfig, Dataset, Example, Splits

class Lines(DataConfig):
    evaluation: str

def load(config, cache):
    words = ORDER(set(Path(config.evaluation).read_text().split()))
    return Splits([], [Example(word, f"say {word}", word) for word in words])

LINES = Dataset(name="lines", summary="words", config=Lines, load=load, metrics=("exact_match",), file_keys=("evaluation",))
"""


class TestAnotherProcess:
    """It has other hashes, and with them another order of sets."""

    @pytest.fixture
    def installed(self, site: Path) -> Callable[[str], None]:
        def installed(order: str) -> None:
            Path("test.txt").write_text(" ".join(f"word{n}" for n in range(20)))
            groups = {"kdzoo.datasets": {"lines": "outside_lines:LINES"}}
            install(site, "outside", {"outside_lines": SHUFFLED.replace("ORDER", order)}, groups)

        return installed

    def test_must_load_the_same(self, installed: Callable[[str], None]) -> None:
        installed("list")
        with pytest.raises(CheckError) as caught:
            check_dataset("lines", {"evaluation": "test.txt"})
        (failed,) = (result for result in caught.value.results if not result.passed)
        assert failed.name == "another_process_loads_the_same"
        assert "another process loads other examples, or in another order" in failed.reason

    def test_does(self, installed: Callable[[str], None]) -> None:
        installed("sorted")
        outcomes = {r.name: r.outcome for r in dataset_report("lines", {"evaluation": "test.txt"})}
        assert outcomes["another_process_loads_the_same"] is Outcome.PASSED


class TestReasons:
    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("metrics_are_installed", "no metric 'exact_mach' is installed; did you mean \"exact_match\"?"),
            ("table_refuses_other_keys", "a recipe's typo would pass unseen"),
            ("examples_are_loaded", "load gave tuple, not kdzoo.Splits"),
            ("examples_are_texts", "evaluation[2].target is blank"),
            ("ids_are_unique", "two examples of evaluation have the id 'test-0'"),
            ("databases_are_there", "'test-2' names a database that is not there: none.sqlite"),
            ("loading_again_gives_the_same", "evaluation[2].prompt is '1' and '"),
            (
                "parts_hold_their_examples",
                "part narrows to evaluation gives other examples: evaluation[0].id is",
            ),
        ],
    )
    def test_say_what_is_wrong_and_where(self, name: str, words: str) -> None:
        assert words in failures(BROKEN[name]())[name]

    def test_the_file_that_is_missed_is_named(self, tmp_path: Path) -> None:
        reason = failures(BROKEN["fingerprint_covers_what_is_read"]())["fingerprint_covers_what_is_read"]
        assert (
            f"load reads {(tmp_path / 'test.more').resolve()}, which does not shape the fingerprint" in reason
        )

    def test_what_is_kept_must_not_change_what_comes(self) -> None:
        found = failures(replace(RIGHT, load=kept_of_the_first, part=None))
        assert "loading once more gives other examples" in found["loading_again_gives_the_same"]

    @pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
    def test_a_default_that_is_not_right_is_found_when_it_is_read_again(self) -> None:
        found = failures(replace(RIGHT, config=LateDefault))
        assert "cannot be read again once it is written as JSON: count: " in found["table_survives_a_recipe"]

    def test_a_rehearsal_s_table_may_be_wrong_by_the_table_s_own_rules(self) -> None:
        found = failures(replace(RIGHT, config=Even, little={"most": 7}))
        assert "a rehearsal's table with {'most': 7} is wrong" in found["rehearsal_values_fit"]

    def test_what_loading_raises_is_told(self) -> None:
        def lost(config: Lines, cache: Path) -> Splits:
            raise UserError("test.txt:3: no target")

        found = failures(replace(RIGHT, load=lost))
        assert found["examples_are_loaded"].startswith("lines: UserError: test.txt:3: no target (")


def test_a_dataset_without_examples_to_evaluate_on_is_one() -> None:
    check_dataset(replace(RIGHT, load=lambda config, cache: Splits(examples_of(config.train), [])), TABLE)


def test_one_without_any_example_is_none() -> None:
    found = failures(replace(RIGHT, load=lambda config, cache: Splits([], [])))
    assert "load gave no example at all" in found["examples_are_loaded"]
