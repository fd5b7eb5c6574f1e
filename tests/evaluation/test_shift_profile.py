"""Profiles of Gaussian priors, whose actual and promised errors are known in closed form."""

import math

import pytest
import torch

from mrirecon.errors import ConfigError
from mrirecon.evaluation.shift_profile import (
    QUANTILES,
    contrast,
    denoising_errors,
    frequency_bands,
    intensities,
    outline,
    shift_profile,
)
from mrirecon.linalg.fft import fft
from mrirecon.linalg.space import Space
from mrirecon.operators.mri import cartesian_mri
from mrirecon.priors.gaussian import GaussianPrior
from tests.acceptance.networks import tiny_score

SHAPE = (96, 80)
SPACE = Space(("channel", "y", "x"), (1, *SHAPE), torch.complex64)
LEVELS, BANDS = (0.1, 0.4), (0.2, 0.6)
BAND = frequency_bands(SHAPE, BANDS)


def power(exponent):
    ky, kx = (2 * (torch.arange(n) - n // 2) / n for n in SHAPE)
    return (2.0 / (0.05 + ky[:, None] ** 2 + kx**2) ** exponent).unsqueeze(0) / 100


def prior(exponent):
    return GaussianPrior.stationary(torch.zeros(SPACE.shape, dtype=torch.complex64), power(exponent), space=SPACE)


def operator(mask=None):
    mask = torch.ones(1, 1, dtype=torch.bool) if mask is None else mask
    return cartesian_mri(mask, torch.ones(1, *SHAPE, dtype=torch.complex64))


def averaged(exponent, denoiser, n=60):
    """Means of actual error and of the promised one over images of one prior and their noise, (level, band)."""
    total = torch.zeros(2, len(LEVELS), len(BANDS) + 1, dtype=torch.float64)
    for i in range(n):
        image = prior(exponent).sample(generator=torch.Generator().manual_seed(i))
        noise = torch.Generator().manual_seed(100 + i)
        total += torch.stack(denoising_errors(denoiser, image, levels=LEVELS, bands=BANDS, generator=noise))
    return total / n


def by_band(values):
    return torch.stack([values[0][b == BAND].double().mean() for b in range(len(BANDS) + 1)])


def test_errors_are_those_of_the_closed_form():
    """With gains g of the prior q and the spectrum v of p: actual (1-g)^2 v / s^2 + g^2, promised g."""
    actual, promised = averaged(1.5, prior(1.0))
    v, w = power(1.5).double(), power(1.0).double()
    for i, s in enumerate(LEVELS):
        g = w / (w + s * s)
        assert torch.allclose(actual[i], by_band((1 - g) ** 2 * v / s**2 + g**2), rtol=0.02)
        assert torch.allclose(promised[i], by_band(g), rtol=0.02)


def test_a_prior_keeps_its_promise_on_its_own_images_only():
    actual, promised = averaged(1.0, prior(1.0))
    assert torch.allclose(actual, promised, rtol=0.02)
    actual, promised = averaged(1.5, prior(1.0))
    assert float((actual / promised).max()) > 1.3


def test_it_needs_the_undersampled_data_alone_and_repeats_itself():
    score = tiny_score()
    mask = (torch.arange(SHAPE[1]) % 3 == 0).unsqueeze(0)
    image = prior(1.0).sample(generator=torch.Generator().manual_seed(1))
    y = operator(mask).forward(image)
    arguments = {"sigma": 0.02, "levels": LEVELS, "bands": BANDS}
    first, again, other = (
        shift_profile(score, y, operator(mask), generator=torch.Generator().manual_seed(seed), **arguments)
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first.features != other.features
    assert len(first.features) == 2 * len(LEVELS) * (len(BANDS) + 1) + len(QUANTILES) + 5
    assert first.log_acceleration == pytest.approx(math.log(80 / 27))
    assert first.log_noise == pytest.approx(math.log(0.02))


def test_two_map_sets_and_missing_levels_are_refused():
    with pytest.raises(ConfigError, match="one map set"):
        shift_profile(tiny_score(), torch.ones(1, *SHAPE, dtype=torch.complex64), operator(), sigma=0.1, levels=(),
                      bands=BANDS, generator=torch.Generator())  # fmt: skip


def test_intensities_are_quantiles_of_the_object():
    picture = torch.zeros(100, 100)
    picture[:50] = torch.linspace(0.2, 1.0, 5000).reshape(50, 100)
    found = intensities(picture)
    top = 0.2 + 0.8 * 0.98
    expected = [math.log((0.2 + 0.8 * q) / top) for q in QUANTILES]
    assert found[:-1] == pytest.approx(expected, abs=0.01)
    assert found[-1] == pytest.approx(math.log(0.5))
    assert intensities(3 * picture) == pytest.approx(found), "whatever the units"
    assert intensities(torch.zeros(4, 4)) == (0.0,) * 6


def test_the_outline_knows_discs_holes_edges_and_bright_rims():
    y, x = torch.meshgrid(torch.arange(128.0) - 64, torch.arange(128.0) - 64, indexing="ij")
    radius = (y**2 + x**2).sqrt()
    solid, edge, spread, extent = outline((radius < 40).float())
    assert solid == pytest.approx(0.0, abs=0.03)
    assert edge == 0.0
    assert (spread, extent) == (pytest.approx(0.0, abs=0.08), pytest.approx(0.0, abs=0.01))
    ring = outline(((radius < 40) & (radius > 20)).float())
    assert ring[0] == pytest.approx(math.log(0.75), abs=0.1)
    long = outline(((y**2 / 4 + x**2).sqrt() < 25).float())
    assert long[3] == pytest.approx(math.log(2), abs=0.03)
    assert outline(torch.ones(64, 64))[1] > math.log(1.9)
    rim = outline((radius < 40) * (1 + (radius / 10) ** 2))
    assert rim[2] > 0.1
    assert outline(torch.zeros(8, 8)) == (0.0,) * 4


def test_bands_and_contrast():
    assert BAND.shape == SHAPE
    assert int(BAND[48, 40]) == 0
    assert int(BAND[0, 0]) == 2
    assert torch.bincount(BAND.flatten()).sum() == SHAPE[0] * SHAPE[1]
    assert contrast(torch.full((8, 8), 2.0)) == 0.0
    assert contrast(torch.tensor([[1.0, 3.0], [0.0, 0.0]])) == pytest.approx(math.sqrt(2) / 2)
    assert fft(torch.ones(1, *SHAPE, dtype=torch.complex64), (-2, -1)).abs().argmax() == 48 * 80 + 40
