"""The training step, top down, and transformers' Trainer around it."""
