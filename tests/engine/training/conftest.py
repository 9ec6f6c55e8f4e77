"""A distillation module of any method, by its name or as it is chosen, over tiny models."""

import pytest
from tiny_training import make_tokenizer

from kdzoo.engine.prompts.sampling import SamplingLimits
from kdzoo.engine.training.chosen_method import choose_method
from kdzoo.engine.training.distillation_module import DistillationModule
from kdzoo.methods import registry


@pytest.fixture
def make_module(make_model):
    def make(
        method="sft",
        sharing="on",
        lora=False,
        architecture="llama",
        *,
        student=None,
        model=None,
        steps=0,
        others=None,
        limits=(0, 0),
        **options,
    ):
        if isinstance(method, str):
            registered = registry.find(method).method
            uses_teacher, method = (
                registered.uses_teacher,
                choose_method(method, registered.options(**options)),
            )
        else:
            uses_teacher = True
        if student is None:
            student = make_model(architecture, seed=1, lora=lora, **(model or {}))
        return DistillationModule(
            student,
            make_model(architecture, seed=2) if uses_teacher else None,
            method,
            make_tokenizer(),
            SamplingLimits(6, (2,)),
            seed=0,
            sharing=sharing,
            steps=steps,
            others=others,
            prompt_limit=limits[0],
            privileged_limit=limits[1],
        )

    return make
