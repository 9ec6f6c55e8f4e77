"""What rounding does to logits is measured in the model's own precision, and tells a fault from it."""

import math

import pytest
import torch

from kdzoo.engine.prompts.probe.rounding import distance, rounding_anew

TOKENS = torch.tensor([[5, 9, 13, 7, 40]])


def logits(model):
    with torch.no_grad():
        return model(input_ids=TOKENS).logits.float()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rounding_anew_moves_logits_by_a_few_units_and_leaves_the_model_as_it_was(make_model, dtype):
    model = make_model("llama").to(dtype).eval()
    before = logits(model)
    with rounding_anew(model):
        moved, again = logits(model), logits(model)
    assert torch.equal(logits(model), before)
    unit = torch.finfo(dtype).eps
    assert 0.1 * unit < distance(moved, before, 1.0) < 20 * unit
    assert not torch.equal(moved, again)


def test_the_distance_is_that_of_the_worst_row_and_of_the_token_at_the_quantile():
    theirs = [torch.eye(4), torch.eye(4)]
    size = theirs[0][0].sub(0.25).norm()
    ours = [torch.eye(4), torch.eye(4)]
    change = torch.tensor([1.0, -1.0, 0.0, 0.0])
    for token, factor in enumerate((0.1, 0.2, 0.3, 0.4)):
        ours[1][token] += factor * change
    assert distance(ours, theirs, 1.0) == pytest.approx(float(0.4 * change.norm() / size))
    assert distance(ours, theirs, 0.5) == pytest.approx(float(0.2 * change.norm() / size))
    assert distance(theirs, theirs, 1.0) == 0


def test_a_constant_that_is_added_to_all_logits_is_no_difference():
    theirs = [torch.randn(3, 5, generator=torch.Generator().manual_seed(0))]
    assert distance([theirs[0] + 7.0], theirs, 1.0) < 1e-5


def test_what_is_not_a_number_is_infinitely_far():
    assert distance([torch.tensor([[math.nan, 1.0]])], [torch.tensor([[0.0, 1.0]])], 1.0) == math.inf
