"""How well the prior of a checkpoint denoises one undersampled scan: the profile that the shift alarm judges.

The image x = E[x | y] of the undersampled data is given noise again, x_s = x + s n, and denoised by the prior alone:
the conditional network bound to no data. For every level s and band of spatial frequencies the profile holds

    actual    E | (D(x_s) - x)_b |^2 / s^2           the integrand of `metrics.shift.log_ratio_curve`, resolved by band
    promised  E < n_b, (D(x_s) - x)_b > / s          what the prior takes its own error to be

each per coefficient and real component. By Tweedie's formula of second order s^2 times the derivative of D is the
posterior covariance, so that both agree for images of the prior; actual error beyond what was promised says that the
image is none of them (Stein's identity for the score). Their size says how much structure there is.

References
----------
.. [1] Mahmood, Oliva and Styner, Multiscale score matching for out-of-distribution detection, ICLR 2021,
   arXiv:2010.13132: norms of the score at several noise levels, and a density fitted to those of usual images.
.. [2] Stein, Estimation of the mean of a multivariate normal distribution, Ann Statist 9 (1981) 1135-1151.
.. [3] Ren et al., A simple fix to Mahalanobis distance for improving near-OOD detection, arXiv:2106.09022.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import torch
from torch import Tensor

from mrirecon.diffusion.conditional import ConditionalDenoiser
from mrirecon.errors import ConfigError
from mrirecon.linalg.fft import fft
from mrirecon.operators.measurement import MeasurementModel
from mrirecon.operators.mri import CartesianMRI
from mrirecon.operators.noise import GaussianNoise

PRIOR_NOISE = 0.01
"""Noise level that the network is told when it is bound to no data; it has no meaning then, but must be the same."""
START_SIGMA = 80.0
"""Level from which E[x | y] is estimated in one step: the noisy image says nothing there."""
_LEAST = 1e-4


@dataclass(frozen=True)
class ShiftProfile:
    """The profile of one plane.

    Parameters
    ----------
    features
        Logarithms of the actual error, then of its ratio to the promised one, of every level and band, levels slowest.
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
    features: list[list[float]] = []
    with torch.no_grad():
        image = conditional.bind(y, MeasurementModel(operator, noise))(
            START_SIGMA * _noise(operator, generator, y), START_SIGMA
        )
        image = image * operator.sensitivities.support
        prior = conditional.bind(torch.zeros_like(y), MeasurementModel(nothing, GaussianNoise(PRIOR_NOISE)))
        band = frequency_bands((image.shape[-2], image.shape[-1]), bands).to(y.device)
        counts = torch.bincount(band.flatten(), minlength=len(bands) + 1).clamp_min(1)
        for level in levels:
            unit = _noise(operator, generator, y)
            error = fft(prior(image + level * unit, level) - image, (-2, -1))[0] / level
            added = fft(unit, (-2, -1))[0]
            features.append(_by_band(error.abs().square(), band, counts))
            features.append(_by_band((added.conj() * error).real, band, counts))
    actual = [log(max(value, _LEAST**3)) for one in features[0::2] for value in one]
    promised = [log(max(value, _LEAST)) for one in features[1::2] for value in one]  # an estimate, may be below 0
    grid = operator.codomain.shape[-2] * operator.codomain.shape[-1]
    sampled = float(operator.mask.expand(operator.codomain.shape[-2:]).sum())
    return ShiftProfile(
        (*actual, *(a - p for a, p in zip(actual, promised, strict=True))),
        log(grid / max(sampled, 1.0)),
        log(max(sigma, _LEAST)),
        contrast(image.abs()),
    )


def frequency_bands(shape: tuple[int, int], bands: tuple[float, ...]) -> Tensor:
    """Number of the band of every coefficient of the centred transform, (ky, kx)."""
    ky, kx = (2 * (torch.arange(n) - n // 2) / n for n in shape)
    return torch.bucketize((ky[:, None] ** 2 + kx**2).sqrt(), torch.tensor(bands), right=True)


def contrast(magnitude: Tensor) -> float:
    """Standard deviation over mean of a magnitude above a tenth of its 99th percentile; 0 of an empty one."""
    values = magnitude.flatten()
    inside = values[values > 0.1 * values.kthvalue(max(1, round(0.99 * len(values)))).values]
    return float(inside.std() / inside.mean()) if len(inside) > 1 else 0.0


def _by_band(values: Tensor, band: Tensor, counts: Tensor) -> list[float]:
    """Means per real component."""
    sums = torch.zeros(len(counts), dtype=values.dtype, device=values.device)
    return [float(v) for v in sums.index_add(0, band.flatten(), values.flatten()) / counts / 2]


def _noise(operator: CartesianMRI, generator: torch.Generator, like: Tensor) -> Tensor:
    return operator.domain.randn(generator=generator).to(like.device)
