"""What the pictures of a report show and on which scales; all of it decided by rules that the report states.

The window, the zoom and the choice of scans come from the reference and from scores of all methods together, never from
one method, so that no picture is picked because it flatters somebody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mrirecon.evaluation.study.records import InputRecord
from mrirecon.io.grid import edge_letters

Plane = NDArray[np.float32]

OBJECT_LEVEL = 0.1
"""Share of the 99th percentile above which a voxel belongs to the object."""

WINDOW_TOP = 0.95
"""Quantile of the object that is shown white: scalp and vessels are far brighter than the organ."""

ERROR_STEPS = (0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0)
ERROR_QUANTILE = 0.95

ZOOM_SHARE = 0.28
"""Side of the zoom as a share of the shorter side of the image."""


@dataclass(frozen=True)
class Box:
    """Rows and columns of a zoom."""

    top: int
    bottom: int
    left: int
    right: int

    def of(self, plane: NDArray[np.floating]) -> NDArray[np.floating]:
        """That part of a plane (y, x)."""
        return plane[self.top : self.bottom, self.left : self.right]


@dataclass(frozen=True)
class Letters:
    """Patient directions at the edges of an image; question marks where the geometry is unknown."""

    left: str = "?"
    right: str = "?"
    top: str = "?"
    bottom: str = "?"

    @property
    def known(self) -> bool:
        """Whether the geometry says."""
        return self.left != "?"


def letters_of(record: InputRecord) -> Letters:
    """From the index-to-LPS matrix, whose columns are x, y, z, position."""
    if record.affine_lps is None:
        return Letters()
    affine = np.array(record.affine_lps)
    right, left = edge_letters(affine[:3, 0] / np.linalg.norm(affine[:3, 0]))
    bottom, top = edge_letters(affine[:3, 1] / np.linalg.norm(affine[:3, 1]))
    return Letters(left, right, top, bottom)


def pixel_aspect(record: InputRecord) -> float:
    """Height of a pixel over its width; 1 where it is unknown."""
    if record.voxel_size_mm is None:
        return 1.0
    _, height, width = record.voxel_size_mm
    return height / width


def object_of(plane: Plane) -> NDArray[np.bool_]:
    """Where there is something to look at; everywhere if the plane is empty."""
    level = OBJECT_LEVEL * float(np.quantile(plane, 0.99))
    found = plane > level
    return found if level > 0 and found.any() else np.ones_like(found)


def window_top(plane: Plane) -> float:
    """The value shown white: a quantile of the object, so that a few bright vessels do not darken the rest."""
    top = float(np.quantile(plane[object_of(plane)], WINDOW_TOP))
    return top if top > 0 else 1.0


def zoom_box(plane: Plane) -> Box:
    """The square with the most fine structure inside the object, away from its rim.

    Structure is the energy of the Laplacian of a Gaussian of one pixel, of the square root of the image so that bright
    fat does not outweigh everything, summed over the square; the rim, where air meets skin, does not count.
    """
    height, width = plane.shape
    side = max(1, min(height, width, round(ZOOM_SHARE * min(height, width))))
    rim = max(1, side // 3)
    filled = ndimage.binary_fill_holes(ndimage.binary_closing(object_of(plane), iterations=2))
    inside = ndimage.binary_erosion(filled, iterations=rim)
    detail = ndimage.gaussian_laplace(np.sqrt(np.maximum(plane, 0)).astype(np.float64), 1.0) ** 2
    if inside.any():
        detail = detail * inside
    sums = np.cumsum(np.cumsum(np.pad(detail, ((1, 0), (1, 0))), axis=0), axis=1)
    energy = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    top, left = (int(i) for i in np.unravel_index(int(energy.argmax()), energy.shape))
    return Box(top, top + side, left, left + side)


def error_top(errors: Sequence[NDArray[np.floating]], largest: float) -> float:
    """The error shown brightest, as a share of `largest`: a round step that most voxels stay below.

    Parameters
    ----------
    errors
        Absolute errors of everything that is shown together.
    largest
        Maximum of the reference volume.
    """
    if not errors or largest <= 0:
        return ERROR_STEPS[-1]
    wanted = float(np.quantile(np.concatenate([e.ravel() for e in errors]), ERROR_QUANTILE)) / largest
    return next((step for step in ERROR_STEPS if step >= wanted), ERROR_STEPS[-1])
