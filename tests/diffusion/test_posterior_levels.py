"""Levels with a jump: what they are, and that the spread they give is nearer to the truth at the same cost."""

import pytest
import torch

from mrirecon.diffusion.conditional import BoundDenoiser
from mrirecon.diffusion.samplers import sample_euler, sample_heun
from mrirecon.diffusion.schedule import karras_levels, posterior_levels, sampling_levels
from mrirecon.errors import ConfigError

RANGE = {"sigma_min": 0.004, "sigma_max": 80.0}


def spread_and_bias(levels, s, sample=sample_euler, mean=0.7):
    """Of many samples of the posterior N(mean, s^2), relative to s, with the exact denoiser."""
    denoiser = BoundDenoiser(lambda x, sigma: mean + s**2 / (s**2 + sigma**2) * (x - mean))
    x = levels[0] * torch.randn(20000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    samples = sample(denoiser, x, levels)
    return float(samples.std()) / s, float(samples.mean() - mean)


def test_the_first_level_is_the_highest_and_the_rest_are_those_of_karras():
    levels = posterior_levels(6, sigma_jump=0.6, **RANGE)
    assert levels[0] == 80
    assert torch.equal(levels[1:], karras_levels(5, sigma_min=0.004, sigma_max=0.6))
    assert posterior_levels(1, sigma_jump=0.6, **RANGE).tolist() == [80.0]
    assert posterior_levels(2, sigma_jump=0.6, **RANGE).tolist() == [80.0, 0.6]


@pytest.mark.parametrize("s", [0.02, 0.05, 0.1, 0.2, 0.3])
def test_the_spread_is_nearer_to_the_truth_than_with_one_ladder(s):
    jump, _ = spread_and_bias(posterior_levels(8, sigma_jump=0.6, **RANGE), s)
    ladder, _ = spread_and_bias(karras_levels(8, **RANGE), s)
    assert ladder < 0.7
    assert 0.75 < jump < 1
    many, bias = spread_and_bias(posterior_levels(60, sigma_jump=0.6, **RANGE), s)
    assert many == pytest.approx(1, abs=0.12), "more steps go on towards the truth"
    assert abs(bias) < 0.02


def test_the_figures_of_the_documentation():
    found = [spread_and_bias(levels, 0.05)[0] for levels in (
        posterior_levels(8, sigma_jump=0.6, **RANGE), karras_levels(8, **RANGE), karras_levels(24, **RANGE)
    )]  # fmt: skip
    assert found == pytest.approx([0.80, 0.60, 0.85], abs=0.02)


def test_heun_cannot_jump():
    levels = posterior_levels(8, sigma_jump=0.6, **RANGE)
    assert spread_and_bias(levels, 0.2, sample_heun)[0] > 3


@pytest.mark.parametrize("jump", [0.004, 80.0, 100.0, 0.001])
def test_levels_that_do_not_descend(jump):
    with pytest.raises(ConfigError, match="sigma_jump"):
        posterior_levels(4, sigma_jump=jump, **RANGE)


def test_the_common_choice_jumps_to_twice_sigma_data_where_that_lies_between():
    torch.testing.assert_close(
        sampling_levels(8, sigma_data=0.3, **RANGE), posterior_levels(8, sigma_jump=0.6, **RANGE), rtol=0, atol=0
    )
    assert sampling_levels(1, sigma_data=0.3, **RANGE).tolist() == [80.0]
    assert sampling_levels(3, sigma_data=0.3, sigma_jump=2.0, **RANGE).tolist() == [80.0, 2.0, 0.004]
    ladder = karras_levels(8, **RANGE)
    for odd in (50.0, 0.001):
        assert torch.equal(sampling_levels(8, sigma_data=odd, **RANGE), ladder), "no room for a jump"
    assert torch.equal(sampling_levels(8, sigma_data=0.3, method="heun", **RANGE), ladder)
    with pytest.raises(ConfigError, match="sigma_jump"):
        sampling_levels(8, sigma_data=0.3, sigma_jump=100.0, **RANGE)
