"""Where the voxels of an MRD scan are, from the positions and directions in its line headers.

`position` is the centre of the excited slice or slab in LPS millimetres from the isocentre, and belongs to voxel
``n // 2`` of the image; `read_dir` is the direction of growing x, `phase_dir` that of growing y. The table position is
not added: positions are relative to the isocentre.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrirecon.errors import GeometryError
from mrirecon.io.ismrmrd.index import Lines
from mrirecon.scan.encoding import Lengths, Triple
from mrirecon.scan.geometry import Geometry, Vector

_STEP_TOLERANCE_MM = 0.02
_TABLE_TOLERANCE_MM = 0.1
_DIRECTION_TOLERANCE = 1e-4
_NAMES = ("read_dir", "phase_dir", "slice_dir")


@dataclass(frozen=True)
class Placement:
    """The grid, the slice counters in the order of the grid's slices, and what has to be said about it."""

    geometry: Geometry
    slices: tuple[int, ...]
    notes: tuple[str, ...]


def place(
    lines: Lines,
    *,
    path: Path,
    is_3d: bool,
    matrix: Triple,
    voxel_size_mm: Lengths,
    frame_of_reference_uid: str | None,
) -> Placement:
    """The encoded grid of the imaging lines.

    Parameters
    ----------
    lines
        Imaging lines of one volume.
    is_3d
        One slab with encoded partitions, or slices.
    matrix, voxel_size_mm
        Encoded grid, z, y, x; for slices ``matrix[0]`` is 1 and the first voxel size is the slice thickness.

    Returns
    -------
        Slices are sorted by position along row x column, whatever the order of acquisition. Their step comes from the
        positions, the thickness from the header. A nominal grid when directions or positions are missing.

    Raises
    ------
    GeometryError
        If directions are not unit vectors or differ between slices, if slice steps are unequal or lead sideways, if a
        slice was acquired at different table positions.
    """
    counters, first = np.unique(lines["slice"], return_index=True)
    slices = tuple(int(c) for c in counters)
    shape = (matrix[0] if is_3d else len(slices), matrix[1], matrix[2])
    starts = lines[first]
    missing = _what_is_missing(starts)
    if missing:
        grid = Geometry.placeholder(shape=shape, voxel_size_mm=voxel_size_mm, slice_thickness_mm=voxel_size_mm[0])
        note = f"geometry is nominal: {missing}; orientation, position, slice gap and slice order are placeholders"
        return Placement(grid, slices, (note,))
    notes = _check_constancy(lines, starts, counters, path)
    row, column, through = (_direction(starts, name, path) for name in _NAMES)
    normal = np.cross(row, column)
    normal /= np.linalg.norm(normal)
    positions = starts["position"].astype(np.float64)
    if is_3d:
        if not through.any():
            through = normal
            notes = (*notes, "slice_dir is missing, the partitions are taken to follow read_dir x phase_dir")
        centre, step = positions[0], voxel_size_mm[0]
    else:
        order = np.argsort(positions @ normal, kind="stable")
        positions, slices = positions[order], tuple(slices[i] for i in order)
        step = _slice_step(positions, normal, path) if len(slices) > 1 else voxel_size_mm[0]
        through, centre = normal, positions[len(slices) // 2]
    grid = Geometry.from_centre(
        centre.tolist(),
        row.tolist(),
        column.tolist(),
        through.tolist(),
        shape=shape,
        voxel_size_mm=(step, voxel_size_mm[1], voxel_size_mm[2]),
        slice_thickness_mm=voxel_size_mm[0],
        frame_of_reference_uid=frame_of_reference_uid,
    )
    return Placement(grid, slices, notes)


def _what_is_missing(starts: Lines) -> str | None:
    if not (starts["read_dir"].any(axis=1) & starts["phase_dir"].any(axis=1)).all():
        return "the file carries no read and phase directions"
    if len(starts) > 1 and not np.ptp(starts["position"], axis=0).any():
        return "all slices carry the same position"
    return None


def _direction(starts: Lines, name: str, path: Path) -> Vector:
    """The common unit vector; zero if a slice direction is missing."""
    vectors = starts[name].astype(np.float64)
    if not np.isfinite(vectors).all():
        raise GeometryError(f"{path} [{name}]: directions must be finite; the headers are damaged")
    spread = float(np.abs(vectors - vectors[0]).max())
    if spread > _DIRECTION_TOLERANCE:
        raise GeometryError(
            f"{path} [{name}]: all slices must have the same orientation, but components differ by {spread:.4f}; "
            "a localiser in several planes is several scans: split the file by slice"
        )
    length = float(np.linalg.norm(vectors[0]))
    if length == 0 and name == "slice_dir":
        return np.zeros(3)
    if abs(length - 1) > 1e-2:
        raise GeometryError(f"{path} [{name}]: a direction must have length 1, got {length:.4f}; correct the headers")
    return np.asarray(vectors[0] / length)


def _check_constancy(lines: Lines, starts: Lines, counters: NDArray[np.int32], path: Path) -> tuple[str, ...]:
    """Refuse a moving table and damaged positions; note slices that move while they are acquired."""
    if not np.isfinite(lines["position"]).all():
        raise GeometryError(f"{path} [position]: positions must be finite; the headers are damaged")
    table = float(np.ptp(lines["patient_table_position"], axis=0).max())
    if not table <= _TABLE_TOLERANCE_MM:
        raise GeometryError(
            f"{path} [patient_table_position]: the table moved by {table:.1f} mm within the volume; positions are "
            "relative to the isocentre, so the stations must be read from one file each"
        )
    own = starts[np.searchsorted(counters, lines["slice"])]
    moved = float(np.abs(lines["position"] - own["position"]).max())
    turned = max(float(np.abs(lines[name] - own[name]).max()) for name in _NAMES)
    if moved > _STEP_TOLERANCE_MM or turned > _DIRECTION_TOLERANCE:
        return (
            f"slices move during the acquisition (by up to {moved:.2f} mm, cosines by {turned:.4f}): the position of "
            "the first line of each slice is used",
        )
    return ()


def _slice_step(positions: NDArray[np.float64], normal: Vector, path: Path) -> float:
    steps = np.diff(positions, axis=0)
    along = steps @ normal
    sideways = float(np.linalg.norm(steps - along[:, None] * normal, axis=1).max())
    uneven = float(np.ptp(along))
    if sideways > _STEP_TOLERANCE_MM:
        raise GeometryError(
            f"{path} [position]: slices must be stacked along their normal, but successive centres are shifted by up "
            f"to {sideways:.2f} mm in plane; split the file into parallel stacks"
        )
    if uneven > _STEP_TOLERANCE_MM or along.min() <= 0:
        shown = ", ".join(f"{s:.2f}" for s in along[:8])
        raise GeometryError(
            f"{path} [position]: slices must be equally spaced, steps along the normal are {shown} mm; slices are "
            "missing, repeated, or form several stacks: split the file"
        )
    return float(along.mean())
