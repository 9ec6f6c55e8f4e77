"""What a run has trained, taken away: a folder that other programs load, with a card that says what it is."""
