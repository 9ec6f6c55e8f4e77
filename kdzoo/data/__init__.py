"""Datasets, and the prompts and targets made from them."""
