"""The one place where complex images become real channels, for networks."""

from __future__ import annotations

import torch
from torch import Tensor

from mrirecon.errors import ShapeError


def complex_to_channels(x: Tensor) -> Tensor:
    """(*batch, channel, y, x) complex -> (*batch, 2 channel, y, x) real: all real parts, then all imaginary parts."""
    return torch.cat([x.real, x.imag], dim=-3)


def channels_to_complex(x: Tensor) -> Tensor:
    """Inverse of `complex_to_channels`; `ShapeError` if the number of channels is odd."""
    if x.shape[-3] % 2:
        raise ShapeError(f"an even number of real channels is needed to form complex ones, got {x.shape[-3]}")
    real, imaginary = x.chunk(2, dim=-3)
    return torch.complex(real.contiguous(), imaginary.contiguous())


def to_planes(x: Tensor) -> Tensor:
    """Real components as a new leading axis: (*shape) -> (2, *shape) when complex, (1, *shape) when real.

    Kernels on separate contiguous planes run 3-10 times faster on a CPU than kernels on complex numbers.
    """
    if not x.is_complex():
        return x.unsqueeze(0)
    return torch.view_as_real(x.resolve_conj()).movedim(-1, 0).contiguous()


def from_planes(planes: Tensor) -> Tensor:
    """Inverse of `to_planes`; `ShapeError` unless there are one or two planes."""
    if planes.shape[0] == 1:
        return planes[0]
    if planes.shape[0] != 2:
        raise ShapeError(f"one real or two complex planes are needed, got {planes.shape[0]}")
    return torch.complex(planes[0].contiguous(), planes[1].contiguous())
