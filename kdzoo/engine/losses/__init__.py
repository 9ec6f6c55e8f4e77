"""From scored hidden states to losses, a chunk at a time."""
