"""Where a generated sequence ends."""

import torch

from kdzoo.engine.prompts.sampling import is_end


def test_any_end_token_ends():
    assert is_end(torch.tensor([1, 2, 3]), (2, 3)).tolist() == [False, True, True]
