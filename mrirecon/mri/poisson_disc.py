"""Variable-density Poisson-disc sampling of a two-dimensional grid of phase encodings."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]

MAX_TRIALS = 16
"""Radii tried at most; two to five are enough except where the grid makes the count jump with the radius."""

BRACKET = 0.01
"""Relative width of the bracket about the radius below which the count is taken to jump."""

SURPLUS = 0.01
"""Relative surplus of points at which the search for the radius ends; the surplus is dropped at random."""


def poisson_disc(
    shape: tuple[int, int], centre: tuple[slice, slice], target: int, slope: float, rng: np.random.RandomState
) -> Bools:
    """A pattern of exactly `target` points: the fully sampled `centre`, and discs that exclude each other outside it.

    The grid points outside the centre are visited in a random order. A point is taken unless it lies within the radius
    ``r(p) = r0 (1 + slope rho(p))`` of a point taken before, where rho is the distance from the origin in units of the
    half axes of the grid, so density falls towards the edge roughly as 1 / r^2. The radius r0 is searched for, with
    the same visiting order, until slightly too many points result; the surplus is dropped at random, which keeps
    distances. Any two points p, q outside the centre are thus at least ``min(r(p), r(q))`` apart.

    Parameters
    ----------
    shape
        Grid (ny, nx).
    centre
        Rows and columns sampled completely.
    target
        Points wanted, centre included; between the size of the centre and that of the grid.
    slope
        Growth of the radius towards the edge, not negative; 0 is uniform density.
    rng
        Private generator; draws the visiting order, then the points to drop.

    Returns
    -------
        bool, shape `shape`, exactly `target` points True.

    References
    ----------
    .. [1] Cook, Stochastic sampling in computer graphics, ACM Trans. Graph. 5, 1986, doi:10.1145/7529.8927
       (dart throwing).
    .. [2] Lustig et al., L1 SPIR-iT: autocalibrating parallel imaging compressed sensing, ISMRM 2009, 379.
    """
    ny, nx = shape
    outside = np.ones(shape, dtype=np.bool_)
    outside[centre] = False
    wanted = target - int(ny * nx - outside.sum())
    order = rng.permutation(ny * nx)
    order = order[outside.ravel()[order]]
    growth = 1.0 + slope * _relative_radius(shape)
    low, high = math.log(0.5 / float(growth.max())), math.log(2.0 * max(shape))
    trial = math.log(math.sqrt(0.6 * float((outside / growth**2).sum()) / max(wanted, 1)))
    best = outside
    for _ in range(MAX_TRIALS):
        trial = trial if low < trial < high else 0.5 * (low + high)
        points = _throw(shape, order, (math.exp(trial) * growth) ** 2)
        count = int(points.sum())
        if count >= wanted:
            low = trial
            best = points if count < best.sum() else best
        else:
            high = trial
        if wanted <= count <= (1 + SURPLUS) * wanted or high - low < BRACKET:
            break
        trial += 0.5 * math.log(max(count, 1) / max((1 + 0.5 * SURPLUS) * wanted, 1))
    taken = np.flatnonzero(best)
    result = ~outside
    result.ravel()[taken[rng.permutation(len(taken))[:wanted]]] = True
    return result


def _relative_radius(shape: tuple[int, int]) -> NDArray[np.float64]:
    y, x = ((np.arange(n) - n // 2) / max(n / 2, 1.0) for n in shape)
    return np.sqrt(y[:, None] ** 2 + x[None, :] ** 2)


def _throw(shape: tuple[int, int], order: NDArray[np.int_], squared_radius: NDArray[np.float64]) -> Bools:
    """Visit the grid in `order`; take a point unless it lies strictly within the radius of one taken before."""
    ny, nx = shape
    # distances are square roots of integers: d < r means d^2 <= ceil(r^2) - 1, so few distinct discs occur
    reach = np.ceil(np.minimum(squared_radius, float(ny**2 + nx**2))).astype(np.int64) - 1
    reach = np.maximum(reach, 0)
    pad = math.isqrt(int(reach.max()))
    blocked = np.zeros((ny + 2 * pad, nx + 2 * pad), dtype=np.bool_)
    flat, width = blocked.reshape(-1), nx + 2 * pad
    discs = {int(value): _disc(int(value)) for value in np.unique(reach)}
    reaches = reach.reshape(-1).tolist()
    taken = np.zeros(ny * nx, dtype=np.bool_)
    for index in order.tolist():
        y, x = divmod(index, nx)
        if flat[(y + pad) * width + x + pad]:
            continue
        taken[index] = True
        half, disc = discs[reaches[index]]
        if half:
            blocked[y + pad - half : y + pad + half + 1, x + pad - half : x + pad + half + 1] |= disc
    return taken.reshape(shape)


def _disc(squared: int) -> tuple[int, Bools]:
    half = math.isqrt(squared)
    offset = np.arange(-half, half + 1)
    return half, offset[:, None] ** 2 + offset[None, :] ** 2 <= squared
