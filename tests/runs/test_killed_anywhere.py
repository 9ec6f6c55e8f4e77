"""A run that is killed at random moments ends as if nothing had been: ``--kills 200`` makes 200 trials."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("killing.py")


@pytest.mark.timeout(7200)
def test_it_ends_in_the_same_weights_predictions_and_scores(request, tmp_path):
    """In a process of its own, which forks: this one may have threads."""
    trials = request.config.getoption("--kills")
    command = [sys.executable, str(PROGRAM), "--trials", str(trials), "--keep", str(tmp_path / "kept")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert f"{trials} trials, " in done.stdout
    assert ", 0 failures, " in done.stdout
