"""Sampling by the inverse of the cumulative distribution gives the distribution."""

import os
import subprocess
import sys

import pytest
import torch

from kdzoo import next_tokens


def test_temperature_zero_takes_the_most_probable():
    assert next_tokens(torch.tensor([[0.0, 2.0, 1.0]]), 0, None).tolist() == [1]


@pytest.mark.parametrize("temperature", [0.7, 1.0, 2.0])
def test_evenly_spread_numbers_give_each_token_its_share(temperature):
    logits = torch.tensor([0.3, -1.0, 2.0, 0.0])
    count = 10_000
    uniform = (torch.arange(count) + 0.5) / count
    tokens = next_tokens(logits.expand(count, -1), temperature, uniform)
    shares = torch.bincount(tokens, minlength=4) / count
    torch.testing.assert_close(shares, (logits / temperature).softmax(-1), atol=2e-4, rtol=0)


@pytest.mark.parametrize("temperature", [1e-3, 1e-38, 1e-45, 1e-300])
def test_a_temperature_near_0_takes_the_most_probable(temperature):
    torch.manual_seed(0)
    logits = torch.randn(64, 50) * 10
    logits[:, 7] = -torch.inf
    assert torch.equal(next_tokens(logits, temperature, torch.rand(64)), logits.argmax(-1))


@pytest.mark.parametrize("temperature", [1e-3, 1e-38])
def test_what_is_equally_probable_stays_so_near_0(temperature):
    logits = torch.tensor([[5.0, 1.0, 5.0, 3.0]]).expand(2, -1)
    assert next_tokens(logits, temperature, torch.tensor([0.49, 0.51])).tolist() == [0, 2]


@pytest.mark.parametrize("temperature", [-1.0, float("nan")])
def test_what_is_no_temperature_is_refused(temperature):
    with pytest.raises(ValueError, match="a sampling temperature is 0 or more"):
        next_tokens(torch.zeros(1, 3), temperature, torch.zeros(1))


def test_impossible_tokens_are_never_chosen():
    logits = torch.tensor([[-torch.inf, 0.0, -torch.inf, 0.0, -torch.inf]])
    for number in (0.0, 0.5, 0.999_999_94):
        assert next_tokens(logits, 1.0, torch.tensor([number])).item() in (1, 3)


def test_sampling_without_numbers_is_refused():
    with pytest.raises(ValueError, match="uniform"):
        next_tokens(torch.zeros(1, 3), 1.0, None)


def test_importing_it_leaves_torch_alone():
    code = "import sys; from kdzoo import next_tokens; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, env=os.environ).returncode == 0
