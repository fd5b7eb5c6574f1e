"""How well the prior of a checkpoint denoises one undersampled scan: the profile that the shift alarm judges.

The magnitude x of E[x | y], from the undersampled data, is given noise again, x_s = x + s n, and denoised by the prior
alone: the conditional network bound to no data. The phase is left out because it differs from scan to scan far more
than it tells about anatomy. For every level s and band of spatial frequencies the profile holds

    actual    E | (D(x_s) - x)_b |^2 / s^2           the integrand of `metrics.shift.log_ratio_curve`, resolved by band
    promised  E < n_b, (D(x_s) - x)_b > / s          what the prior takes its own error to be

each per coefficient and real component. By Tweedie's formula of second order s^2 times the derivative of D is the
posterior covariance, so that both agree for images of the prior; actual error beyond what was promised says that the
image is none of them (Stein's identity for the score). Their size says how much structure there is. Quantiles of the
magnitude and the shape of the object stand beside them, for what a denoiser does not see: it looks at
neighbourhoods, and was trained on random contrasts.

References
----------
.. [1] Mahmood, Oliva and Styner, Multiscale score matching for out-of-distribution detection, ICLR 2021,
   arXiv:2010.13132: norms of the score at several noise levels, and a density fitted to those of usual images.
.. [2] Stein, Estimation of the mean of a multivariate normal distribution, Ann Statist 9 (1981) 1135-1151.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

import numpy as np
import torch
from scipy.spatial import ConvexHull
from torch import Tensor
from torch.nn.functional import avg_pool2d

from mrirecon.diffusion.conditional import ConditionalDenoiser
from mrirecon.errors import ConfigError
from mrirecon.linalg.fft import fft
from mrirecon.metrics.feature_model import Floats
from mrirecon.operators.image import image_space
from mrirecon.operators.measurement import MeasurementModel
from mrirecon.operators.mri import CartesianMRI
from mrirecon.operators.noise import GaussianNoise
from mrirecon.priors.base import Denoiser

PRIOR_NOISE = 0.01
"""Noise level that the network is told when it is bound to no data; it has no meaning then, but must be the same."""
START_SIGMA = 80.0
"""Level from which E[x | y] is estimated in one step: the noisy image says nothing there."""
OBJECT_LEVEL = 0.1
"""Of the 99th percentile of the magnitude: what is brighter belongs to the object."""
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
_LEAST = 1e-4
_FEWEST_PIXELS = 16


@dataclass(frozen=True)
class ShiftProfile:
    """The profile of one plane.

    Parameters
    ----------
    features
        Logarithms of the actual error, then of its ratio to the promised one, of every level and band, levels slowest;
        then the `intensities` and the `outline`.
    log_acceleration, log_noise
        Covariates: logarithms of R and of sigma per real component where the image is of order one.
    contrast
        Standard deviation over mean of the magnitude inside the object.
    """

    features: tuple[float, ...]
    log_acceleration: float
    log_noise: float
    contrast: float


def shift_profile(
    conditional: ConditionalDenoiser,
    y: Tensor,
    operator: CartesianMRI,
    *,
    sigma: float,
    levels: tuple[float, ...],
    bands: tuple[float, ...],
    generator: torch.Generator,
) -> ShiftProfile:
    """The profile of one plane under the prior inside a conditional denoiser.

    Parameters
    ----------
    conditional
        An unrolled score model, see `reconstruction.unfolding`.
    y
        Data (coil, ky, kx) divided by their `intensity_scale`.
    operator
        What made them.
    sigma
        Of the noise of `y` per real component; 0 where it is not known.
    levels
        Noise levels of the profile; one evaluation of the network each, and one for the image.
    bands
        Upper ends of all bands of spatial frequency but the last, in units of the largest along an axis.
    generator
        Of all noise, on the CPU.

    Raises
    ------
    ConfigError
        If the image has several map sets, or there is no level or band.
    """
    if operator.domain.shape[0] != 1 or not levels or not bands:
        raise ConfigError(
            f"a shift profile needs one map set, levels and bands, got {operator.domain.shape[0]} sets, {levels} and "
            f"{bands}; reconstruct with one map set"
        )
    noise = GaussianNoise(sigma) if sigma > 0 else GaussianNoise(_LEAST)
    nothing = CartesianMRI(operator.sensitivities, torch.zeros(1, 1, dtype=torch.bool, device=y.device))
    with torch.no_grad():
        start = START_SIGMA * operator.domain.randn(generator=generator).to(y.device)
        image = conditional.bind(y, MeasurementModel(operator, noise))(start, START_SIGMA)
        magnitude = (image * operator.sensitivities.support).abs()
        prior = conditional.bind(torch.zeros_like(y), MeasurementModel(nothing, GaussianNoise(PRIOR_NOISE)))
        actual, promised = denoising_errors(
            prior, magnitude.to(image.dtype), levels=levels, bands=bands, generator=generator
        )
    logs = actual.clamp_min(_LEAST).log()
    ratios = logs - promised.clamp_min(_LEAST).log()
    grid = operator.codomain.shape[-2] * operator.codomain.shape[-1]
    sampled = float(operator.mask.expand(operator.codomain.shape[-2:]).sum())
    return ShiftProfile(
        (*torch.cat([logs.flatten(), ratios.flatten()]).tolist(), *intensities(magnitude), *outline(magnitude)),
        log(grid / max(sampled, 1.0)),
        log(max(sigma, _LEAST)),
        contrast(magnitude),
    )


def stacked(profiles: Sequence[ShiftProfile]) -> tuple[Floats, Floats, Floats]:
    """Features (profile, feature), and the two covariates (profile,) in the order of `ShiftProfile`."""
    return (
        np.array([profile.features for profile in profiles]),
        np.array([profile.log_acceleration for profile in profiles]),
        np.array([profile.log_noise for profile in profiles]),
    )


def denoising_errors(
    prior: Denoiser,
    image: Tensor,
    *,
    levels: tuple[float, ...],
    bands: tuple[float, ...],
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Actual and promised error of a denoiser on an image with added noise, each (level, band), float64, on the CPU.

    Parameters
    ----------
    prior
        An MMSE denoiser.
    image
        Complex, (1, y, x).
    levels, bands, generator
        See `shift_profile`.

    Returns
    -------
        Both in units of the variance of the noise; the promised one is an estimate that may fall below 0.
    """
    band = frequency_bands((image.shape[-2], image.shape[-1]), bands).to(image.device)
    counts = torch.bincount(band.flatten(), minlength=len(bands) + 1).clamp_min(1)
    space = image_space(*image.shape, dtype=image.dtype)
    actual, promised = [], []
    for level in levels:
        unit = space.randn(generator=generator).to(image.device)
        error = fft(prior(image + level * unit, level) - image, (-2, -1))[0] / level
        actual.append(_by_band(error.abs().square(), band, counts))
        promised.append(_by_band((fft(unit, (-2, -1))[0].conj() * error).real, band, counts))
    return torch.stack(actual).double().cpu(), torch.stack(promised).double().cpu()


def frequency_bands(shape: tuple[int, int], bands: tuple[float, ...]) -> Tensor:
    """Number of the band of every coefficient of the centred transform, (ky, kx)."""
    ky, kx = (2 * (torch.arange(n) - n // 2) / n for n in shape)
    return torch.bucketize((ky[:, None] ** 2 + kx**2).sqrt(), torch.tensor(bands), right=True)


def intensities(magnitude: Tensor) -> tuple[float, ...]:
    """Logarithms of quantiles of a magnitude inside the object over its 99th percentile, and of the object's share."""
    values = magnitude.flatten().double()
    top = values.kthvalue(max(1, round(0.99 * len(values)))).values.clamp_min(_LEAST)
    inside = values[values > OBJECT_LEVEL * top]
    if not len(inside):
        return (0.0,) * (len(QUANTILES) + 1)
    found = (inside.quantile(torch.tensor(QUANTILES, dtype=torch.float64, device=inside.device)) / top).log()
    return (*found.tolist(), log(len(inside) / len(values)))


def outline(magnitude: Tensor) -> tuple[float, float, float, float]:
    """How the object and its brightness lie in the field of view, whatever its size and turn.

    Logarithms of: its area over that of its convex hull (holes and bays); one plus the share of the border of the field
    of view that it touches; the mean square distance from its middle weighted by brightness over the unweighted one;
    and the ratio of its two extents.
    """
    values = avg_pool2d(magnitude.reshape(1, 1, *magnitude.shape[-2:]).float(), 3, 1, 1)[0, 0].cpu().numpy()
    inside = values > OBJECT_LEVEL * np.quantile(values, 0.99)
    points = np.argwhere(inside).astype(np.float64)
    if len(points) < _FEWEST_PIXELS:
        return (0.0, 0.0, 0.0, 0.0)
    corners = np.concatenate([points + shift for shift in ((-0.5, -0.5), (-0.5, 0.5), (0.5, -0.5), (0.5, 0.5))])
    hull = ConvexHull(corners).volume
    edge = np.concatenate([inside[0], inside[-1], inside[:, 0], inside[:, -1]]).mean()
    distances = np.square(points - points.mean(axis=0)).sum(axis=1)
    spread = float(np.average(distances, weights=values[inside]) / distances.mean())
    extents = np.linalg.eigvalsh(np.cov(points.T))
    return (
        log(len(points) / hull),
        log(1 + edge),
        log(spread),
        log(max(extents[1], _LEAST) / max(extents[0], _LEAST)) / 2,
    )


def contrast(magnitude: Tensor) -> float:
    """Standard deviation over mean of a magnitude above a tenth of its 99th percentile; 0 of an empty one."""
    values = magnitude.flatten()
    inside = values[values > OBJECT_LEVEL * values.kthvalue(max(1, round(0.99 * len(values)))).values]
    return float(inside.std() / inside.mean()) if len(inside) > 1 else 0.0


def _by_band(values: Tensor, band: Tensor, counts: Tensor) -> Tensor:
    """Means per real component."""
    sums = torch.zeros(len(counts), dtype=values.dtype, device=values.device)
    return sums.index_add(0, band.flatten(), values.flatten()) / counts / 2
