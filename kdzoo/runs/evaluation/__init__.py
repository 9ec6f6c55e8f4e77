"""Stages that score models."""
