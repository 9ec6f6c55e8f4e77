"""What a stage will take of memory, and what there is."""
