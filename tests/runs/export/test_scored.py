"""Scores on a card: a table with intervals, and metadata."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from huggingface_hub import ModelCard, ModelCardData
from made_runs import EVALUATE, HEAD, KID, SFT
from scipy import stats

from kdzoo.runs.export.scored import Scores
from kdzoo.runs.trained_stage import find_trained_stage

Make = Callable[..., Path]
ANSWERS = {
    "sft": {"embedded": {"ex": [0.0] * 10}},
    "kid": {"embedded": {"ex": [1.0] * 8 + [0.0] * 2}},
}


def test_a_model_stands_first_with_its_interval(made_run: Make) -> None:
    scores = Scores(find_trained_stage(made_run(SFT, KID, EVALUATE, answers=ANSWERS)))
    low, high = stats.binomtest(8, 10).proportion_ci(method="wilson")
    assert scores.table() == [
        "| model | EX |",
        "| --- | --- |",
        f"| **kid** | 80.0% [{100 * low:.1f},\u00a0{100 * high:.1f}] |",
        "| sft | 0.0% [0.0,\u00a027.8] |",
    ]
    assert (scores.parameters, scores.questions(), scores.is_empty) == (1000, {"embedded": 10}, False)


def test_each_score_is_metadata(made_run: Make) -> None:
    (found,) = Scores(find_trained_stage(made_run(SFT, KID, EVALUATE, answers=ANSWERS))).metadata()
    assert (found.task_type, found.dataset_type, found.dataset_name) == (
        "text-generation",
        "embedded",
        "embedded",
    )
    assert (found.metric_type, found.metric_name, found.metric_value) == ("ex", "EX", 0.8)


def test_a_set_of_the_hub_is_called_by_its_name(made_run: Make) -> None:
    data = '[data]\nkind = "hf"\npath = "owner/data"\nevaluation = "test"\n'
    head = HEAD.replace('[data]\nkind = "embedded"\n', data)
    answers = {"kid": {"hf": {"exact_match": [1.0, 0.0], "rouge_l": [0.5, 0.25]}}}
    found = list(Scores(find_trained_stage(made_run(KID, EVALUATE, head=head, answers=answers))).metadata())
    assert {(result.dataset_type, result.metric_type, result.metric_value) for result in found} == {
        ("owner/data", "exact_match", 0.5),
        ("owner/data", "rouge_l", 0.375),
    }


def test_sets_of_one_dataset_stay_apart(made_run: Make) -> None:
    sets = "[evaluation_sets.near]\n[evaluation_sets.far]\nquestions = 50\n"
    answers = {"kid": {"near": {"ex": [1.0, 0.0]}, "far": {"ex": [0.0, 0.0]}}}
    found = Scores(
        find_trained_stage(made_run(KID, EVALUATE, head=f"{HEAD}{sets}", answers=answers))
    ).metadata()
    data = ModelCardData(model_name="m", eval_results=list(found))
    again = ModelCard(f"---\n{data.to_yaml()}\n---\n").data.eval_results
    assert [(result.dataset_name, result.metric_value) for result in again] == [("near", 0.5), ("far", 0.0)]


def test_a_model_may_not_have_been_scored(made_run: Make) -> None:
    scores = Scores(find_trained_stage(made_run(SFT, KID, f'{EVALUATE}\nmodels = ["sft"]', answers=ANSWERS)))
    assert (scores.is_empty, scores.questions(), list(scores.metadata())) == (True, {}, [])
    assert scores.parameters is None
