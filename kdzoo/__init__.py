"""kdzoo: a plugin-based zoo of knowledge-distillation methods. These names are what other packages may use.

Importing this package imports nothing else; each name is loaded when it is first used, and torch only with
those that need it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kdzoo.errors import UserError
    from kdzoo.methods import divergences
    from kdzoo.methods.ground_truth_kd import ground_truth_kd
    from kdzoo.methods.hookspecs import hookimpl
    from kdzoo.methods.loss_sum import LossSum
    from kdzoo.methods.method import (
        Decoding,
        Method,
        Options,
        StepCost,
        TeacherDecodingOptions,
        Temperature,
        TrainingDataOptions,
        WeightedOptions,
    )
    from kdzoo.methods.prompt_template import PromptTemplate
    from kdzoo.methods.replay_buffer import ReplayBuffer
    from kdzoo.methods.sampling import next_tokens
    from kdzoo.methods.sequences import ScoredTokens, Sequences
    from kdzoo.methods.shared_hooks import mle_on_target, target_or_generated
    from kdzoo.methods.source import Kind, Source
    from kdzoo.methods.step import (
        ConditionedModel,
        FinishedStep,
        ModelShape,
        SetupContext,
        Step,
        StepLosses,
    )
    from kdzoo.tasks.dataset import DataConfig, Dataset, Inputs
    from kdzoo.tasks.example import Example, Splits
    from kdzoo.tasks.metric import Answers, Measured, Metric
    from kdzoo.tasks.sql.executor import SqlExecutor

__all__ = [
    "Answers",
    "ConditionedModel",
    "DataConfig",
    "Dataset",
    "Decoding",
    "Example",
    "FinishedStep",
    "Inputs",
    "Kind",
    "LossSum",
    "Measured",
    "Method",
    "Metric",
    "ModelShape",
    "Options",
    "PromptTemplate",
    "ReplayBuffer",
    "ScoredTokens",
    "Sequences",
    "SetupContext",
    "Source",
    "Splits",
    "SqlExecutor",
    "Step",
    "StepCost",
    "StepLosses",
    "TeacherDecodingOptions",
    "Temperature",
    "TrainingDataOptions",
    "UserError",
    "WeightedOptions",
    "divergences",
    "ground_truth_kd",
    "hookimpl",
    "mle_on_target",
    "next_tokens",
    "target_or_generated",
]

_HOMES = {
    "Answers": "kdzoo.tasks.metric",
    "ConditionedModel": "kdzoo.methods.step",
    "DataConfig": "kdzoo.tasks.dataset",
    "Dataset": "kdzoo.tasks.dataset",
    "Decoding": "kdzoo.methods.method",
    "Example": "kdzoo.tasks.example",
    "FinishedStep": "kdzoo.methods.step",
    "Inputs": "kdzoo.tasks.dataset",
    "Kind": "kdzoo.methods.source",
    "LossSum": "kdzoo.methods.loss_sum",
    "Measured": "kdzoo.tasks.metric",
    "Method": "kdzoo.methods.method",
    "Metric": "kdzoo.tasks.metric",
    "ModelShape": "kdzoo.methods.step",
    "Options": "kdzoo.methods.method",
    "PromptTemplate": "kdzoo.methods.prompt_template",
    "ReplayBuffer": "kdzoo.methods.replay_buffer",
    "ScoredTokens": "kdzoo.methods.sequences",
    "Sequences": "kdzoo.methods.sequences",
    "SetupContext": "kdzoo.methods.step",
    "Source": "kdzoo.methods.source",
    "Splits": "kdzoo.tasks.example",
    "SqlExecutor": "kdzoo.tasks.sql.executor",
    "Step": "kdzoo.methods.step",
    "StepCost": "kdzoo.methods.method",
    "StepLosses": "kdzoo.methods.step",
    "TeacherDecodingOptions": "kdzoo.methods.method",
    "Temperature": "kdzoo.methods.method",
    "TrainingDataOptions": "kdzoo.methods.method",
    "UserError": "kdzoo.errors",
    "WeightedOptions": "kdzoo.methods.method",
    "ground_truth_kd": "kdzoo.methods.ground_truth_kd",
    "hookimpl": "kdzoo.methods.hookspecs",
    "mle_on_target": "kdzoo.methods.shared_hooks",
    "next_tokens": "kdzoo.methods.sampling",
    "target_or_generated": "kdzoo.methods.shared_hooks",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name == "divergences":
        return import_module("kdzoo.methods.divergences")
    raise AttributeError(f"module 'kdzoo' has no attribute {name!r}")
