"""Batches of prompts, what they share, and the two ways to run a model over them."""
