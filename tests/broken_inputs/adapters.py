"""Adapters."""

from __future__ import annotations

from broken_inputs.rows import AT, DRY, ON_ADAPTER, all_of, as_pickle, cut, remove, row, set_json, write

CONFIG = "adapter/adapter_config.json"
for name, told, break_ in (
    ("no weights", "adapter has no weights of its adapter", remove("adapter/adapter_model.safetensors")),
    ("weights cut off", "cannot be put on its base", cut("adapter/adapter_model.safetensors")),
    ("configuration torn", CONFIG, cut(CONFIG)),
    ("configuration a list", CONFIG, write(CONFIG, "[]")),
    ("configuration empty", CONFIG, write(CONFIG, "{}")),
    ("no base", "names no base model", set_json(CONFIG, base_model_name_or_path=None)),
    (
        "itself its base",
        "leads back to the adapter itself",
        set_json(CONFIG, base_model_name_or_path="adapter"),
    ),
    ("another rank", "size mismatch", set_json(CONFIG, r=3)),
    ("a rank of nothing", "adapter", set_json(CONFIG, r=-1)),
    ("layers that are not there", "q_prj", set_json(CONFIG, target_modules=["q_prj"])),
    ("an unknown kind", CONFIG, set_json(CONFIG, peft_type="LORAX")),
    (
        "a module to import",
        "megatron_config would import",
        set_json(CONFIG, megatron_config={"a": 1}, megatron_core="antigravity"),
    ),
    ("another task", "task_type is SEQ_CLS, not CAUSAL_LM", set_json(CONFIG, task_type="SEQ_CLS")),
    (
        "a pickle",
        "holds its weights as a pickle (adapter_model.bin)",
        as_pickle("adapter/adapter_model.safetensors", "adapter_model.bin"),
    ),
):
    row(f"adapter: {name}", DRY, "/adapter", told, break_=all_of(ON_ADAPTER, break_))
row(
    "adapter: a base that is torn",
    DRY,
    "the weights of 'student' cannot be loaded",
    break_=all_of(ON_ADAPTER, cut("student/model.safetensors")),
)
row(
    "adapter: a base that is gone",
    DRY,
    AT,
    "the model 'absent/base' cannot be loaded",
    break_=all_of(ON_ADAPTER, set_json(CONFIG, base_model_name_or_path="absent/base")),
)
