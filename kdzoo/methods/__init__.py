"""What a method is: hook specifications, defaults, options, a step, sequences, divergences, randomness, the registry."""
