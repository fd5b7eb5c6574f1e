"""Noise samples from the outskirts of the data themselves, for scans without a noise scan."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from mrirecon.errors import ShapeError
from mrirecon.linalg.fft import ifft


def noise_from_edges(
    kspace: Tensor,
    mask: Tensor,
    *,
    phase_encoding_axis: Literal["x", "y"] | None = None,
    fraction: float = 0.05,
) -> Tensor:
    """Noise samples from where there is least signal: the corners of the acquired data.

    The corners are those of k-space or, where the phase encoding was sampled without gaps, those of the data after a
    Fourier transform along it, which lie beside the object; of the two the one with clearly less power is taken.
    Within a region the choice looks at positions only, never at values, so it does not bias the variance. Samples that
    are exactly zero in every coil (the missing start of an asymmetric echo, zero padding) are no samples.

    Parameters
    ----------
    kspace
        Shape (*batch, coil, ky, kx), complex; several slices give more samples.
    mask
        Which samples were acquired, bool, shape (ky, kx), 1 along an axis where it is constant.
    phase_encoding_axis
        Without it the axis along which `mask` is not constant; where that is not one axis only k-space is used.
    fraction
        Share of the acquired positions to use, above 0 and at most 0.5.

    Returns
    -------
        Shape (coil, n), complex, units of `kspace`, for `noise_covariance`. What signal there is in the corners is
        included, so the covariance is an upper estimate, closer the higher the resolution.

    Raises
    ------
    ShapeError
        If shapes disagree, `fraction` is out of range, or fewer samples than coils remain.

    Notes
    -----
    The readout is never transformed: receiver filters lower the noise at the ends of its field of view, by a factor
    of five in power in measured data. For the same reason the estimate is about a quarter too low before the removal
    of a twofold readout oversampling; use it afterwards.
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
    regions = [_corner(planes, measured, None, fraction)]
    axis = _phase_encoding(mask) if phase_encoding_axis is None else ("y", "x").index(phase_encoding_axis)
    if axis is not None and _is_gapless(measured, axis):
        regions.append(_corner(planes, measured, axis, fraction))
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


def _phase_encoding(mask: Tensor) -> int | None:
    """The axis (0 = y, 1 = x) along which alone the mask is given, if there is just one."""
    given = [axis for axis, n in enumerate(mask.shape) if n > 1]
    return given[0] if len(given) == 1 else None


def _is_gapless(measured: Tensor, axis: int) -> bool:
    """Whether every readout was measured alike and the phase encodings are one interval."""
    along, across = measured.any(dim=1 - axis, keepdim=True), measured.any(dim=axis, keepdim=True)
    positions = torch.nonzero(along.flatten()).flatten()
    if len(positions) < 2 or not bool(((along & across) == measured).all()):
        return False
    return int(positions[-1] - positions[0]) == len(positions) - 1


def _corner(planes: Tensor, measured: Tensor, transformed: int | None, fraction: float) -> Tensor:
    """The samples (coil, n) farthest from the origin, after transforming one axis if asked, with the same noise."""
    squared = torch.zeros(measured.shape, device=measured.device)
    for axis in (0, 1):
        n = measured.shape[axis]
        position = (torch.arange(n, device=measured.device, dtype=torch.float32) - n // 2).abs()
        extent = position if axis == transformed else position[measured.any(dim=1 - axis)]
        relative = position / extent.max().clamp_min(1.0) if extent.numel() else position
        squared = squared + relative.square().unsqueeze(1 - axis)
    if transformed is not None:
        n_measured = int(measured.any(dim=1 - transformed).sum())
        planes = ifft(planes, (transformed - 2,)) * math.sqrt(measured.shape[transformed] / n_measured)
        measured = measured.any(dim=transformed, keepdim=True).expand_as(measured)
    radii = squared[measured]
    if radii.numel() == 0:
        return planes.new_zeros(planes.shape[1], 0)
    wanted = max(1, round(fraction * radii.numel()))
    chosen = measured & (squared >= torch.topk(radii, wanted).values[-1])
    samples = planes.transpose(0, 1)[:, :, chosen].flatten(1)
    return samples[:, (samples != 0).any(dim=0)]


def _mean_log_power(samples: Tensor) -> float:
    """Average over the coils of the logarithm of their power: blind to the coils' gains."""
    power = samples.abs().square().mean(dim=1)
    return float(power.clamp_min(torch.finfo(power.dtype).tiny).log().mean())
