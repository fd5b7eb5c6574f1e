"""Point spread functions and interpolation matrices for blur and downsampling."""

from __future__ import annotations

from math import ceil, floor, pi
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from mrirecon.errors import ConfigError, ShapeError


def gaussian_kernel(std: float, *, size: int | None = None, dtype: torch.dtype = torch.float32) -> Tensor:
    """An isotropic Gaussian sampled at pixel centres, of sum 1 and centred at ``size // 2``.

    Parameters
    ----------
    std
        Standard deviation in pixels; positive.
    size
        Edge length, the odd number that covers 4 standard deviations to each side when omitted.
    dtype
        Of the result.
    """
    weights = gaussian_weights(std, size=size, dtype=dtype)
    return torch.outer(weights, weights)


def gaussian_weights(std: float, *, size: int | None = None, dtype: torch.dtype = torch.float32) -> Tensor:
    """One axis of `gaussian_kernel`."""
    if not std > 0:
        raise ConfigError(f"the standard deviation of a blur must be positive, got {std}")
    size = 2 * ceil(4 * std) + 1 if size is None else _check_size(size)
    distance = torch.arange(size, dtype=torch.float64) - size // 2
    weights = torch.exp(-0.5 * (distance / std).square())
    return (weights / weights.sum()).to(dtype)


def disc_kernel(radius: float, *, dtype: torch.dtype = torch.float32) -> Tensor:
    """A uniform disc, the blur of a lens out of focus: the share of every pixel that lies inside, of sum 1.

    Parameters
    ----------
    radius
        In pixels; at least 0.5.
    dtype
        Of the result.

    Returns
    -------
        Odd and just large enough, centred at ``size // 2``. Shares are counted on 16 x 16 points of each pixel.
    """
    if not 0.5 <= radius < float("inf"):
        raise ConfigError(f"the radius of a disc must be at least 0.5 pixels, got {radius}")
    half, fine = ceil(radius - 0.5), 16
    axis = (torch.arange((2 * half + 1) * fine, dtype=torch.float64) + 0.5) / fine - half - 0.5
    inside = (axis[:, None].square() + axis.square() <= radius**2).double()
    kernel = torch.nn.functional.avg_pool2d(inside[None, None], fine)[0, 0]
    return (kernel / kernel.sum()).to(dtype)


def motion_kernel(
    size: int, *, intensity: float, generator: torch.Generator, dtype: torch.dtype = torch.float32
) -> Tensor:
    """The path of a shaking camera during one exposure: a random smooth curve with a few sudden turns.

    A point moves at constant speed; its direction performs a random walk whose step grows with `intensity`, and
    turns at random now and then. The path is as long as the kernel is wide, shrunk where it would leave the kernel,
    deposited by bilinear weights and centred, so that the kernel does not shift the image.

    Parameters
    ----------
    size
        Edge length in pixels, at least 3.
    intensity
        From 0, a straight line, to 1, a tangle.
    generator
        Source of the path.
    dtype
        Of the result.

    Returns
    -------
        Shape (size, size), non-negative, sum 1, centre of mass at ``size // 2``.

    Notes
    -----
    Same purpose as, but not the algorithm of, Boracchi and Foi, IEEE Trans. Image Process. 21 (2012) 3502-3517.
    """
    _check_size(size)
    if size < 3 or not 0 <= intensity <= 1:
        raise ConfigError(f"a motion kernel needs size >= 3 and 0 <= intensity <= 1, got {size} and {intensity}")
    n = 1000
    draws = torch.randn(n, generator=generator, dtype=torch.float64, device=generator.device).cpu()
    turns = torch.rand(n, 2, generator=generator, dtype=torch.float64, device=generator.device).cpu()
    steps = draws * (2 * pi * intensity / n**0.5)
    jumps = torch.where(turns[:, 0] < 3 * intensity / n, (turns[:, 1] - 0.5) * 2 * pi, 0.0)
    direction = 2 * pi * turns[0, 1] + torch.cumsum(steps + jumps, 0)
    path = torch.cumsum(torch.stack([direction.sin(), direction.cos()], -1), 0) * (size / n)
    path = path - path.mean(0)
    room = (size - 1) // 2 - 1e-6  # the centre is at size // 2, and one pixel beyond the path is written to
    path = path * min(1.0, room / float(path.abs().max())) + size // 2
    corner = path.floor().long()
    fraction = path - corner
    kernel = torch.zeros(size, size, dtype=torch.float64)
    for dy in (0, 1):
        for dx in (0, 1):
            weight_y = fraction[:, 0] if dy else 1 - fraction[:, 0]
            weight_x = fraction[:, 1] if dx else 1 - fraction[:, 1]
            kernel.index_put_((corner[:, 0] + dy, corner[:, 1] + dx), weight_y * weight_x, accumulate=True)
    return (kernel / kernel.sum()).to(dtype)


def bicubic_matrix(n: int, factor: int, *, boundary: Literal["circular", "symmetric"]) -> Tensor:
    """Antialiased bicubic downsampling of one axis as a matrix of shape (n // factor, n), in double precision.

    Keys' cubic with a = -0.5, stretched by `factor` (16 taps for factor 4), sampled around the centres of the output
    pixels, each row of sum 1.

    Parameters
    ----------
    n
        Length of the axis; a multiple of `factor`.
    factor
        Downsampling factor.
    boundary
        "symmetric" mirrors about the edge of the last pixel, "circular" continues periodically.

    References
    ----------
    .. [1] Keys, Cubic convolution interpolation for digital image processing, IEEE Trans. Acoust. Speech Signal
       Process. 29 (1981) 1153-1160, 10.1109/TASSP.1981.1163711.
    """
    if factor < 1 or n % factor:
        raise ShapeError(f"the factor must divide the length, got factor {factor} and length {n}; crop first")
    centre = (factor - 1) / 2
    offsets = np.arange(ceil(centre - 2 * factor), floor(centre + 2 * factor) + 1)
    weights = _keys_cubic(torch.from_numpy(offsets - centre) / factor)
    weights = weights / weights.sum()
    starts = np.arange(0, n, factor)
    columns = starts[:, None] + offsets[None, :]
    margin = 2 * factor
    sources = np.pad(np.arange(n), margin, mode="wrap" if boundary == "circular" else "symmetric")[columns + margin]
    matrix = torch.zeros(n // factor, n, dtype=torch.float64)
    rows = np.broadcast_to(np.arange(n // factor)[:, None], columns.shape)
    index = (torch.from_numpy(rows.ravel().copy()), torch.from_numpy(sources.ravel()))
    return matrix.index_put(index, weights.repeat(n // factor), accumulate=True)


def convolution_matrix(weights: Tensor, n: int) -> Tensor:
    """Convolution of an axis of length `n` with `weights`, mirrored about the edge of the last pixel; shape (n, n)."""
    size = weights.shape[0]
    before, after = size - 1 - size // 2, size // 2
    sources = torch.from_numpy(np.pad(np.arange(n), (before, after), mode="symmetric"))
    taps = torch.arange(n)[:, None] + torch.arange(size)[None, :]
    rows = torch.arange(n)[:, None].expand(n, size)
    matrix = torch.zeros(n, n, dtype=weights.dtype, device=weights.device)
    return matrix.index_put((rows, sources[taps]), weights.flip(0).expand(n, size), accumulate=True)


def _keys_cubic(t: Tensor) -> Tensor:
    t = t.abs()
    near = 1.5 * t**3 - 2.5 * t**2 + 1
    far = -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
    return torch.where(t <= 1, near, torch.where(t < 2, far, 0.0))


def _check_size(size: int) -> int:
    if size < 1:
        raise ConfigError(f"the size of a kernel must be positive, got {size}")
    return size
