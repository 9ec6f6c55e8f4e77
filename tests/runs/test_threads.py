"""How many threads a stage computes with: what the recipe says, or what suits the model's size."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from kdzoo.runs.threads import threads_for


def model(parameters: int) -> torch.nn.Module:
    return torch.nn.Linear(parameters, 1, bias=False, device="meta")


@pytest.fixture(autouse=True)
def three_threads() -> Iterator[None]:
    """torch's own choice, for the test."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("parameters", "wanted", "expected"),
    [(99_999, None, 1), (100_000, None, 3), (248_000, 2, 2), (7_000_000_000, 2, 2)],
)
def test_small_models_get_one_unless_told_otherwise(
    parameters: int, wanted: int | None, expected: int
) -> None:
    with threads_for(model(parameters), wanted) as number:
        assert number == torch.get_num_threads() == expected
    assert torch.get_num_threads() == 3


def test_the_number_before_is_restored_after_an_error() -> None:
    with pytest.raises(ValueError, match="failed"), threads_for(model(10), None):
        raise ValueError("failed")
    assert torch.get_num_threads() == 3
