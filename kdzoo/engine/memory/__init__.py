"""What a step takes of memory, found out on tensors that have shapes and no numbers."""
