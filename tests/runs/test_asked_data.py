"""What a user's questions are like: which data, which database; nothing is loaded for what cannot be asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from made_runs import SFT, MadeRun

from kdzoo.errors import UserError
from kdzoo.runs.asked_data import AskedData, choose_data
from kdzoo.runs.trained_stage import find_trained_stage

MODELS = '[tokenizer]\npath = "t"\n[student]\npath = "s"\n'
EMBEDDED = 'kind = "embedded"\nquestions = 50\ntest_questions = 10\ndatabases = '
TEXT = 'kind = "jsonl"\ntrain = "a.jsonl"\nevaluation = "a.jsonl"\n'

Choose = Callable[..., AskedData]


@pytest.fixture
def choose(tmp_path: Path) -> Choose:
    def choose(data: str, *stages: str, name: str | None = None, file: Path | None = None) -> AskedData:
        (tmp_path / "a.jsonl").write_text('{"prompt": "a", "target": "b"}\n')
        data = data.replace("a.jsonl", str(tmp_path / "a.jsonl"))
        number = len(list(tmp_path.glob("r-*")))
        run = MadeRun(stages or [SFT], head=f"{data}\n{MODELS}").write(tmp_path / f"r-{number}")
        (run / "sft/model").mkdir()
        return choose_data(find_trained_stage(run / "sft"), tmp_path / "cache", name, file)

    return choose


def test_the_only_database_needs_no_name(choose: Choose) -> None:
    found = choose(f'[data]\n{EMBEDDED}["music"]')
    assert found.database == "music"
    assert found.asking is not None


def test_one_of_several_is_named(choose: Choose) -> None:
    assert choose(f"[data]\n{EMBEDDED}2", name="travel").database == "travel"
    with pytest.raises(
        UserError, match=r"name one by --db NAME; there are: music, travel, or --database FILE"
    ):
        choose(f"[data]\n{EMBEDDED}2")
    with pytest.raises(UserError, match=r'--db: no database is called "musik"; did you mean "music"\?'):
        choose(f"[data]\n{EMBEDDED}2", name="musik")


def test_it_may_be_that_of_any_of_the_recipe_s_data(choose: Choose) -> None:
    two = f'[data]\n{EMBEDDED}["music"]\n[datasets.other]\n{EMBEDDED}["travel"]\n[evaluation_sets.e]\ndata = "other"'
    for name in ("music", "travel"):
        assert choose(two, name=name).database == name


def test_data_that_are_evaluated_on_come_first(choose: Choose) -> None:
    mixed = f'[data]\n{EMBEDDED}["music"]\n[datasets.words]\n{TEXT}[evaluation_sets.e]\ndata = "words"'
    assert choose(mixed).data.kind == "jsonl"
    assert choose(mixed, name="music").database == "music"


def test_the_settings_are_those_of_the_first_evaluation(choose: Choose) -> None:
    stage = 'kind = "evaluate"\nevaluation = { output_limit = 77, extract = "auto" }'
    found = choose(f"[data]\n{TEXT}", SFT, stage)
    assert (found.evaluation.output_limit, found.evaluation.extract) == (77, "auto")
    usual = choose(f"[data]\n{TEXT}")
    assert (usual.evaluation.output_limit, usual.evaluation.extract) == (128, "none")


def test_text_has_no_database(choose: Choose, tmp_path: Path) -> None:
    found = choose(f"[data]\n{TEXT}")
    assert (found.asking, found.database) == (None, None)
    for asked in ({"name": "music"}, {"file": tmp_path / "x.sqlite"}):
        with pytest.raises(UserError, match=r'are no text-to-SQL \(kind = "jsonl"\)'):
            choose(f"[data]\n{TEXT}", **asked)


def test_any_file_may_be_asked_on(choose: Choose, tmp_path: Path) -> None:
    choose(f'[data]\n{EMBEDDED}["music"]')
    (file,) = (tmp_path / "cache").glob("embedded-*/music/music.sqlite")
    assert choose(f'[data]\n{EMBEDDED}["travel"]', file=file).database == file
    with pytest.raises(UserError, match="there is no such file"):
        choose(f"[data]\n{EMBEDDED}2", file=tmp_path / "absent.sqlite")


def test_data_that_are_gone_are_told(choose: Choose, tmp_path: Path) -> None:
    (tmp_path / "spider").mkdir()
    with pytest.raises(
        UserError, match=r"databases of the run's data are not there any more; --database FILE"
    ):
        choose(f'[data]\nkind = "spider"\npath = "{tmp_path}/spider"\ntrain = ["t.json"]')
