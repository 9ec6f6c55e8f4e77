"""A distillation module of any method over tiny models."""

import pytest
from tiny_training import make_tokenizer

from kdzoo.engine.prompts.sampling import SamplingLimits
from kdzoo.engine.training.distillation_module import DistillationModule
from kdzoo.methods import registry
from kdzoo.runs.training.train import choose_method


@pytest.fixture
def make_module(make_model):
    def make(
        method="sft", sharing="on", lora=False, architecture="llama", *, student=None, model=None, **options
    ):
        registered = registry.find(method).method
        if student is None:
            student = make_model(architecture, seed=1, lora=lora, **(model or {}))
        return DistillationModule(
            student,
            make_model(architecture, seed=2) if registered.uses_teacher else None,
            choose_method(method, registered.options(**options)),
            make_tokenizer(),
            SamplingLimits(6, (2,)),
            seed=0,
            sharing=sharing,
        )

    return make
