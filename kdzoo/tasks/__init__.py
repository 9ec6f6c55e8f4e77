"""Tasks: datasets, prompts and metrics. `sql` is the sandbox in which statements are run and judged."""
