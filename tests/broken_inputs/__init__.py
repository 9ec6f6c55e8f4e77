"""The rows of tests/commands/test_broken_inputs.py: one thing broken in each, and what is told of it."""

from broken_inputs import adapters, data, databases, models, options, plugins, recipes, runs, tokenizers
from broken_inputs.rows import ROWS, Row

__all__ = [
    "ROWS",
    "Row",
    "adapters",
    "data",
    "databases",
    "models",
    "options",
    "plugins",
    "recipes",
    "runs",
    "tokenizers",
]
