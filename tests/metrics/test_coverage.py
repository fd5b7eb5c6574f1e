"""Calibration measures on Gaussian errors, where every expectation has a closed form."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
import torch
from scipy.stats import norm, spearmanr
from torch import Tensor

from mrirecon.errors import ConfigError, ShapeError
from mrirecon.metrics.coverage import (
    MEAN_ABSOLUTE_DEVIATION,
    calibration_curve,
    conformal_factor,
    conformal_factor_over_slices,
    coverage,
    error_by_std,
    gaussian_half_width,
    rank_correlation,
)

N = 200_000
TOLERANCE = 4 * 0.5 / sqrt(N)  # four standard deviations of a fraction of N entries, at most


@pytest.fixture(scope="module")
def calibrated() -> tuple[Tensor, Tensor]:
    """Errors drawn from the predicted standard deviations, which vary by a factor of ten."""
    generator = torch.Generator().manual_seed(3)
    std = 10 ** torch.rand(N, generator=generator) * 0.01
    return std * torch.randn(N, generator=generator), std


@pytest.mark.parametrize("claimed", [1.0, 0.5, 2.0])
@pytest.mark.parametrize("level", [0.5, 0.9])
def test_coverage_of_a_scaled_prediction(calibrated: tuple[Tensor, Tensor], claimed: float, level: float) -> None:
    """Predicting `claimed` times the true deviation covers 2 Phi(claimed z) - 1."""
    error, std = calibrated
    expected = 2 * norm.cdf(claimed * norm.ppf((1 + level) / 2)) - 1
    assert coverage(error, claimed * std, level=level) == pytest.approx(expected, abs=TOLERANCE)


def test_calibration_curve_is_coverage_at_every_level(calibrated: tuple[Tensor, Tensor]) -> None:
    error, std = calibrated
    levels = [0.1, 0.5, 0.8, 0.99]
    np.testing.assert_allclose(calibration_curve(error, std, levels), levels, atol=TOLERANCE)
    over = calibration_curve(error, 0.5 * std, levels)
    assert over.tolist() == [coverage(error, 0.5 * std, level=level) for level in levels]
    assert (over < np.array(levels) - 0.02).all()


@pytest.mark.parametrize("claimed", [1.0, 0.5, 3.0])
def test_conformal_factor_mends_the_scale(calibrated: tuple[Tensor, Tensor], claimed: float) -> None:
    error, std = calibrated
    half, rest = slice(0, N // 2), slice(N // 2, N)
    factor = conformal_factor(error[half], claimed * std[half], level=0.9)
    assert factor == pytest.approx(gaussian_half_width(0.9) / claimed, rel=0.01)
    assert coverage(error[rest], claimed * std[rest], factor=factor) == pytest.approx(0.9, abs=3 * TOLERANCE)
    scaled = claimed * std[rest] * factor / gaussian_half_width(0.9)
    assert coverage(error[rest], scaled, level=0.9) == pytest.approx(0.9, abs=3 * TOLERANCE)


def test_conformal_factor_of_few_entries_is_the_finite_sample_quantile() -> None:
    error = torch.arange(1.0, 20.0)  # 19 entries: rank ceil(20 * 0.9) = 18
    assert conformal_factor(error, torch.ones(19), level=0.9) == 18.0
    assert conformal_factor(error[:9], torch.ones(9), level=0.9) == 9.0
    with pytest.raises(ConfigError, match=r"8 calibration entries are too few .* at least 9"):
        conformal_factor(error[:8], torch.ones(8), level=0.9)


def test_conformal_guarantee_for_a_new_entry() -> None:
    """With 19 exchangeable entries the next one is covered with probability 18/20, heavy tails or not."""
    errors = torch.from_numpy(np.random.default_rng(0).standard_t(2, size=(4000, 20)))
    hits = [coverage(row[19:], torch.ones(1), factor=conformal_factor(row[:19], torch.ones(19))) for row in errors]
    assert np.mean(hits) == pytest.approx(0.9, abs=4 * sqrt(0.9 * 0.1 / 4000))


def test_conformal_guarantee_for_a_new_slice() -> None:
    """Slices with a difficulty of their own: 90 % of the new slices have 90 % of their pixels covered, by 9 slices."""
    generator = torch.Generator().manual_seed(1)
    n_trials, n_slices, n_pixels = 1500, 10, 50
    difficulty = torch.exp(torch.randn(n_trials, n_slices, 1, generator=generator))
    errors = difficulty * torch.randn(n_trials, n_slices, n_pixels, generator=generator)
    by_slices, by_pixels = [], []
    for error in errors:
        past, new, one = error[:9], error[9], torch.ones(())
        factor = conformal_factor_over_slices(past, one, level=0.9, confidence=0.9)
        by_slices.append(coverage(new, one, factor=factor) >= 0.9)
        by_pixels.append(coverage(new, one, factor=conformal_factor(past, one, level=0.9)) >= 0.9)
    assert np.mean(by_slices) == pytest.approx(0.9, abs=4 * sqrt(0.9 * 0.1 / n_trials))
    assert np.mean(by_pixels) < 0.8  # pooling pixels promises this to fewer slices


def test_the_score_of_a_slice_is_not_a_rank_too_high() -> None:
    """0.55 x 100 is 55.000000000000007 in floating point, and the 55th of 100 ratios covers 55 % of them."""
    error = torch.arange(1.0, 101.0).expand(9, 100)
    assert conformal_factor_over_slices(error, torch.ones(()), level=0.55, confidence=0.9) == 55.0


def test_slices_outside_the_mask_do_not_count() -> None:
    error = torch.arange(1.0, 13.0)[:, None].expand(12, 5).clone()
    mask = torch.ones(12, 5, dtype=torch.bool)
    mask[9:] = False
    factor = conformal_factor_over_slices(error, torch.ones(()), confidence=0.9, mask=mask)
    assert factor == 9.0
    with pytest.raises(ConfigError, match="8 calibration slices are too few"):
        conformal_factor_over_slices(error[:8], torch.ones(()), confidence=0.9)


def test_error_by_std_of_calibrated_errors_lies_on_the_line(calibrated: tuple[Tensor, Tensor]) -> None:
    error, std = calibrated
    curve = error_by_std(error, std, n_bins=8)
    assert curve.counts.tolist() == [N // 8] * 8
    assert (np.diff(curve.std) > 0).all()
    assert curve.std.mean() == pytest.approx(float(std.double().mean()), rel=1e-9)
    np.testing.assert_allclose(curve.absolute_error, MEAN_ABSOLUTE_DEVIATION * curve.std, rtol=0.02)
    doubled = error_by_std(error, 2 * std, n_bins=8)
    np.testing.assert_allclose(doubled.absolute_error, MEAN_ABSOLUTE_DEVIATION * doubled.std / 2, rtol=0.02)


def test_rank_correlation_equals_scipys(calibrated: tuple[Tensor, Tensor]) -> None:
    error, std = (t[:500] for t in calibrated)
    std = (std * 100).round()  # ties
    assert rank_correlation(error, std) == pytest.approx(spearmanr(error.abs(), std).statistic, abs=1e-9)
    assert rank_correlation(std, std) == pytest.approx(1.0)
    assert np.isnan(rank_correlation(error, torch.ones(500)))


def test_mask_and_complex_errors(calibrated: tuple[Tensor, Tensor]) -> None:
    error, std = calibrated
    mask = torch.arange(N) % 2 == 0
    spoilt = torch.where(mask, error, torch.full_like(error, 1e6))
    assert coverage(spoilt, std, mask=mask) == coverage(error[mask], std[mask])
    assert rank_correlation(spoilt, std, mask=mask) == rank_correlation(error[mask], std[mask])
    pairs = torch.complex(error[: N // 2] / std[: N // 2], error[N // 2 :] / std[N // 2 :])
    assert coverage(pairs, torch.ones(()), level=0.8) == pytest.approx(0.8, abs=TOLERANCE)


def test_vanishing_deviations_cover_vanishing_errors_only() -> None:
    assert coverage(torch.tensor([0.0, 0.1]), torch.zeros(2)) == 0.5
    with pytest.raises(ConfigError, match="no finite factor"):
        conformal_factor(torch.ones(30), torch.zeros(30))


def test_bad_input_is_refused() -> None:
    error, std = torch.ones(4, 3), torch.ones(4, 3)
    with pytest.raises(ShapeError, match="broadcast"):
        coverage(error, torch.ones(5))
    with pytest.raises(ShapeError, match="no entry"):
        coverage(error, std, mask=torch.zeros(4, 3, dtype=torch.bool))
    with pytest.raises(ShapeError, match="not negative"):
        coverage(error, -std)
    with pytest.raises(ShapeError, match="finite"):
        coverage(error * torch.nan, std)
    with pytest.raises(ShapeError, match="mask` bool"):
        coverage(error, std, mask=std)
    with pytest.raises(ConfigError, match="between 0 and 1, got 90"):
        coverage(error, std, level=90)
    with pytest.raises(ConfigError, match="n_bins"):
        error_by_std(error, std, n_bins=13)
