"""Writing a model as a GGUF file with the package ``gguf``, which these modules need where they are imported."""
