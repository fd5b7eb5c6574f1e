"""Where voxels are: one index-to-LPS matrix, from the reader to every writer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mrirecon.errors import GeometryError

Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Geometry:
    """A regular grid of voxel centres in patient space (LPS, millimetres).

    ``affine @ (k, j, i, 1)`` is the centre of voxel ``image[k, j, i]``: columns are the steps along the tensor axes
    z, y, x, in that order, then the position of voxel (0, 0, 0).

    Parameters
    ----------
    affine
        4x4 matrix, last row (0, 0, 0, 1).
    slice_thickness_mm
        Excited thickness of a 2D slice or partition thickness of a 3D scan; differs from the slice step by the gap.
    nominal
        True when orientation and position are placeholders because the source does not carry them. Voxel sizes are
        real even then.
    frame_of_reference_uid
        The scanner's frame of reference when it is known *and* positions are real.

    Raises
    ------
    GeometryError
        If the matrix is not finite, singular, or its axes are not orthogonal to 1e-3.
    """

    affine: NDArray[np.float64]
    slice_thickness_mm: float
    nominal: bool = False
    frame_of_reference_uid: str | None = None

    def __post_init__(self) -> None:
        affine = np.array(self.affine, dtype=np.float64)
        if affine.shape != (4, 4) or not np.isfinite(affine).all():
            raise GeometryError(f"the index-to-LPS matrix must be a finite 4x4 matrix, got shape {affine.shape}")
        steps = np.linalg.norm(affine[:3, :3], axis=0)
        if (steps <= 0).any():
            raise GeometryError(f"voxel sizes must be positive, got {steps[::-1]} mm along x, y, z")
        cosines = affine[:3, :3] / steps
        off = np.abs(cosines.T @ cosines - np.eye(3)).max()
        if off > 1e-3:
            raise GeometryError(f"image axes must be orthogonal, largest cosine between two of them is {off:.4f}")
        if not self.slice_thickness_mm > 0:
            raise GeometryError(f"the slice thickness must be positive, got {self.slice_thickness_mm} mm")
        affine.setflags(write=False)
        object.__setattr__(self, "affine", affine)

    @classmethod
    def from_centre(
        cls,
        centre_mm: Sequence[float],
        row_direction: Sequence[float],
        column_direction: Sequence[float],
        slice_direction: Sequence[float],
        *,
        shape: tuple[int, int, int],
        voxel_size_mm: tuple[float, float, float],
        slice_thickness_mm: float,
        nominal: bool = False,
        frame_of_reference_uid: str | None = None,
    ) -> Geometry:
        """The grid whose voxel ``(nz // 2, ny // 2, nx // 2)`` lies at `centre_mm`.

        `row_direction` is the direction in which the column index x grows (MRD's read direction), `column_direction`
        that in which the row index y grows. `shape` and `voxel_size_mm` are ordered z, y, x.
        """
        steps = np.stack(
            [
                np.asarray(d, dtype=np.float64) * size
                for d, size in zip((slice_direction, column_direction, row_direction), voxel_size_mm, strict=True)
            ],
            axis=1,
        )
        affine = np.eye(4)
        affine[:3, :3] = steps
        affine[:3, 3] = np.asarray(centre_mm, dtype=np.float64) - steps @ np.array([n // 2 for n in shape])
        return cls(affine, slice_thickness_mm, nominal, frame_of_reference_uid)

    @classmethod
    def placeholder(
        cls, *, shape: tuple[int, int, int], voxel_size_mm: tuple[float, float, float], slice_thickness_mm: float
    ) -> Geometry:
        """An axial grid about the origin for sources without position or orientation, marked nominal."""
        return cls.from_centre(
            (0, 0, 0),
            (1, 0, 0),
            (0, 1, 0),
            (0, 0, 1),
            shape=shape,
            voxel_size_mm=voxel_size_mm,
            slice_thickness_mm=slice_thickness_mm,
            nominal=True,
        )

    @property
    def voxel_size_mm(self) -> tuple[float, float, float]:
        """Steps between voxel centres along z, y, x; along z this is the slice step, gap included."""
        z, y, x = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(z), float(y), float(x)

    @property
    def row_direction(self) -> Vector:
        """Unit vector along growing x."""
        return self.affine[:3, 2] / np.linalg.norm(self.affine[:3, 2])

    @property
    def column_direction(self) -> Vector:
        """Unit vector along growing y."""
        return self.affine[:3, 1] / np.linalg.norm(self.affine[:3, 1])

    @property
    def normal(self) -> Vector:
        """Unit vector row x column (DICOM's slice normal); slices may step along or against it."""
        return np.cross(self.row_direction, self.column_direction)

    def position(self, index: Sequence[float]) -> Vector:
        """LPS position in millimetres of the (fractional) voxel index (k, j, i)."""
        return self.affine[:3, :3] @ np.asarray(index, dtype=np.float64) + self.affine[:3, 3]

    def crop(self, start: tuple[int, int, int]) -> Geometry:
        """The grid after dropping `start` voxels (z, y, x) at the low end; negative values pad."""
        affine = self.affine.copy()
        affine[:3, 3] = self.position(start)
        return replace(self, affine=affine)

    def centred_crop(self, shape: tuple[int, int, int], new_shape: tuple[int, int, int]) -> Geometry:
        """Crop or pad every axis from `shape` to `new_shape` about index ``n // 2``; voxel size unchanged."""
        return self.crop(tuple(n // 2 - m // 2 for n, m in zip(shape, new_shape, strict=True)))  # type: ignore[arg-type]

    def resampled(self, shape: tuple[int, int, int], new_shape: tuple[int, int, int]) -> Geometry:
        """The same field of view on `new_shape` voxels, as zero-filling or cropping k-space does it.

        The centre voxel ``n // 2`` keeps its position, because the Fourier origin does.
        """
        centre = self.position([n // 2 for n in shape])
        affine = self.affine.copy()
        for axis, (n, m) in enumerate(zip(shape, new_shape, strict=True)):
            affine[:3, axis] *= n / m
        affine[:3, 3] = centre - affine[:3, :3] @ np.array([m // 2 for m in new_shape])
        return replace(self, affine=affine)

    def flipped(self, axis: int, length: int) -> Geometry:
        """The geometry of ``image.flip(axis)`` (0, 1, 2 = z, y, x), so that every voxel stays where it was."""
        affine = self.affine.copy()
        affine[:3, 3] += affine[:3, axis] * (length - 1)
        affine[:3, axis] *= -1
        return replace(self, affine=affine)
