"""How far one volume lies beside another: phase correlation with a resolution below a voxel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mrirecon.errors import ShapeError

_PASS = 0.12  # cycles per voxel, one sigma: the peak is a Gaussian of 1.3 voxels, so that three points find its top
_WINDOWED = 8  # voxels an axis needs to be tapered


def phase_shift(moved: NDArray[np.float32], fixed: NDArray[np.float32]) -> NDArray[np.float64]:
    """By how many voxels (z, y, x) `moved` has to be displaced along growing indices to lie on `fixed`.

    The normalised cross-power spectrum of the tapered volumes, weighted with a Gaussian low-pass, has its peak at the
    shift; its logarithm is a parabola there, whose top three points per axis give.

    Parameters
    ----------
    moved, fixed
        Volumes of the same shape, arbitrary units. An axis with one voxel has shift 0.

    Returns
    -------
        Shift along z, y, x in voxels, at most half the axis; NaN where one of the volumes is constant.

    Raises
    ------
    ShapeError
        If the shapes differ.

    References
    ----------
    .. [1] Kuglin, Hines, The phase correlation image alignment method, Proc. IEEE Int. Conf. Cybernetics and Society
       (1975) 163-165.
    """
    if moved.shape != fixed.shape or moved.ndim != 3:
        raise ShapeError(f"two volumes (z, y, x) of one shape are needed, got {moved.shape} and {fixed.shape}")
    a, b = _tapered(fixed), _tapered(moved)
    if not a.any() or not b.any():
        return np.full(3, np.nan)
    cross = np.fft.fftn(a) * np.fft.fftn(b).conj()
    size = np.abs(cross)
    cross /= np.maximum(size, 1e-6 * size.max())
    for axis, n in enumerate(cross.shape):
        weights = np.exp(-0.5 * (np.fft.fftfreq(n) / _PASS) ** 2)
        cross *= weights.reshape([-1 if i == axis else 1 for i in range(3)])
    surface = np.fft.ifftn(cross).real
    peak = np.unravel_index(int(surface.argmax()), surface.shape)
    return np.array([_top(surface, peak, axis) for axis in range(3)])


def _tapered(volume: NDArray[np.float32]) -> NDArray[np.float64]:
    """The volume without its mean, faded out towards the faces so that opposite ones do not make an edge."""
    values: NDArray[np.float64] = volume.astype(np.float64) - volume.mean(dtype=np.float64)
    for axis, n in enumerate(volume.shape):
        if n >= _WINDOWED:
            distance = np.minimum(np.arange(n) + 0.5, n - 0.5 - np.arange(n)) / (0.25 * n)
            window = 0.5 - 0.5 * np.cos(np.pi * np.minimum(distance, 1.0))
            values *= window.reshape([-1 if i == axis else 1 for i in range(3)])
    return values


def _top(surface: NDArray[np.float64], peak: tuple[np.intp, ...], axis: int) -> float:
    n = surface.shape[axis]
    if n == 1:
        return 0.0
    at = [int(p) for p in peak]
    values = []
    for step in (-1, 0, 1):
        index = list(at)
        index[axis] = (at[axis] + step) % n
        values.append(surface[tuple(index)])
    whole = at[axis] if at[axis] <= n // 2 else at[axis] - n
    if min(values) <= 0:
        return float(whole)
    low, middle, high = np.log(values)
    curvature = low - 2 * middle + high
    return float(whole + (0.5 * (low - high) / curvature if curvature < 0 else 0.0))
