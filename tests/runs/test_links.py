"""Links that lead out of the folder of runs are told before a run writes through them."""

from __future__ import annotations

from pathlib import Path

import pytest

from kdzoo.errors import RunError
from kdzoo.runs.links import check_links


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "runs/one/finetune/model").mkdir(parents=True)
    (tmp_path / "runs/two/kid").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    return tmp_path / "runs"


@pytest.mark.parametrize(
    "place", ["two/kid/metrics.jsonl", "two/finetune", "two/.lock", "two/kid/checkpoints", "new"]
)
@pytest.mark.parametrize("target", ["elsewhere", "elsewhere/new", "/etc", ".."])
def test_a_link_that_leads_elsewhere_is_told(out: Path, place: str, target: str) -> None:
    (out / place).symlink_to(out.parent / target)
    with pytest.raises(RunError, match=r"is a link to .*, and a run writes only below") as caught:
        check_links(out / place.partition("/")[0], out)
    assert str(out / place) in str(caught.value)


def test_a_link_within_is_none(out: Path) -> None:
    (out / "two/finetune").symlink_to("../one/finetune", target_is_directory=True)
    (out / "two/kid/latest").symlink_to(out / "two/kid/step-1")
    check_links(out / "two", out)


def test_what_another_run_holds_is_not_looked_at(out: Path) -> None:
    (out / "one/away").symlink_to(out.parent / "elsewhere")
    check_links(out / "two", out)


def test_the_folder_of_runs_may_be_a_link_and_what_is_not_there_is_none(out: Path) -> None:
    link = out.parent / "link"
    link.symlink_to(out, target_is_directory=True)
    for name in ("two", "absent"):
        check_links(link / name, link)


def test_a_circle_within_is_none(out: Path) -> None:
    (out / "two/circle").symlink_to("circle")
    check_links(out / "two", out)
