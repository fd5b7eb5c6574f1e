"""Centred orthonormal discrete Fourier transforms.

Index ``n // 2`` is the origin on both sides. The forward transform (image to k-space) carries the negative exponent.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def fft(x: Tensor, axes: Sequence[int]) -> Tensor:
    """Image to k-space: centred, orthonormal, over `axes`."""
    axes = tuple(axes)
    y: Tensor = torch.fft.fftshift(torch.fft.fftn(torch.fft.ifftshift(x, dim=axes), dim=axes, norm="ortho"), dim=axes)
    return y


def ifft(y: Tensor, axes: Sequence[int]) -> Tensor:
    """K-space to image: centred, orthonormal, over `axes`; inverse and adjoint of `fft`."""
    axes = tuple(axes)
    x: Tensor = torch.fft.fftshift(torch.fft.ifftn(torch.fft.ifftshift(y, dim=axes), dim=axes, norm="ortho"), dim=axes)
    return x


def centre_slice(n: int, size: int) -> slice:
    """The `size` indices around ``n // 2`` that keep the origin at ``size // 2`` (size <= n)."""
    start = n // 2 - size // 2
    return slice(start, start + size)


def crop_or_pad(x: Tensor, axis: int, size: int) -> Tensor:
    """Crop or zero-pad `axis` to `size`, keeping the origin (index ``n // 2``) at ``size // 2``."""
    n = x.shape[axis]
    if size <= n:
        return x.narrow(axis % x.ndim, n // 2 - size // 2, size)
    shape = list(x.shape)
    shape[axis] = size
    out = x.new_zeros(shape)
    out.narrow(axis % x.ndim, size // 2 - n // 2, n).copy_(x)
    return out
