"""What is saved of a model, and that no blank card lies beside it."""

from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from kdzoo.engine.models.without_card import save_without_card


def test_an_adapter_is_saved_without_a_card(make_model, tmp_path):
    model = get_peft_model(make_model("llama"), LoraConfig(r=2, target_modules="all-linear"))
    model.save_pretrained(tmp_path / "peft")
    assert "[More Information Needed]" in (tmp_path / "peft" / "README.md").read_text()
    save_without_card(model, tmp_path / "ours")
    names = {file.name for file in (tmp_path / "peft").iterdir()}
    assert {file.name for file in (tmp_path / "ours").iterdir()} == names - {"README.md"}


def test_a_whole_model_is_saved_as_transformers_does(make_model, tmp_path):
    model = make_model("llama")
    save_without_card(model, tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert all(a.equal(b) for a, b in zip(model.parameters(), loaded.parameters(), strict=True))
