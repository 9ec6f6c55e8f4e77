"""Runs and sweeps, read from their folders alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from made_runs import EVALUATE, FINETUNE, KID, SFT, MadeRun

from kdzoo.errors import UserError
from kdzoo.report.runs_read import read_run, read_runs

STAGES = [FINETUNE, SFT, KID, EVALUATE]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return MadeRun(STAGES, {"sft": {"embedded": {"ex": [1, 0]}}}).write(tmp_path / "a")


def test_a_run_has_its_recipe_its_seed_and_what_its_stages_recorded(run: Path) -> None:
    found = read_run(run)
    assert [stage.name for stage in found.recipe.stages] == ["finetune", "sft", "kid", "evaluate"]
    assert found.content["seed"] == 0
    assert found.status == "finished"
    assert found.stages["evaluate"].results["models"]["sft"]["sets"]["embedded"]["scores"] == {"ex": 0.5}
    assert found.unfinished == []


def test_what_is_unfinished_is_told(tmp_path: Path) -> None:
    made = MadeRun(STAGES, unfinished=["kid", "evaluate"], status="interrupted")
    found = read_runs([made.write(tmp_path / "b")])
    assert found.runs[0].unfinished == ["kid", "evaluate"]
    assert found.notes == [
        f"{tmp_path}/b: interrupted; not finished: kid, evaluate; running its recipe again continues it"
    ]


def test_a_stage_behind_a_link_is_read_where_it_is(run: Path, tmp_path: Path) -> None:
    other = MadeRun(STAGES).write(tmp_path / "b")
    for file in (other / "sft").iterdir():
        file.unlink()
    (other / "sft").rmdir()
    (other / "sft").symlink_to("../a/sft")
    assert read_run(other).stages["sft"].folder == (run / "sft").resolve()


class TestSweep:
    def sweep(self, tmp_path: Path, content: object) -> Path:
        folder = tmp_path / "sweep"
        folder.mkdir()
        (folder / "sweep.json").write_text(json.dumps(content))
        return folder

    def test_it_stands_for_its_members_each_read_once(self, run: Path, tmp_path: Path) -> None:
        MadeRun(STAGES, seed=1).write(tmp_path / "b")
        members = [{"values": {"seed": n}, "run": f"../{name}"} for n, name in enumerate("ab")]
        folder = self.sweep(tmp_path, {"recipe": "r", "keys": ["seed"], "members": members})
        found = read_runs([folder, run])
        assert [one.folder.resolve() for one in found.runs] == [run, tmp_path / "b"]

    def test_members_that_have_not_begun_are_told(self, run: Path, tmp_path: Path) -> None:
        members = [
            {"values": {}, "run": "../a"},
            {"values": {"seed": 7, "kid.options.alpha": 0.1}, "run": "../c"},
        ]
        found = read_runs([self.sweep(tmp_path, {"members": members})])
        assert found.notes == [f"{tmp_path}/sweep: not begun: seed = 7, kid.options.alpha = 0.1"]

    def test_one_of_which_nothing_has_begun_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="not begun: seed = 7"):
            read_runs([self.sweep(tmp_path, {"members": [{"values": {"seed": 7}, "run": "../c"}]})])

    @pytest.mark.parametrize("content", [[], {}, {"members": 3}, {"members": [{}]}, {"members": ["x"]}])
    def test_one_that_names_no_members_is_an_error(self, tmp_path: Path, content: object) -> None:
        with pytest.raises(UserError, match=r'sweep.json: must hold "members"'):
            read_runs([self.sweep(tmp_path, content)])


class TestNoRun:
    def test_a_folder_that_is_none(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match=r"is no run: it has no run.json"):
            read_runs([tmp_path])

    def test_a_folder_of_runs_names_them(self, run: Path) -> None:
        with pytest.raises(UserError, match=r"is no run, but holds some: a; give these, or .*/\*"):
            read_runs([run.parent])

    def test_nothing_there(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="there is no such folder"):
            read_runs([tmp_path / "x"])

    def test_a_file(self, run: Path) -> None:
        with pytest.raises(UserError, match="is a file; give the folder of a run"):
            read_runs([run / "run.json"])


class TestDamage:
    def test_a_truncated_record_is_a_stage_that_is_not_finished(self, run: Path) -> None:
        (run / "kid" / "stage.json").write_text('{"name": "ki')
        found = read_runs([run])
        assert found.runs[0].unfinished == ["kid"]
        assert "kid/stage.json:1: not valid JSON" in found.notes[0]

    @pytest.mark.parametrize("record", ["{}", '{"results": 3}', "[]"])
    def test_so_is_one_without_results(self, run: Path, record: str) -> None:
        (run / "kid" / "stage.json").write_text(record)
        assert read_run(run).unfinished == ["kid"]

    @pytest.mark.parametrize("file", ["run.json", "recipe.toml"])
    def test_without_description_or_recipe_there_is_no_run_to_read(self, run: Path, file: str) -> None:
        (run / file).write_text("{ <")
        with pytest.raises(UserError, match=f"{file}:1: not valid"):
            read_run(run)
