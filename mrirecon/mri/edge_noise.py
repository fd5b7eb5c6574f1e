"""Noise samples from the outskirts of the data themselves, for scans without a noise scan."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor

from mrirecon.errors import ShapeError
from mrirecon.linalg.fft import ifft

OUTERMOST_POSITION = 0.9
"""Image positions beyond this share of the half field of view are left out: receiver filters roll off there."""


def noise_from_edges(kspace: Tensor, mask: Tensor, *, fraction: float = 0.05) -> Tensor:
    """Noise samples from where there is least signal: the corners of the acquired data.

    The corners are looked for in k-space, and also after a Fourier transform along each axis that was sampled without
    gaps, where the corner lies outside the object: in particular outside the nominal field of view of an oversampled
    readout. Of these regions the one with the least power is taken. Within a region the choice looks at positions
    only, never at values, so it does not bias the variance. Samples that are exactly zero in every coil (the missing
    start of an asymmetric echo, zero padding) are no samples.

    Parameters
    ----------
    kspace
        Shape (*batch, coil, ky, kx), complex; several slices give more samples. Best before the removal of readout
        oversampling.
    mask
        Which samples were acquired, bool, shape (ky, kx), 1 along an axis where it is constant.
    fraction
        Share of the acquired positions to use, above 0 and at most 0.5.

    Returns
    -------
        Shape (coil, n), complex, units of `kspace`, for `noise_covariance`. What signal there is in the corners is
        included, so the covariance is an upper estimate.

    Raises
    ------
    ShapeError
        If shapes disagree, `fraction` is out of range, or fewer samples than coils remain.
    """
    if kspace.ndim < 3 or not kspace.is_complex():
        raise ShapeError(
            f"`kspace` must be complex with shape (*batch, coil, ky, kx), got {tuple(kspace.shape)} {kspace.dtype}"
        )
    if not 0 < fraction <= 0.5:
        raise ShapeError(f"`fraction` must be above 0 and at most 0.5, got {fraction}")
    grid = kspace.shape[-2:]
    if mask.ndim != 2 or any(m not in (1, n) for m, n in zip(mask.shape, grid, strict=True)):
        raise ShapeError(f"`mask` must have shape (ky={grid[0]} or 1, kx={grid[1]} or 1), got {tuple(mask.shape)}")
    n_coils = kspace.shape[-3]
    planes = kspace.reshape(-1, n_coils, *grid)
    measured = mask.to(kspace.device, torch.bool) & (planes != 0).any(dim=1).any(dim=0)
    regions = [_corner(planes, measured, axes, fraction) for axes in _gapless_axes(measured)]
    usable = [samples for samples in regions if samples.shape[1] >= n_coils]
    if not usable:
        raise ShapeError(
            f"the outermost {fraction:.0%} of the data hold {regions[0].shape[1]} acquired samples, at least {n_coils} "
            "(one per coil) are needed; pass more slices or a larger `fraction`"
        )
    powers = [_mean_log_power(samples) for samples in usable]
    lowest = min(powers)
    # the first that is as good as the least within three standard errors: the least of several would be biased low
    return next(s for s, p in zip(usable, powers, strict=True) if p <= lowest + 3 / math.sqrt(s.numel()))


def _gapless_axes(measured: Tensor) -> list[tuple[int, ...]]:
    """The sets of axes (0 = y, 1 = x) that may be transformed: none, and those sampled as one interval."""
    profiles = [measured.any(dim=1), measured.any(dim=0)]
    if not bool((torch.outer(profiles[0], profiles[1]) == measured).all()):
        return [()]
    gapless = []
    for axis, profile in enumerate(profiles):
        positions = torch.nonzero(profile).flatten()
        if len(positions) > 1 and int(positions[-1] - positions[0]) == len(positions) - 1:
            gapless.append(axis)
    return [axes for n in range(len(gapless) + 1) for axes in itertools.combinations(gapless, n)]


def _corner(planes: Tensor, measured: Tensor, axes: tuple[int, ...], fraction: float) -> Tensor:
    """The samples (coil, n) farthest from the origin after transforming `axes`, unit gain for white noise."""
    squared = torch.zeros(measured.shape, device=measured.device)
    available = measured
    gain = 1.0
    for axis in (0, 1):
        n = measured.shape[axis]
        position = (torch.arange(n, device=measured.device, dtype=torch.float32) - n // 2).abs()
        profile = measured.any(dim=1 - axis)
        if axis in axes:
            gain *= math.sqrt(n / int(profile.sum()))
            relative = position / max(n // 2, 1)
            available = available.any(dim=axis, keepdim=True) & (relative <= OUTERMOST_POSITION).unsqueeze(1 - axis)
        else:
            extent = position[profile]
            relative = position / extent.max().clamp_min(1.0) if extent.numel() else position
        squared = squared + relative.square().unsqueeze(1 - axis)
    radii = squared[available]
    if radii.numel() == 0:
        return planes.new_zeros(planes.shape[1], 0)
    wanted = max(1, round(fraction * radii.numel()))
    chosen = available & (squared >= torch.topk(radii, wanted).values[-1])
    data = ifft(planes, tuple(axis - 2 for axis in axes)) * gain if axes else planes
    samples = data.transpose(0, 1)[:, :, chosen].flatten(1)
    return samples[:, (samples != 0).any(dim=0)]


def _mean_log_power(samples: Tensor) -> float:
    """Average over the coils of the logarithm of their power: blind to the coils' gains."""
    power = samples.abs().square().mean(dim=1)
    return float(power.clamp_min(torch.finfo(power.dtype).tiny).log().mean())
