"""The one grid that DICOM, NIfTI and the contact sheet are all written from.

Writers need axes that are orthogonal to the last printed digit (a NIfTI affine non-orthogonal by 1e-4 is refused by
ITK), and DICOM needs the slices in the order in which they step along row x column.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mrirecon.errors import GeometryError
from mrirecon.scan.geometry import Geometry, Vector

_LETTERS = (("L", "R"), ("P", "A"), ("H", "F"))
_MINOR_AXIS = np.sin(np.radians(17.0))


def export_affine(geometry: Geometry, shape: tuple[int, int, int]) -> NDArray[np.float64]:
    """The index-to-LPS matrix with exactly orthogonal axes (columns z, y, x, position), about the same centre voxel.

    The rotation is the nearest orthogonal matrix to the direction cosines (singular value decomposition); a
    left-handed grid stays left-handed.

    Parameters
    ----------
    geometry
        Grid of the array.
    shape
        Its size z, y, x.

    Raises
    ------
    GeometryError
        If making the axes orthogonal moves a corner of the volume by more than a quarter of the smallest voxel side.
    """
    steps = np.array(geometry.voxel_size_mm)
    cosines = geometry.affine[:3, :3] / steps
    left, _, right = np.linalg.svd(cosines)
    centre = np.array([n // 2 for n in shape])
    affine = np.eye(4)
    affine[:3, :3] = (left @ right) * steps
    affine[:3, 3] = geometry.position(centre.tolist()) - affine[:3, :3] @ centre
    corners = np.array([[k, j, i, 1] for k in (0, shape[0] - 1) for j in (0, shape[1] - 1) for i in (0, shape[2] - 1)])
    moved = float(np.linalg.norm(((affine - geometry.affine) @ corners.T)[:3], axis=0).max())
    if moved > 0.25 * steps.min():
        raise GeometryError(
            f"the image axes are not orthogonal: a rectangular grid moves a corner by {moved:.2f} mm, allowed is "
            f"{0.25 * steps.min():.2f} mm (a quarter of a voxel); correct the directions in the source"
        )
    return affine


def slice_order(geometry: Geometry, n_slices: int) -> range:
    """Array slices in the order of growing position along row x column, DICOM's slice normal."""
    if geometry.affine[:3, 0] @ geometry.normal < 0:
        return range(n_slices - 1, -1, -1)
    return range(n_slices)


def edge_letters(direction: Vector) -> tuple[str, str]:
    """Patient directions at the end and at the start of an image axis: L/R, P/A, H/F, largest component first.

    A second or third letter is given when that component exceeds 17 degrees, as scanners label oblique planes.

    Examples
    --------
    >>> import numpy as np
    >>> edge_letters(np.array([1.0, 0.0, 0.0]))
    ('L', 'R')
    >>> edge_letters(np.array([-0.8, 0.6, 0.0]))
    ('RP', 'LA')
    """
    end = start = ""
    for axis in np.argsort(-np.abs(direction), kind="stable"):
        if not end or abs(direction[axis]) > _MINOR_AXIS:
            positive, negative = _LETTERS[int(axis)]
            end += positive if direction[axis] > 0 else negative
            start += negative if direction[axis] > 0 else positive
    return end, start
