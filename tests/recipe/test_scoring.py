"""Scores while training: what a recipe may ask for, what it leaves to the data, and when they are due."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdzoo.recipe import Recipe, Scoring, TrainingStage, scored_sets_of, scoring_of
from kdzoo.recipe.scoring import is_scored_after
from kdzoo.recipe.tables import Training

Load = Callable[..., Recipe]
Problems = Callable[..., list[str]]

EVERY = "training.evaluate_every=200"


def stages_of(recipe: Recipe) -> dict[str, TrainingStage]:
    return {stage.name: stage for stage in recipe.stages if stage.role is not None}


def scoring(recipe: Recipe, name: str = "kid") -> Scoring:
    found = scoring_of(recipe, stages_of(recipe)[name])
    assert found is not None
    return found


class TestWhatIsScored:
    def test_nothing_unless_it_is_asked_for(self, load: Load, right: str) -> None:
        recipe = load(right, "training.evaluate_metric=ts", "training.evaluate_examples=5")
        assert [scoring_of(recipe, stage) for stage in stages_of(recipe).values()] == [None, None]

    def test_by_default_the_only_set_by_its_first_metric(self, load: Load, right: str) -> None:
        found = scoring(load(right, EVERY))
        assert (found.every, found.set, found.metric, found.examples) == (200, "embedded", "ex", 100)
        assert not found.keep_best
        assert found.evaluation.metrics == ("ex",)

    def test_the_first_metric_that_compares_with_no_teacher(self, load: Load, right: str) -> None:
        assert scoring(load(right, EVERY, "evaluation.metrics=['exaccerr', 'ts', 'ex']")).metric == "ts"

    def test_no_more_questions_than_an_evaluation_has(self, load: Load, right: str) -> None:
        assert scoring(load(right, EVERY, "evaluation.max_examples=30")).examples == 30
        assert scoring(load(right, EVERY, "evaluation.max_examples=300")).examples == 100

    def test_within_the_limits_of_an_evaluation(self, load: Load, right: str) -> None:
        settings = scoring(
            load(right, EVERY, "evaluation.input_limit=300", "training.output_limit=40")
        ).evaluation
        assert (settings.input_limit, settings.output_limit) == (300, 40)

    def test_a_stage_may_ask_for_itself(self, load: Load, right: str) -> None:
        recipe = load(right, "kid.evaluate_every='0.5 epochs'", "kid.keep_best=true")
        assert scoring_of(recipe, stages_of(recipe)["finetune"]) is None
        assert (scoring(recipe).every, scoring(recipe).keep_best) == ("0.5 epochs", True)


SETS = """\
[datasets.text]
kind = "jsonl"
train = "t"
evaluation = "e"
[evaluation_sets.dev]
[evaluation_sets.few]
metrics = ["exaccerr", "ts"]
max_examples = 7
[evaluation_sets.text]
data = "text"
"""


class TestSeveralSets:
    @pytest.fixture
    def several(self, right: str) -> str:
        return right.replace("[tokenizer]", f"{SETS}[tokenizer]")

    def test_the_first_counts_unless_another_is_named(self, load: Load, several: str) -> None:
        recipe = load(several, EVERY)
        assert scoring(recipe).set == "dev"
        assert scoring(recipe).data == recipe.scored_set("dev").data

    def test_a_set_has_its_own_data_metrics_and_questions(self, load: Load, several: str) -> None:
        recipe = load(several, EVERY, "kid.evaluate_set=few", "finetune.evaluate_set=text")
        few, text = scoring(recipe), scoring(recipe, "finetune")
        assert (few.set, few.metric, few.examples) == ("few", "ts", 7)
        assert (text.set, text.metric, text.data.kind) == ("text", "exact_match", "jsonl")

    def test_a_metric_must_fit_the_stage_s_own_set(self, problems: Problems, several: str) -> None:
        assert problems(several, EVERY, "kid.evaluate_set=text", "training.evaluate_metric=ex") == [
            '--set training.evaluate_metric=ex: "ex" does not fit data of kind "jsonl", which has exact_match, rouge_l'
        ]

    def test_a_name_that_is_none_s_is_told_with_the_nearest(self, problems: Problems, several: str) -> None:
        text = several.replace("epochs = 2", 'epochs = 2\nevaluate_set = "txet"')
        line = text[: text.index("evaluate_set")].count("\n") + 1
        assert problems(text) == [
            f'r.toml:{line}: training.evaluate_set: there is no evaluation set "txet"; did you mean "text"?'
        ]

    def test_a_set_without_questions_is_told_where_it_is_asked(
        self, problems: Problems, load: Load, several: str
    ) -> None:
        text = several.replace('evaluation = "e"\n', "") + 'sets = ["dev"]\n'
        assert problems(text, EVERY, "kid.evaluate_set=text") == [
            "--set training.evaluate_every=200: there are no questions to score it on: datasets.text.evaluation names "
            "nothing"
        ]
        load(text, "kid.evaluate_set=text")

    def test_sets_that_are_read(self, load: Load, several: str) -> None:
        recipe = load(several, "kid.evaluate_every=2", "kid.evaluate_set=text")
        assert [[one.name for one in scored_sets_of(recipe, stage)] for stage in recipe.stages] == [
            [],
            ["text"],
            ["dev", "few", "text"],
        ]


class TestSwitchedOff:
    """TOML has no null: 0 takes back what [training] asks for."""

    def test_by_a_stage(self, load: Load, right: str) -> None:
        recipe = load(right, EVERY, "finetune.evaluate_every=0")
        assert scoring_of(recipe, stages_of(recipe)["finetune"]) is None
        assert scoring(recipe).every == 200

    def test_the_best_of_all_stages_is_then_not_asked_of_it(
        self, load: Load, problems: Problems, right: str
    ) -> None:
        best, off = "training.keep_best=true", "finetune.evaluate_every=0"
        assert scoring(load(right, EVERY, best, off)).keep_best
        (line,) = problems(right, EVERY, off, "finetune.keep_best=true")
        assert "finetune.keep_best=true: the best is chosen by scores, and there are none" in line

    def test_by_all_is_as_unset(self, load: Load, problems: Problems, right: str) -> None:
        off = "training.evaluate_every=0"
        recipe = load(right, off)
        assert [scoring_of(recipe, stage) for stage in stages_of(recipe).values()] == [None, None]
        (line,) = problems(right, off, "training.keep_best=true")
        assert "the best is chosen by scores, and there are none" in line


INTERVAL = 'must be a whole number of steps, 0 for not at all, or text like "0.5 epochs"'
REFUSED = {
    ("training.evaluate_every=-3",): f"{INTERVAL}, not -3",
    ("training.evaluate_every=1.5",): f"{INTERVAL}, not 1.5",
    ("training.evaluate_every=true",): f"{INTERVAL}, not true",
    ("training.evaluate_every='0 epochs'",): f'{INTERVAL}, not "0 epochs"',
    ("training.evaluate_every='-1 epochs'",): f'{INTERVAL}, not "-1 epochs"',
    ("training.evaluate_every='1 epochen'",): f'{INTERVAL}, not "1 epochen"',
    ("training.evaluate_every='epoch'",): f'{INTERVAL}, not "epoch"',
    ("training.evaluate_examples=0",): "must be at least 1, not 0",
    (
        "training.evaluate_metric=x",
    ): 'must be "ex", "ex_vote", "exaccerr", "exact_match", "rouge_l" or "ts", not "x"; did you mean "ex"?',
    (EVERY, "training.evaluate_set=embeded"): (
        'there is no evaluation set "embeded"; did you mean "embedded"?'
    ),
    (EVERY, "kid.evaluate_set=dk"): 'there is no evaluation set "dk"',
    (EVERY, "training.evaluate_metric=rouge_l"): (
        '"rouge_l" does not fit data of kind "embedded", which has ex, ts'
    ),
    (EVERY, "kid.evaluate_metric=exaccerr"): (
        '"exaccerr" compares with the teacher, and is measured by an evaluate stage; here there are ex, ts'
    ),
    ("training.keep_best=true",): (
        'the best is chosen by scores, and there are none; add evaluate_every, "1 epoch" for one'
    ),
    ("evaluation.metrics=['exaccerr']", EVERY): (
        "all metrics of the set compare with a teacher; add evaluate_metric: ex, ts"
    ),
}


@pytest.mark.parametrize("overrides", REFUSED, ids=" ".join)
def test_what_cannot_be_scored_is_told_with_its_key(
    problems: Problems, right: str, overrides: tuple[str, ...]
) -> None:
    (line,) = problems(right, *overrides)
    assert line.startswith(f"--set {overrides[-1].partition('=')[0]}=")
    assert line.partition(": ")[2].startswith(REFUSED[overrides])


def test_with_file_and_line_where_it_stands_in_a_file(problems: Problems, right: str) -> None:
    text = right.replace("epochs = 2", 'epochs = 2\nevaluate_every = 5\nevaluate_set = "dk"')
    assert problems(text) == [
        'r.toml:16: training.evaluate_set: there is no evaluation set "dk"; there are: embedded'
    ]


class TestWhenItIsDue:
    def due(self, interval: Fraction | int, last: int) -> list[int]:
        return [step for step in range(1, last + 1) if is_scored_after(step, last, Fraction(interval))]

    @pytest.mark.parametrize(
        ("interval", "steps"),
        [
            (1, [1, 2, 3, 4, 5, 6, 7]),
            (3, [3, 6, 7]),
            (7, [7]),
            (100, [7]),
            (Fraction(5, 2), [3, 5, 7]),  # half an epoch of five steps: its end falls into the third
            (Fraction(1, 3), [1, 2, 3, 4, 5, 6, 7]),
        ],
    )
    def test_by_hand(self, interval: Fraction | int, steps: list[int]) -> None:
        assert self.due(interval, 7) == steps

    @given(st.fractions(Fraction(1), Fraction(20)), st.integers(1, 60))
    def test_once_for_each_interval_that_has_ended_and_after_the_last(
        self, interval: Fraction, last: int
    ) -> None:
        due = self.due(interval, last)
        ends = [-(-(interval * k).numerator // (interval * k).denominator) for k in range(1, 100)]
        assert due == sorted({end for end in ends if end <= last} | {last})

    def test_an_epoch_s_last_batch_may_have_fewer_rows(self, load: Load, right: str) -> None:
        found = scoring(load(right, "training.evaluate_every='0.5 epochs'"))
        assert found.interval(Training(batch_size=4).steps_per_epoch(17)) == Fraction(5, 2)
        assert scoring(load(right, EVERY)).interval(5) == 200


def test_in_words_it_says_how_many_questions_there_are(load: Load, right: str) -> None:
    recipe = load(right, "training.evaluate_every='1 epoch'", "kid.keep_best=true")
    assert scoring(recipe).in_words(30) == "every 1 epoch by ex on 30 questions of embedded; the best is kept"
    assert scoring(load(right, EVERY)).in_words() == "every 200 steps by ex on 100 questions of embedded"
