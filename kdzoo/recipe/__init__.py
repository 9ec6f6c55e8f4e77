"""Recipes: TOML files that name data, models and stages. Nothing here imports torch."""

from kdzoo.recipe.load import load_recipe
from kdzoo.recipe.model_tables import ModelConfig
from kdzoo.recipe.paths import check_model_paths, check_paths, is_there, missing_data
from kdzoo.recipe.rehearse import rehearsed
from kdzoo.recipe.schema import Recipe, StageModel
from kdzoo.recipe.scoring import Scoring, scored_sets_of, scoring_of
from kdzoo.recipe.sets import ScoredSet
from kdzoo.recipe.stages import DistillStage, EvaluateStage, FinetuneStage, Stage, TrainingStage
from kdzoo.recipe.sweep import Member, Sweep, load_sweep
from kdzoo.recipe.tables import Evaluation, Training
from kdzoo.recipe.toml_text import resolved_toml

__all__ = [
    "DistillStage",
    "EvaluateStage",
    "Evaluation",
    "FinetuneStage",
    "Member",
    "ModelConfig",
    "Recipe",
    "ScoredSet",
    "Scoring",
    "Stage",
    "StageModel",
    "Sweep",
    "Training",
    "TrainingStage",
    "check_model_paths",
    "check_paths",
    "is_there",
    "load_recipe",
    "load_sweep",
    "missing_data",
    "rehearsed",
    "resolved_toml",
    "scored_sets_of",
    "scoring_of",
]
