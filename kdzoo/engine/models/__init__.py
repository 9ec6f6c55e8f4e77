"""Models before they meet a prompt: loading, adapters, tokenizers, the decoder and its head."""
