"""What models cost, and their steps relative to the SFT student's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from made_runs import EVALUATE, FINETUNE, HEAD, KID, SFT, MadeRun, ex, row

from kdzoo.report.comparison import Comparison
from kdzoo.report.costs import Cost

STAGES = [FINETUNE, SFT, KID, EVALUATE]

Compared = Callable[..., Comparison]


def test_relative_to_sft_is_by_the_median_time_of_a_step(compared: Compared) -> None:
    results = {
        "finetune": {"step_seconds": 0.9, "training_seconds": 90.0},
        "sft": {"step_seconds": 0.2, "training_seconds": 500.0, "peak_memory_bytes": 100},
        "kid": {"step_seconds": 0.3, "preparing_seconds": 7.0, "peak_memory_bytes": 300},
    }
    found = compared(MadeRun(STAGES, ex(teacher=[1], sft=[1], kid=[1]), results=results))
    assert [r.relative_step for r in found.rows] == pytest.approx([4.5, 1.0, 1.5])
    assert row(found, "kid").cost == Cost(0.3, None, 7.0, 300)


def test_a_student_of_another_size_stands_beside_no_other_s_sft_student(compared: Compared) -> None:
    larger = HEAD.replace('[student]\npath = "s"', '[student]\npath = "larger"')
    found = compared(
        MadeRun([SFT, EVALUATE], ex(sft=[1, 0]), {"sft": {"step_seconds": 0.2}}),
        MadeRun([KID, EVALUATE], ex(kid=[1, 0]), {"kid": {"step_seconds": 0.6}}, head=larger),
    )
    assert [r.relative_step for r in found.rows] == [1.0, None]


def test_of_two_datasets_each_has_its_own_sft_student(compared: Compared) -> None:
    head = f'{HEAD}[datasets.other]\nkind = "embedded"\nseed = 1\n'
    named = 'kind = "{0}"\nname = "{1}-other"\ndata = "other"'
    stages = [FINETUNE, SFT, named.format("finetune", "teacher")]
    stages += [named.format("distill", name) + f'\nmethod = "{name}"' for name in ("sft", "kid")]
    stages += ['kind = "evaluate"\nmodels = ["sft", "teacher", "sft-other", "kid-other"]']
    seconds = {"sft": 1.0, "teacher-other": 9.0, "sft-other": 3.0, "kid-other": 6.0}
    results = {name: {"step_seconds": value} for name, value in seconds.items()}
    names = ("sft", "teacher", "sft-other", "kid-other")
    found = compared(MadeRun(stages, {name: ex(m=[1])["m"] for name in names}, results, head=head))
    assert [(r.label, r.relative_step) for r in found.rows] == [
        ("sft", 1.0),
        ("teacher", 3.0),
        ("sft-other", 1.0),
        ("kid-other", 2.0),
    ]


@pytest.mark.parametrize("value", [None, True, float("nan"), "0.2"])
def test_what_is_no_time_counts_as_not_recorded(compared: Compared, value: Any) -> None:
    results = {"sft": {"step_seconds": value}, "kid": {"step_seconds": 0.6}}
    found = compared(MadeRun([SFT, KID, EVALUATE], ex(sft=[1, 0], kid=[1, 0]), results))
    assert [(r.cost.step_seconds, r.relative_step) for r in found.rows] == [(None, None), (0.6, None)]


def test_of_several_seeds_it_is_their_median_and_the_highest_memory(compared: Compared) -> None:
    runs = [
        MadeRun(
            [SFT, EVALUATE],
            ex(sft=[1, 0]),
            {"sft": {"step_seconds": s, "training_seconds": 10 * s, "peak_memory_bytes": int(s)}},
            seed=n,
        )
        for n, s in enumerate((1.0, 2.0, 9.0))
    ]
    assert compared(*runs).rows[0].cost == Cost(2.0, 20.0, None, 9)


def test_what_was_not_recorded_is_missing(compared: Compared) -> None:
    found = compared(MadeRun(STAGES, ex(sft=[1, 0], kid=[0, 0]), {"sft": {"training_seconds": 3.0}}))
    assert row(found, "sft").cost == Cost(training_seconds=3.0)
    assert [r.relative_step for r in found.rows] == [None, None, None]
