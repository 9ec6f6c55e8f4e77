"""What a recipe's run does: stages, directory, fingerprints, checks, dry run."""
