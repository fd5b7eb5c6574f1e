"""The calibration region as coil images: checked, windowed, and evaluated on any grid over the field of view."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mrirecon.errors import ShapeError
from mrirecon.mri.calibration import calibration_size, extract_calibration


def calibration_region(kspace: Tensor, calibration: tuple[int, int] | None) -> Tensor:
    """The centred block of `calibration` (ky, kx) of coil data, after making sure that it can be used.

    Parameters
    ----------
    kspace
        Shape (*batch, coil, ky, kx), complex.
    calibration
        Size of the block; None for all of `kspace`.

    Returns
    -------
        Shape (*batch, coil, *calibration), a view.

    Raises
    ------
    ShapeError
        If `kspace` is not complex with a coil axis, if the block does not fit, if it is not finite, or if some of its
        samples are zero in all coils, which means that they were not acquired.
    """
    if kspace.ndim < 3 or not kspace.is_complex() or 0 in kspace.shape:
        raise ShapeError(
            f"`kspace` must be complex with shape (*batch, coil, ky, kx), got {tuple(kspace.shape)} {kspace.dtype}"
        )
    grid = (kspace.shape[-2], kspace.shape[-1])
    size = grid if calibration is None else calibration
    if len(size) != 2 or any(not 1 <= s <= n for s, n in zip(size, grid, strict=True)):
        raise ShapeError(
            f"`calibration` must be two lengths between 1 and the k-space grid (ky={grid[0]}, kx={grid[1]}), got "
            f"{tuple(size)}; take a smaller region, or None if `kspace` is nothing but the calibration data"
        )
    region = extract_calibration(kspace, size)
    if not bool(torch.isfinite(torch.view_as_real(region)).all()):
        raise ShapeError("`kspace` must be finite in the calibration region, got NaN or infinity; check the raw data")
    sampled = (region != 0).any(dim=-3).reshape(-1, *size).all(dim=0)
    if not bool(sampled.all()):
        available = calibration_size(sampled)
        raise ShapeError(
            f"`calibration` must be fully sampled: within {tuple(size)} (ky, kx) about the origin "
            f"{int((~sampled).sum())} samples are zero in all coils and the largest complete block is {available}; "
            "pass a smaller `calibration`, see calibration_size(mask)"
        )
    return region


def harmonics(n: int, size: int, like: Tensor) -> Tensor:
    """``exp(2 pi i k r / size)``, shape (n, size), k about ``n // 2`` and r about ``size // 2``, dtype of `like`.

    Products with it evaluate a short centred k-space on a long image axis without padding.
    """
    k = torch.arange(n, dtype=torch.float64, device=like.device) - n // 2
    r = torch.arange(size, dtype=torch.float64, device=like.device) - size // 2
    angle = 2 * math.pi * torch.outer(k, r) / size
    return torch.polar(torch.ones_like(angle), angle).to(like.dtype)


def windowed(region: Tensor) -> Tensor:
    """`region` times a Hann window about the origin, which keeps the coil images from ringing."""
    for axis in (-2, -1):
        n = region.shape[axis]
        offset = torch.arange(n, dtype=region.real.dtype, device=region.device) - n // 2
        window = torch.cos(math.pi * offset / (n + 1)).square()
        region = region * (window[:, None] if axis == -2 else window)
    return region
