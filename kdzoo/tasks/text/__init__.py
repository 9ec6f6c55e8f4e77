"""Tasks of prompts and targets that are judged by their text."""
