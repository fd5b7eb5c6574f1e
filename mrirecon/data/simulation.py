"""Simulated acquisition: smooth phase, correlated noise, k-space. Pure functions on tensors."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mrirecon.errors import ShapeError
from mrirecon.linalg.fft import fft

_WAVES = 128


def smooth_phase(
    shape: tuple[int, ...],
    *,
    generator: torch.Generator,
    standard_deviation_rad: float = 1.0,
    correlation_length: float = 0.5,
) -> Tensor:
    """A random smooth field: a Gaussian process with a Gaussian correlation function, not periodic.

    Drawn as ``sqrt(2 / M) sum_m cos(2 pi f_m . r + theta_m)`` with r in fields of view and f_m normal with standard
    deviation ``1 / (2 pi correlation_length)`` [1]_: the same generator state gives the same field on every grid.

    Parameters
    ----------
    shape
        Voxels along ([z,] y, x).
    standard_deviation_rad
        Of the phase over the ensemble.
    correlation_length
        In fields of view: where the correlation has fallen to ``exp(-1/2)``.

    Returns
    -------
        Radians, float32, `shape`.

    References
    ----------
    .. [1] Rahimi and Recht, Random features for large-scale kernel machines, NeurIPS 2007.
    """
    if not correlation_length > 0:
        raise ShapeError(f"`correlation_length` must be positive, in fields of view, got {correlation_length}")
    frequencies = torch.randn(_WAVES, len(shape), generator=generator) / (2 * math.pi * correlation_length)
    offsets = 2 * math.pi * torch.rand(_WAVES, generator=generator)
    field = torch.zeros(shape)
    along = [(torch.arange(n) - n // 2) / n for n in shape]
    grid = torch.stack(torch.meshgrid(*along, indexing="ij"), dim=-1)
    for frequency, offset in zip(frequencies, offsets, strict=True):
        field += torch.cos(2 * math.pi * (grid @ frequency) + offset)
    return field * (standard_deviation_rad * math.sqrt(2 / _WAVES))


def random_noise_covariance(
    n_coils: int, *, sigma: float, generator: torch.Generator, correlation: float = 0.3, spread: float = 0.3
) -> Tensor:
    """A plausible coil noise covariance ``E[n n^H]``: unequal gains and complex correlations.

    Parameters
    ----------
    sigma
        Root-mean-square over the coils of the standard deviation **per real component**: the diagonal averages
        ``2 sigma^2``.
    correlation
        Share of the noise power that comes from as many common sources as there are coils, from 0 to below 1.
    spread
        Standard deviation of the logarithm of the coils' gains.

    Returns
    -------
        Shape (coil, coil), complex128, Hermitian, positive definite.
    """
    if not (sigma > 0 and 0 <= correlation < 1):
        raise ShapeError(f"`sigma` must be positive and 0 <= `correlation` < 1, got {sigma} and {correlation}")
    draw = torch.randn(n_coils, n_coils, 2, generator=generator, dtype=torch.float64)
    mixing = torch.view_as_complex(draw)
    common = mixing @ mixing.mH
    power = common.diagonal().real.sqrt()
    common = common / torch.outer(power, power)
    covariance = (1 - correlation) * torch.eye(n_coils, dtype=common.dtype) + correlation * common
    gains = torch.exp(spread * torch.randn(n_coils, generator=generator, dtype=torch.float64))
    covariance = covariance * torch.outer(gains, gains)
    return covariance * (2 * sigma**2 * n_coils / covariance.diagonal().real.sum())


def correlated_noise(covariance: Tensor, shape: tuple[int, ...], *, generator: torch.Generator) -> Tensor:
    """Circular Gaussian noise with ``E[n n^H] = covariance`` over the coils, white over `shape`.

    Parameters
    ----------
    covariance
        Shape (coil, coil), Hermitian, positive definite; ``2 sigma^2 I`` for equal uncorrelated coils.
    shape
        What follows the coil axis; ``(n,)`` makes a noise scan.

    Returns
    -------
        complex64, (coil, *shape).
    """
    if covariance.ndim != 2 or covariance.shape[0] != covariance.shape[1]:
        raise ShapeError(f"`covariance` must have shape (coil, coil), got {tuple(covariance.shape)}")
    factor, failed = torch.linalg.cholesky_ex(covariance.to(torch.complex128))
    if bool(failed):
        raise ShapeError("`covariance` must be Hermitian and positive definite; add a little of the identity")
    white = torch.randn(covariance.shape[0], math.prod(shape), 2, generator=generator) / math.sqrt(2)
    mixed = factor.to(torch.complex64) @ torch.view_as_complex(white)
    noise: Tensor = mixed.reshape(-1, *shape)
    return noise


def simulate_kspace(
    image: Tensor,
    maps: Tensor,
    *,
    mask: Tensor | None = None,
    covariance: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """K-space of `image` seen by coils `maps`: ``M (F S x + n)``.

    Parameters
    ----------
    image
        Real or complex, (*batch, 1, y, x), or (*batch, 1, z, y, x) with maps of three spatial axes.
    maps
        Sensitivities (coil, [z,] y, x).
    mask
        Sampled positions, bool, broadcastable to the k-space grid; everything when omitted.
    covariance
        Noise covariance of the coils, (coil, coil); no noise when omitted.
    generator
        Source of the noise; required with `covariance`.

    Returns
    -------
        complex64, (*batch, coil, [kz,] ky, kx), zero where not sampled.

    Raises
    ------
    ShapeError
        If the shapes disagree or noise is asked for without a generator.

    Notes
    -----
    The discrete transform that also reconstructs: no truncation, so it flatters. `phantom.analytic_kspace` does not.
    """
    n_axes = maps.ndim - 1
    if n_axes not in (2, 3) or image.ndim < n_axes + 1 or image.shape[-n_axes:] != maps.shape[1:]:
        raise ShapeError(
            f"`image` (*batch, 1, [z,] y, x) and `maps` (coil, [z,] y, x) must have equal grids, "
            f"got {tuple(image.shape)} and {tuple(maps.shape)}"
        )
    if image.shape[-n_axes - 1] != 1:
        raise ShapeError(f"`image` must have one channel before its grid, got {tuple(image.shape)}")
    kspace = fft(maps * image, range(-n_axes, 0)).to(torch.complex64)
    if covariance is not None:
        if generator is None:
            raise ShapeError("noise needs a `generator`, so that the simulation can be repeated")
        batch = kspace.shape[: -n_axes - 1]
        noise = correlated_noise(covariance, (*batch, *kspace.shape[-n_axes:]), generator=generator)
        kspace = kspace + noise.movedim(0, len(batch))
    return kspace if mask is None else torch.where(mask, kspace, 0)
