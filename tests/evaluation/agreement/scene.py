"""An object given by a formula, so that it can be seen from anywhere: nothing is resampled to make a test."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mrirecon.evaluation.agreement.pictures import Placed
from mrirecon.scan import Geometry
from tests.io.phantom_series import rotation

CENTRE = np.array([11.3, -27.9, 41.7])
BLOBS = (  # place along z, y, x in mm about the centre, radius, brightness
    ((0.0, 0.0, 0.0), 17.0, 1.0),
    ((6.0, -12.0, 9.0), 5.0, 1.6),
    ((-9.0, 5.0, 13.0), 6.0, 0.9),
    ((4.0, 14.0, -6.0), 4.0, 1.3),
    ((-5.0, -7.0, -14.0), 5.0, -0.6),
    ((10.0, 7.0, 3.0), 4.0, 1.1),
)
OTHER = (
    ((2.0, 9.0, 9.0), 8.0, 1.0),
    ((-2.0, -10.0, 10.0), 7.0, 1.2),
    ((0.0, 8.0, -12.0), 7.0, 0.8),
    ((-3.0, -12.0, -9.0), 8.0, 1.1),
)


def grid(
    shape: tuple[int, int, int] = (12, 60, 48),
    voxel: tuple[float, float, float] = (3.5, 1.2, 1.4),
    *,
    axial: bool = False,
) -> Geometry:
    axes = np.eye(3)[:, ::-1] if axial else rotation()
    return Geometry.from_centre(
        tuple(CENTRE), *(axes[:, i] for i in (2, 1, 0)), shape=shape, voxel_size_mm=voxel, slice_thickness_mm=voxel[0]
    )  # fmt: skip


def seen(
    geometry: Geometry,
    shape: tuple[int, int, int] = (12, 60, 48),
    *,
    turn: NDArray[np.float64] | None = None,
    away_mm: tuple[float, float, float] = (0.0, 0.0, 0.0),
    blobs: tuple[tuple[tuple[float, float, float], float, float], ...] = BLOBS,
    noise: float = 0.02,
    seed: int = 0,
) -> Placed:
    """The object on a grid; `turn` acts on (z, y, x) about the middle of the grid, `away_mm` moves it along them."""
    axes = geometry.affine[:3, :3] / np.array(geometry.voxel_size_mm)
    index = np.stack([*np.indices(shape)]).reshape(3, -1)
    place = geometry.affine[:3, :3] @ index + geometry.affine[:3, 3:]
    middle = geometry.position([(n - 1) / 2 for n in shape])
    local = axes.T @ (place - middle[:, None]) - np.array(away_mm)[:, None]
    local = local if turn is None else turn @ local
    values = np.zeros(local.shape[1])
    offset = axes.T @ (middle - CENTRE)
    for where, radius, brightness in blobs:
        distance = np.linalg.norm(local + offset[:, None] - np.array(where)[:, None], axis=0)
        values += brightness / (1 + np.exp((distance - radius) / 1.2))
    rng = np.random.default_rng(seed)
    drawn = noise * rng.standard_normal((2, values.size))
    volume = np.hypot(np.maximum(values, 0) + drawn[0], drawn[1]).reshape(shape).astype(np.float32)
    return Placed(volume, geometry)
