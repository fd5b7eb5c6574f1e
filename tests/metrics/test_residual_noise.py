"""Whitening and tail probabilities against scipy's exact distributions and against simulation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from mrirecon.errors import ShapeError
from mrirecon.metrics.residual_noise import ResidualNoise, upper_tail


def complex_noise(generator: np.random.Generator, *shape: int) -> np.ndarray:
    """Unit variance per real component."""
    return generator.standard_normal(shape) + 1j * generator.standard_normal(shape)


def test_known_noise_is_chi_square() -> None:
    n = np.array([3, 50, 4000])
    energy = 2 * n + 3 * np.sqrt(4 * n)
    assert upper_tail(energy, mean=2 * n, variance=4 * n, channels=4) == pytest.approx(stats.chi2.sf(energy, 2 * n))


def test_a_projection_has_the_degrees_of_freedom_of_its_rank() -> None:
    """Mean 2 (N - rank), variance 4 (N - rank)."""
    found = upper_tail(130.0, mean=2 * 50.0, variance=4 * 50.0, channels=1)
    assert float(found) == pytest.approx(stats.chi2.sf(130, 100))


@pytest.mark.parametrize(("m", "n"), [(5, 12), (200, 40), (3, 1000)])
def test_one_channel_with_estimated_noise_is_f(m: int, n: int) -> None:
    energy = 2.9 * m
    found = upper_tail(energy, mean=2.0 * m, variance=4.0 * m, channels=1, noise_samples=n)
    assert float(found) == pytest.approx(stats.f.sf(energy / (2 * m), 2 * m, 2 * n), rel=1e-9)


def test_one_position_of_many_channels_is_hotelling() -> None:
    """Exactly, (n - c + 1) / (n c) r^H S^-1 r ~ F(2 c, 2 (n - c + 1)); two matched moments come within 10 %."""
    c, n = 4, 60
    for p in (0.1, 0.01):
        exact = stats.f.isf(p, 2 * c, 2 * (n - c + 1)) * n * c / (n - c + 1)
        found = upper_tail(2 * exact, mean=2.0 * c, variance=4.0 * c, channels=c, noise_samples=n)
        assert float(found) == pytest.approx(p, rel=0.1)


def test_estimated_covariance_by_simulation() -> None:
    """8000 scans of 40 positions, whitened by 30 noise samples of 4 correlated coils: 1 % stay 1 %, chi-square not."""
    generator = np.random.default_rng(0)
    c, m, n, scans = 4, 40, 30, 8000
    mixing = complex_noise(generator, c, c)
    noise = mixing @ complex_noise(generator, scans, c, n)
    residual = mixing @ complex_noise(generator, scans, c, m)
    covariance = noise @ noise.conj().swapaxes(-1, -2) / n
    energy = 2 * np.einsum("scm,scm->s", residual.conj(), np.linalg.solve(covariance, residual)).real
    mean, variance = 2.0 * m * c, 4.0 * m * c
    p = upper_tail(energy, mean=np.full(scans, mean), variance=np.full(scans, variance), channels=c, noise_samples=n)
    assert np.mean(p <= 0.01) == pytest.approx(0.01, abs=0.003)
    assert np.mean(p <= 0.1) == pytest.approx(0.1, abs=0.01)
    naive = stats.chi2.sf(energy, mean)
    assert np.mean(naive <= 0.01) > 0.3


def test_an_expectation_from_draws_is_f_too() -> None:
    """T / mean of B draws of chi-square with k degrees is F(k, B k)."""
    k, draws = 30.0, 8
    found = upper_tail(45.0, mean=k, variance=2 * k, channels=1, replicas=draws)
    assert float(found) == pytest.approx(stats.f.sf(1.5, k, draws * k), rel=1e-9)


def test_too_few_noise_samples_have_no_distribution() -> None:
    assert np.isnan(upper_tail(1.0, mean=1.0, variance=1.0, channels=4, noise_samples=5))


def test_whitening_and_naming_of_coils() -> None:
    generator = torch.Generator().manual_seed(0)
    mixing = torch.randn(3, 3, dtype=torch.complex128, generator=generator)
    white = torch.randn(3, 200, 300, dtype=torch.complex128, generator=generator) * 2**0.5
    coils = torch.einsum("ij,jyx->iyx", mixing, white)
    by_covariance = ResidualNoise(covariance=2 * mixing @ mixing.mH)
    unmixed = ResidualNoise(sigma=0.5, unmixing=mixing)
    for values in (
        by_covariance.white(coils),
        by_covariance.by_coil(coils),
        unmixed.white(0.5 * white),
        unmixed.by_coil(0.5 * white),
    ):
        power = values.abs().square().mean(dim=(-2, -1)) / 2
        assert power == pytest.approx(torch.ones(3), abs=0.02)
    assert torch.allclose(unmixed.by_coil(0.5 * white), by_covariance.by_coil(coils))
    cross = torch.einsum("iyx,jyx->ij", by_covariance.white(coils), by_covariance.white(coils).conj()) / (2 * 60000)
    assert float((cross - torch.eye(3)).abs().max()) < 0.02
    per_item = ResidualNoise(sigma=torch.tensor([1.0, 2.0])).white(torch.ones(2, 3, 4, 4, dtype=torch.complex64))
    assert float(per_item[1].real.max()) == pytest.approx(0.5)


def test_bad_noise_is_refused() -> None:
    with pytest.raises(ShapeError, match="not both"):
        ResidualNoise(sigma=1.0, covariance=torch.eye(2))
    for sigma in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ShapeError, match="`sigma` must be positive"):
            ResidualNoise(sigma=sigma)
    with pytest.raises(ShapeError, match="goes with the `sigma`"):
        ResidualNoise(covariance=torch.eye(2), unmixing=torch.eye(2))
    with pytest.raises(ShapeError, match="`samples`"):
        ResidualNoise(sigma=1.0, samples=0)
    with pytest.raises(ShapeError, match="noise is unknown"):
        ResidualNoise().white(torch.ones(2, 3, 3, dtype=torch.complex64))
    with pytest.raises(ShapeError, match="one column per channel"):
        ResidualNoise(sigma=1.0, unmixing=torch.eye(3)).by_coil(torch.ones(2, 3, 3, dtype=torch.complex64))
    with pytest.raises(ShapeError, match="positive definite"):
        ResidualNoise(covariance=torch.ones(2, 2)).white(torch.ones(2, 3, 3, dtype=torch.complex64))
