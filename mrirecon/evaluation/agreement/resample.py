"""A volume on another grid, by positions in the patient alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates

_ON_GRID = 0.01  # voxels: closer than this no interpolation is done
_BLUR = 0.42  # sigma in voxels of the coarser grid: half of them at the Nyquist frequency pass


def on_grid(
    volume: NDArray[np.float32],
    affine: NDArray[np.float64],
    *,
    target: NDArray[np.float64],
    shape: tuple[int, int, int],
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """`volume` with index-to-position matrix `affine` on the grid `target` of size `shape`.

    Where the grids coincide voxels are copied; elsewhere linear interpolation, after a Gaussian low-pass along the axes
    on which the new grid is coarser.

    Returns
    -------
        The volume on the new grid, zero outside of the old one, and where the old one has voxels (half a voxel around
        their centres).
    """
    index = np.linalg.inv(affine) @ target  # new index (k, j, i, 1) to old index
    step = np.abs(index[:3, :3]).max(axis=1)  # old voxels per new one, along the old axes
    coarser = [_BLUR * s if s > 1.2 else 0.0 for s in step]
    source = gaussian_filter(volume, coarser) if any(coarser) else volume
    whole = np.rint(index[:3])
    corner = np.array([n - 1 for n in shape])
    drift = np.abs(index[:3, :3] - whole[:, :3]) @ corner + np.abs(index[:3, 3] - whole[:, 3])
    order = 0 if drift.max() < _ON_GRID else 1
    found = np.empty(shape, np.float32)
    inside = np.empty(shape, bool)
    y, x = np.indices(shape[1:], dtype=np.float64)
    for z in range(shape[0]):  # plane by plane: the coordinates of a whole volume would take 24 bytes a voxel
        places = index[:3, :3] @ np.stack([np.full(y.size, float(z)), y.ravel(), x.ravel()]) + index[:3, 3:]
        if order == 0:
            places = np.rint(places)
        limits = np.array(volume.shape, dtype=np.float64)[:, None] - 0.5
        inside[z] = ((places >= -0.5) & (places < limits)).all(axis=0).reshape(shape[1:])
        plane = map_coordinates(source, places, order=order, mode="nearest", prefilter=False)
        found[z] = plane.reshape(shape[1:]) * inside[z]
    return found, inside
