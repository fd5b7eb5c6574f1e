"""Which part of a k-space grid was sampled: the mask in its shortest form and the partial-Fourier fraction."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SYMMETRIC = 0.93  # random or regular undersampling leaves gaps at the edges; partial Fourier keeps at most 7/8


def shortest_mask(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """`mask` with length 1 along every axis on which it is constant."""
    for axis in range(mask.ndim):
        first = mask.take([0], axis)
        if (mask == first).all():
            mask = first
    return mask


def partial_fourier_fraction(sampled: NDArray[np.bool_]) -> float:
    """Partial-Fourier fraction of one axis: sampled extent over the extent it would have if it were symmetric.

    Gaps between samples do not count, nor does an equally missing margin on both sides. Fractions above 0.93 are
    taken for an effect of undersampling and returned as 1.

    Parameters
    ----------
    sampled
        Which indices were sampled, shape (n,), origin at ``n // 2``.

    Examples
    --------
    >>> partial_fourier_fraction(np.arange(256) >= 64)
    0.75
    """
    n = sampled.size
    where = np.flatnonzero(sampled)
    if n == 1 or where.size == 0:
        return 1.0
    below, above = n // 2 - int(where[0]), int(where[-1]) - n // 2 + 1
    fraction = (below + above) / min(n, 2 * max(below, above))
    return float(fraction) if 0 < fraction <= _SYMMETRIC else 1.0
