"""Siemens slice orientation and position: from protocol fields and line headers to patient space (LPS).

Siemens' patient coordinates are sagittal (towards the patient's left), coronal (towards posterior) and transversal
(towards the head, head-first supine): the same axes as DICOM's LPS. A slice has three orthonormal directions, in this
order: phase, read, slice, with phase x read = slice.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mrirecon.errors import GeometryError

Vector = NDArray[np.float64]
_TIE = 1e-6


def rotation_from_quaternion(quaternion: Sequence[float] | NDArray[np.floating]) -> Vector:
    """3x3 matrix with the columns phase, read, slice from the (w, x, y, z) quaternion of a line header.

    Raises
    ------
    GeometryError
        If the quaternion is not of unit length to 1e-3 (an empty one means that the header has no orientation).
    """
    q = np.asarray(quaternion, dtype=np.float64)
    norm = np.linalg.norm(q)
    if q.shape != (4,) or not abs(norm - 1) < 1e-3:
        raise GeometryError(f"a slice quaternion must have four components and unit length, got {q.tolist()}")
    w, x, y, z = q / norm
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def rotation_from_normal(normal: Sequence[float], in_plane_rotation_rad: float = 0.0) -> Vector:
    """3x3 matrix with the columns phase, read, slice from the protocol's slice normal and in-plane rotation.

    The phase direction lies in the slice; for a mainly transversal slice it has no left-right part (it points to
    posterior), for a mainly coronal or sagittal one no head-foot part (it points to the left, or to posterior). It is
    then turned by the in-plane rotation.

    Parameters
    ----------
    normal
        Slice normal (sagittal, coronal, transversal).
    in_plane_rotation_rad
        `dInPlaneRot` of the protocol.

    Raises
    ------
    GeometryError
        If the normal is not of unit length to 1e-3.
    """
    n = np.asarray(normal, dtype=np.float64)
    if n.shape != (3,) or not abs(np.linalg.norm(n) - 1) < 1e-3:
        raise GeometryError(f"a slice normal must have three components and unit length, got {n.tolist()}")
    n = n / np.linalg.norm(n)
    plane = main_orientation(n)
    if plane == "transversal":
        phase = np.array([0.0, n[2], -n[1]])
    elif plane == "coronal":
        phase = np.array([n[1], -n[0], 0.0])
    else:
        phase = np.array([-n[1], n[0], 0.0])
    phase /= np.linalg.norm(phase)
    read = np.cross(n, phase)
    turned = np.cos(in_plane_rotation_rad) * phase - np.sin(in_plane_rotation_rad) * read
    return np.stack([turned, np.cross(n, turned), n], axis=1)


def main_orientation(normal: Sequence[float] | Vector) -> str:
    """ "transversal", "coronal" or "sagittal"; equal components are resolved in this order."""
    sagittal, coronal, transversal = np.abs(np.asarray(normal, dtype=np.float64))
    if transversal >= max(sagittal, coronal) - _TIE:
        return "transversal"
    return "coronal" if coronal >= sagittal - _TIE else "sagittal"


def spatial_order(positions: NDArray[np.floating], normal: Vector, *, thickness_mm: float) -> tuple[list[int], float]:
    """How to sort slices along `normal`, and the distance between neighbours.

    Parameters
    ----------
    positions
        Slice centres (slice, 3) in millimetres.
    normal
        Unit vector.
    thickness_mm
        The step reported for a single slice.

    Returns
    -------
        Slice numbers in spatial order, and the step in millimetres (centre to centre, gap included).

    Raises
    ------
    GeometryError
        If slices coincide, are unevenly spaced, or are shifted against each other within their plane by more than
        0.1 mm: such a stack is not one volume.
    """
    along = positions.astype(np.float64) @ normal
    order = [int(i) for i in np.argsort(along, kind="stable")]
    if len(order) == 1:
        return order, thickness_mm
    steps = np.diff(along[order])
    if steps.min() < 1e-3:
        raise GeometryError(f"{int((steps < 1e-3).sum()) + 1} slices lie at the same position along their normal")
    if np.ptp(steps) > 0.01 * steps.mean() + 1e-3:
        raise GeometryError(f"the slices are unevenly spaced: steps from {steps.min():.3f} to {steps.max():.3f} mm")
    inside = positions - np.outer(along, normal)
    drift = float(np.linalg.norm(inside - inside[0], axis=1).max())
    if drift > 0.1:
        raise GeometryError(f"the slices are shifted against each other by up to {drift:.2f} mm within their plane")
    return order, float(steps.mean())
