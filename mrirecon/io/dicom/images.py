"""Read a series of single-frame DICOM images as a volume, for training, and where its voxels lie."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from mrirecon.errors import FormatError, GeometryError
from mrirecon.io.dicom.quiet import quiet_dicom
from mrirecon.scan.geometry import Geometry

_Volume: TypeAlias = tuple[NDArray[np.float32], tuple[float, float, float], Geometry]

_EVEN = 0.02
"""Deviation of a step between slices from their median up to which they make a grid."""

_NEEDED = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns")


def read_dicom_series(files: Sequence[Path]) -> list[tuple[NDArray[np.float32], tuple[float, float, float]]]:
    """The volumes in single-frame DICOM files, each float32 (z, y, x) with its voxel size in mm along (z, y, x).

    Files are grouped by series and matrix, and sorted along the slice normal; rescale slope and intercept are applied.
    Where the step between slices varies, the voxel size along z is its median.

    Raises
    ------
    FormatError
        If a file is not such an image or lacks its position.
    """
    return [(values, sizes) for values, sizes, _ in _volumes(files)]


def dicom_series_with_geometry(files: Sequence[Path]) -> list[tuple[NDArray[np.float32], Geometry]]:
    """The volumes of `read_dicom_series` with their grids; nominal where the step between slices varies."""
    return [(values, geometry) for values, _, geometry in _volumes(files)]


def _volumes(files: Sequence[Path]) -> list[_Volume]:
    groups: dict[tuple[str, int, int], list[tuple[Path, Dataset]]] = {}
    with quiet_dicom():
        for path in sorted(files):
            image = _image(path)
            key = (str(image.get("SeriesInstanceUID", "")), int(image.Rows), int(image.Columns))
            groups.setdefault(key, []).append((path, image))
        return [_volume(group) for _, group in sorted(groups.items())]


def _image(path: Path) -> Dataset:
    try:
        image = dcmread(path)
    except (InvalidDicomError, OSError) as error:
        raise FormatError(path, f"cannot be read as DICOM ({error})") from error
    for name in _NEEDED:
        if image.get(name) is None:
            raise FormatError(path, "is missing; only single-frame images with a position are read", key=name)
    if int(image.get("NumberOfFrames", 1) or 1) != 1 or int(image.get("SamplesPerPixel", 1)) != 1:
        raise FormatError(path, "must hold one grey frame; split enhanced files first", key="NumberOfFrames")
    return image


def _volume(group: list[tuple[Path, Dataset]]) -> _Volume:
    first = group[0][1]
    row, column = np.array(first.ImageOrientationPatient, dtype=float).reshape(2, 3)
    normal = np.cross(row, column)
    placed = []
    for path, image in group:
        if not np.allclose(
            np.array(image.ImageOrientationPatient, dtype=float), np.concatenate([row, column]), atol=1e-3
        ):
            raise FormatError(path, "is not parallel to the first slice of its series", key="ImageOrientationPatient")
        placed.append((float(np.array(image.ImagePositionPatient, dtype=float) @ normal), path, image))
    placed.sort(key=lambda item: item[0])
    slices = [pixel_values(path, image) for _, path, image in placed]
    dy, dx = (float(size) for size in first.PixelSpacing)
    steps = np.diff([position for position, _, _ in placed])
    dz = float(np.median(steps)) if len(steps) else float(first.get("SliceThickness") or 1.0)
    if not dz > 0:
        raise FormatError(placed[0][1], "two slices of one series lie at the same place; give one contrast at a time")
    values = np.stack(slices)
    even = len(steps) == 0 or bool(np.allclose(steps, dz, rtol=_EVEN, atol=0))
    return values, (dz, dy, dx), _grid(placed[0][2], values.shape, (dz, dy, dx), even=even)


def _grid(first: Dataset, shape: tuple[int, ...], sizes: tuple[float, float, float], *, even: bool) -> Geometry:
    """From the first slice along the normal; DICOM's row direction is that in which the column index grows."""
    row, column = np.array(first.ImageOrientationPatient, dtype=float).reshape(2, 3)
    affine = np.eye(4)
    affine[:3, :3] = np.stack([sizes[0] * np.cross(row, column), sizes[1] * column, sizes[2] * row], axis=1)
    affine[:3, 3] = np.array(first.ImagePositionPatient, dtype=float)
    thickness = float(first.get("SliceThickness") or sizes[0])
    try:
        return Geometry(affine, thickness, nominal=not even)
    except GeometryError:
        n_z, n_y, n_x = shape
        return Geometry.placeholder(shape=(n_z, n_y, n_x), voxel_size_mm=sizes, slice_thickness_mm=sizes[0])


def pixel_values(path: Path, image: Dataset) -> NDArray[np.float32]:
    """Pixels (y, x) with rescale slope and intercept applied; `FormatError` if they cannot be decoded."""
    try:
        values = image.pixel_array.astype(np.float32)
    except (AttributeError, NotImplementedError, RuntimeError, ValueError) as error:
        raise FormatError(path, f"its pixels cannot be decoded ({error}); decompress it first") from error
    slope, intercept = float(image.get("RescaleSlope", 1.0)), float(image.get("RescaleIntercept", 0.0))
    return np.asarray(values * np.float32(slope) + np.float32(intercept), dtype=np.float32)
