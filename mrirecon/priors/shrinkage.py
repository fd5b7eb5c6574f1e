"""Projection onto discs and soft thresholding of moduli, the two halves of every l1 proximal map.

Both work on `planes` (`mrirecon.linalg.channels.to_planes`): real components first, axis 0 of length 1 (real) or
2 (complex).
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor


def clip_modulus(
    planes: Tensor, radius: Tensor | float, *, joint: int | None = None, overwrite: bool = False
) -> Tensor:
    """Projection onto the disc of `radius`: ``z * min(1, radius / |z|)``.

    Parameters
    ----------
    planes
        Real components, shape (1 or 2, *shape).
    radius
        Non-negative number or tensor broadcastable to *shape.
    joint
        Negative axis whose entries form one vector with a common modulus; None for one modulus per entry.
    overwrite
        Allow the result to take the memory of `planes`; has no effect where a derivative is asked for.

    Returns
    -------
        Shape of `planes`.

    Notes
    -----
    Written with one reciprocal square root and no division; finite, with finite derivatives, at zero.
    """
    reuse = overwrite and not (torch.is_grad_enabled() and planes.requires_grad)
    if planes.shape[0] == 1 and joint is None:
        bound = cast(float, radius)  # a tensor does as well; torch's stubs do not know the union
        return planes.clamp_(-bound, bound) if reuse else planes.clamp(-bound, bound)
    ratio = _ratio(planes, radius, joint)
    return planes.mul_(ratio) if reuse else planes * ratio


def soft_threshold(planes: Tensor, threshold: Tensor | float, *, overwrite: bool = False) -> Tensor:
    """``z * max(1 - threshold / |z|, 0)`` for the complex (or real) numbers whose components are `planes`.

    Parameters
    ----------
    planes
        Real components, shape (1 or 2, *shape).
    threshold
        Non-negative number or tensor broadcastable to *shape.
    overwrite
        Allow the result to take the memory of `planes`; has no effect where a derivative is asked for.
    """
    reuse = overwrite and not (torch.is_grad_enabled() and planes.requires_grad)
    if planes.shape[0] == 1:
        clipped = clip_modulus(planes, threshold)
        return planes.sub_(clipped) if reuse else planes - clipped
    kept = 1.0 - _ratio(planes, threshold, None)
    return planes.mul_(kept) if reuse else planes * kept


def modulus(planes: Tensor, *, joint: int | None = None) -> Tensor:
    """|z| per entry, or the Euclidean norm over the axis `joint` (kept with length 1).

    Zero comes out as the square root of the smallest normal number, so that its derivative is 0 and not NaN.
    """
    if planes.shape[0] == 1 and joint is None:
        return planes[0].abs()
    return _squared(planes, joint).clamp_(min=torch.finfo(planes.dtype).tiny).sqrt()


def _ratio(planes: Tensor, radius: Tensor | float, joint: int | None) -> Tensor:
    """min(1, radius / |z|)."""
    tiny = torch.finfo(planes.dtype).tiny
    floor = radius.square().clamp_min(tiny) if isinstance(radius, Tensor) else max(radius * radius, tiny)
    return _squared(planes, joint).clamp_(min=floor).rsqrt() * radius


def _squared(planes: Tensor, joint: int | None) -> Tensor:
    """Sum of squares over planes and over `joint`, by fused multiply-adds on contiguous slices."""
    parts = list(planes.unbind(0))
    if joint is not None:
        parts = [part.narrow(joint, i, 1) for part in parts for i in range(part.shape[joint])]
    total = parts[0] * parts[0]
    for part in parts[1:]:
        total.addcmul_(part, part)
    return total
