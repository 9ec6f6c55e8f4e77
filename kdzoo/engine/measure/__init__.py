"""Generation over a dataset, and ExAccErr."""
