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
