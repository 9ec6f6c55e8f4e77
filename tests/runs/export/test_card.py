"""A model's card: valid Markdown with metadata of the hub's, no blank, and the recipe whole."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard
from made_runs import EVALUATE, FINETUNE, HEAD, KID

from kdzoo.runs.export.base import AdapterBase
from kdzoo.runs.export.card import Exported, card_of
from kdzoo.runs.export.licence import Licence
from kdzoo.runs.trained_stage import find_trained_stage

Make = Callable[..., Path]
SECTIONS = ["Model", "Loading it", "Training", "Data", "Scores", "Licence", "Recipe"]
ANSWERS = {"kid": {"embedded": {"ex": [1.0] * 8 + [0.0] * 2}}}
RESULTS = {"kid": {"examples": 1200, "steps": 75, "training_seconds": 600.0}}
HUB = HEAD.replace('path = "s"', 'path = "owner/student"\nlora = { rank = 4 }')


def exported(**changed: Any) -> Exported:
    usual: dict[str, Any] = {
        "adapter": None,
        "is_merged": False,
        "dtype": "float32",
        "parameters": None,
        "licence": None,
        "licence_files": (),
        "gguf_file": None,
        "chat_template": "",
        "place": "student",
        "is_on_hub": False,
    }
    return Exported(**{**usual, **changed})


def card(run: Path, folder: Path, **changed: Any) -> ModelCard:
    """The card as it is read from where it was written."""
    card_of(find_trained_stage(run), exported(**changed)).save(folder / "README.md")
    return ModelCard.load(folder / "README.md")


def section(card: ModelCard, title: str) -> str:
    found = re.search(rf"^## {title}\n\n(.*?)(?=\n## |\Z)", card.text, re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


@pytest.fixture
def run(made_run: Make) -> Path:
    return made_run(FINETUNE, KID, EVALUATE, head=HUB, answers=ANSWERS, results=RESULTS)


def test_it_has_all_sections_and_no_blank(run: Path, tmp_path: Path) -> None:
    found = card(run, tmp_path)
    assert re.findall(r"^## (.*)$", found.text, re.MULTILINE) == SECTIONS
    for title in SECTIONS:
        assert section(found, title).strip()
    for blank in ("More Information Needed", "None", "TODO", "unknown"):
        assert blank not in found.content
    assert str(tmp_path) not in found.content


def test_its_metadata_are_the_hub_s(run: Path, tmp_path: Path) -> None:
    data = card(run, tmp_path, licence=Licence("other", "llama3", "https://llama")).data
    assert data.base_model == "owner/student"
    assert data.base_model_relation == "finetune"
    assert (data.license, data.license_name, data.license_link) == ("other", "llama3", "https://llama")
    assert (data.library_name, data.pipeline_tag) == ("transformers", "text-generation")
    assert data.tags == ["kdzoo", "knowledge-distillation", "kid"]
    assert data.model_name == "source-kid"
    (result,) = data.eval_results
    assert (result.metric_type, result.metric_value) == ("ex", 0.8)


def test_an_adapter_s_say_so(run: Path, tmp_path: Path) -> None:
    found = card(run, tmp_path, adapter=AdapterBase("owner/student", None, None, False))
    assert (found.data.library_name, found.data.base_model_relation) == ("peft", "adapter")
    assert "- Weights: a LoRA adapter alone, float32, safetensors" in found.text
    merged = card(run, tmp_path, is_merged=True, dtype="bfloat16", gguf_file="m.gguf", parameters=1234)
    assert "- Weights: a whole model, into which its adapter was merged in float32, bfloat16" in merged.text
    assert "- Parameters: 1,234" in merged.text
    assert "- `m.gguf` is the same model for llama.cpp" in merged.text


def test_data_and_scores_are_counted(run: Path, tmp_path: Path) -> None:
    found = card(run, tmp_path)
    assert "- Trained on 1,200 examples of `embedded` (" in section(found, "Data")
    assert "- Evaluated on 10 questions of `embedded` (" in section(found, "Data")
    assert "| **kid** | 80.0% [49.0," in section(found, "Scores")
    assert "- EX: execution accuracy" in section(found, "Scores")


def test_a_model_that_was_not_scored_says_so(made_run: Make, tmp_path: Path) -> None:
    found = card(made_run(KID, head=HUB, results=RESULTS), tmp_path)
    assert section(found, "Scores").strip() == "Its run has not scored it."
    assert found.data.eval_results is None


@pytest.mark.parametrize(
    ("head", "licence", "files", "told"),
    [
        (HUB, Licence("apache-2.0"), (), "is under the licence apache-2.0, which applies here too."),
        (HUB, Licence("other", "llama3", "https://l"), (), "the licence llama3 (https://l), which applies"),
        (HUB, None, (), "The licence of the base, owner/student, applies; its own page or folder names it."),
        (HUB, None, ("LICENSE",), "Its texts lie here: LICENSE."),
        (
            HEAD.replace('path = "s"', 'from_scratch = { architecture = "llama" }'),
            None,
            (),
            "Its weights began as random numbers, so that no base's licence applies.",
        ),
    ],
)
def test_a_licence_is_never_left_open(
    made_run: Make,
    tmp_path: Path,
    head: str,
    licence: Licence | None,
    files: tuple[str, ...],
    told: str,
) -> None:
    run = made_run(KID, head=head, results=RESULTS)
    text = section(card(run, tmp_path, licence=licence, licence_files=files), "Licence")
    assert told in text
    assert "The licence of a teacher may bind" in text


def test_the_recipe_stands_whole_in_its_fence(made_run: Make, tmp_path: Path) -> None:
    prompt = '[prompt]\ntemplate = "chat"\nsystem = "Answer in ```sql fences."\n'
    run = made_run(KID, head=f"{HUB}{prompt}", results=RESULTS)
    found = card(run, tmp_path)
    fence, text = re.findall(r"^(`{3,})toml\n(.*?)^\1$", found.text, re.DOTALL | re.MULTILINE)[0]
    assert fence == "````"
    content = tomllib.loads(text)
    assert content["prompt"]["system"] == "Answer in ```sql fences."
    assert content == tomllib.loads((run / "recipe.toml").read_text())


def test_a_rehearsal_is_called_one(made_run: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = made_run(KID, head=HUB, results=RESULTS)
    assert "rehearsal" not in card(run, tmp_path).text
    (run / "rehearses.toml").write_text((run / "recipe.toml").read_text())
    assert "It is from a rehearsal: a tiny random model" in card(run, tmp_path).text
