"""What one process alone has is what all have; several are tried in tests/runs/test_processes.py."""

from kdzoo.engine.training.processes import of_all_processes


def test_alone_there_is_nobody_to_hear_from():
    assert of_all_processes(["a", "b"]) == ["a", "b"]
