"""How much of k-space was acquired, and which of its sides are missing: partial Fourier and asymmetric echoes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mrirecon.errors import ShapeError

SMALLEST_ASYMMETRY = 1 / 32
"""Share of an axis by which the two sides must differ to count as partial Fourier."""


@dataclass(frozen=True)
class PartialFourier:
    """One asymmetrically acquired axis of k-space.

    Parameters
    ----------
    axis
        -1 (kx) or -2 (ky).
    length
        Samples on the axis; the origin is at ``length // 2``.
    start, stop
        The acquired interval ``start <= i < stop``, gaps of undersampling included.
    """

    axis: int
    length: int
    start: int
    stop: int

    @property
    def missing(self) -> str:
        """The side that was not acquired to its end: "low" or "high" indices."""
        return "low" if self._below < self._above else "high"

    @property
    def fraction(self) -> float:
        """Acquired interval over that which ends alike on both sides, without symmetric zero padding: 0.5 to 1."""
        padding = min(self.start, self.length - self.stop)
        return (self.stop - self.start) / (self.length - 2 * padding)

    @property
    def half_width(self) -> int:
        """Samples on either side of the origin that were both acquired: the symmetric centre has 2 of these, plus 1."""
        return min(self._below, self._above)

    @property
    def _below(self) -> int:
        return self.length // 2 - self.start

    @property
    def _above(self) -> int:
        return self.stop - 1 - self.length // 2


def acquired_fraction(mask: Tensor) -> tuple[float, float]:
    """Share of ky and of kx that lies in the acquired interval, gaps of undersampling included.

    Parameters
    ----------
    mask
        Which samples were acquired, bool, shape (ky, kx), 1 along an axis where it is constant.

    Returns
    -------
        (ky, kx), each from 0 to 1; symmetric zero padding lowers it as partial Fourier does, `partial_fourier` tells
        them apart.

    Raises
    ------
    ShapeError
        If `mask` is not two-dimensional.
    """
    (y0, y1), (x0, x1) = (_interval(profile)[:2] for profile in _profiles(mask))
    return (y1 - y0) / mask.shape[0], (x1 - x0) / mask.shape[1]


def partial_fourier(mask: Tensor) -> tuple[PartialFourier, ...]:
    """The axes that were acquired asymmetrically, ky before kx; empty for symmetric sampling.

    An axis counts when the origin was acquired and the margins at its two ends differ by more than the spacing of
    undersampled lines and by more than 1/32 of its length. Irregularly undersampled axes never count: the ends of a
    random mask lie anywhere, so pass the mask of the acquisition rather than a random one drawn from it.

    Parameters
    ----------
    mask
        Which samples were acquired, bool, shape (ky, kx), 1 along an axis where it is constant.

    Raises
    ------
    ShapeError
        If `mask` is not two-dimensional.
    """
    found = []
    for axis, profile in zip((-2, -1), _profiles(mask), strict=True):
        n = profile.numel()
        start, stop, step = _interval(profile)
        asymmetry = abs(start - (n - stop))
        irregular = _is_irregular(profile)
        if start <= n // 2 < stop and asymmetry > max(step, SMALLEST_ASYMMETRY * n) and not irregular:
            found.append(PartialFourier(axis, n, start, stop))
    return tuple(found)


def _profiles(mask: Tensor) -> tuple[Tensor, Tensor]:
    if mask.ndim != 2 or 0 in mask.shape:
        raise ShapeError(f"`mask` must have shape (ky, kx), got {tuple(mask.shape)}; take one kz plane of a 3D mask")
    sampled = mask.to("cpu", torch.bool)
    return sampled.any(dim=1), sampled.any(dim=0)


def _interval(profile: Tensor) -> tuple[int, int, int]:
    """First acquired index, one past the last, widest step; margins narrower than the widest step count as acquired."""
    n = profile.numel()
    sampled = torch.nonzero(profile).flatten()
    if sampled.numel() == 0:
        return 0, 0, 1
    step = int(sampled.diff().max()) if sampled.numel() > 1 else 1
    first, last = int(sampled[0]), int(sampled[-1])
    return 0 if first < step else first, n if n - 1 - last < step else last + 1, step


def _is_irregular(profile: Tensor) -> bool:
    """Whether there are gaps of different widths, the two beside the centre block, which it shortens, aside."""
    sampled = torch.nonzero(profile).flatten()
    steps = sampled.diff()
    gaps = steps[steps > 1]
    return int((gaps != gaps.max()).sum()) > 2 if gaps.numel() else False
