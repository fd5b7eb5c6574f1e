"""Classic DICOM images as volumes with their place in the patient: what a viewer needs, headers first, pixels later."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from mrirecon.errors import FormatError, GeometryError
from mrirecon.io.dicom.attributes import says_nominal
from mrirecon.io.dicom.images import pixel_values
from mrirecon.io.dicom.quiet import finite_numbers, quiet_dicom, whole_number
from mrirecon.scan.geometry import Geometry

_HEADER = (
    *("SeriesInstanceUID", "SeriesDescription", "SeriesNumber", "InstanceNumber", "ImageComments", "NumberOfFrames"),
    *("SamplesPerPixel", "Rows", "Columns", "PixelSpacing", "SliceThickness", "SpacingBetweenSlices"),
    *("ImagePositionPatient", "ImageOrientationPatient"),
)
_DRIFT = 0.5  # of a pixel, between the first and the last slice
_OFF_GRID = 0.1  # of the slice step, from equal steps: more than the rounding of any scanner, less than a missing slice


@dataclass(frozen=True, eq=False)
class DicomVolume:
    """Parallel slices of one series.

    Parameters
    ----------
    files
        One a slice, in the order of growing position along row x column.
    shape
        (z, y, x).
    geometry
        Grid in LPS; nominal where position or orientation are missing, or the series says that they are placeholders.
    description
        Of the series.
    spacing_known
        Whether the distance of pixels is in the files; it is 1 mm otherwise.
    """

    files: tuple[Path, ...]
    shape: tuple[int, int, int]
    geometry: Geometry
    description: str
    spacing_known: bool

    def read(self) -> NDArray[np.float32]:
        """The pixels (z, y, x), rescale slope and intercept applied; `FormatError` if one cannot be decoded."""
        with quiet_dicom():
            return np.stack([pixel_values(path, dcmread(path)) for path in self.files])


def dicom_volumes(files: Iterable[Path]) -> tuple[list[DicomVolume], list[str]]:
    """Group files by series, matrix and orientation; every group is a volume.

    Returns
    -------
        The volumes by series number, and one sentence about every group that is none. Files that are not DICOM, and
        DICOM objects without pixels, are passed over.
    """
    groups: dict[tuple[object, ...], list[tuple[Path, Dataset]]] = {}
    with quiet_dicom():
        for path in sorted(files):
            try:
                header = dcmread(path, stop_before_pixels=True, specific_tags=list(_HEADER))
            except (InvalidDicomError, OSError, EOFError, ValueError):
                continue
            if header.get("Rows"):
                groups.setdefault(_key(header), []).append((path, header))
        volumes, problems = [], []
        for _, group in sorted(groups.items(), key=lambda item: (item[1][0][1].get("SeriesNumber") or 0, str(item[0]))):
            try:
                volumes.append(_volume(group))
            except FormatError as error:
                problems.append(str(error).replace(str(error.path), error.path.name, 1))
    return volumes, problems


def _key(header: Dataset) -> tuple[object, ...]:
    directions = finite_numbers(header, "ImageOrientationPatient", 6)
    rounded = None if directions is None else tuple(np.round(directions, 3) + 0.0)
    rows, columns = (int(header.get(k) or 0) if str(header.get(k)).isdigit() else 0 for k in ("Rows", "Columns"))
    return str(header.get("SeriesInstanceUID", "")), rows, columns, rounded


def _volume(group: list[tuple[Path, Dataset]]) -> DicomVolume:
    path, first = group[0]
    for keyword in ("Rows", "Columns"):
        whole_number(path, first, keyword)
    if int(first.get("NumberOfFrames", 1) or 1) != 1 or int(first.get("SamplesPerPixel", 1) or 1) != 1:
        raise FormatError(path, "only single-frame grey images are shown; split enhanced or colour images first")
    placed = all(
        finite_numbers(h, name, n) is not None
        for _, h in group
        for name, n in (("ImagePositionPatient", 3), ("ImageOrientationPatient", 6))
    )
    spacing = finite_numbers(first, "PixelSpacing", 2)
    dy, dx = (1.0, 1.0) if spacing is None else (float(v) for v in spacing)
    shape = len(group), int(first.Rows), int(first.Columns)
    ordered, geometry = _placed(group, shape, dy, dx) if placed else _unplaced(group, shape, dy, dx)
    return DicomVolume(
        tuple(path for path, _ in ordered),
        shape,
        geometry,
        str(first.get("SeriesDescription", "") or ""),
        spacing is not None,
    )


def _placed(
    group: Sequence[tuple[Path, Dataset]], shape: tuple[int, int, int], dy: float, dx: float
) -> tuple[list[tuple[Path, Dataset]], Geometry]:
    path, first = group[0]
    directions = np.array(first.ImageOrientationPatient, dtype=float)
    normal = np.cross(directions[:3], directions[3:])
    positions = [np.array(h.ImagePositionPatient, dtype=float) for _, h in group]
    order = np.argsort([float(p @ normal) for p in positions], kind="stable")
    ordered = [group[i] for i in order]
    start, end = positions[order[0]], positions[order[-1]]
    thickness = float(first.get("SliceThickness") or first.get("SpacingBetweenSlices") or 1.0)
    step = normal * thickness
    if len(group) > 1:
        along = np.array([float(positions[i] @ normal) for i in order])
        steps = np.diff(along)
        off_grid = np.abs(along - np.linspace(along[0], along[-1], len(along))).max()
        if steps.min() <= 1e-4 or off_grid > _OFF_GRID * steps.mean():
            raise FormatError(
                path,
                f"its series has {len(group)} slices whose distances run from {steps.min():.3f} to {steps.max():.3f} "
                "mm, expected equal ones; give one contrast and one stack at a time",
            )
        step = (end - start) / (len(group) - 1)
        drift = np.linalg.norm((end - start) - ((end - start) @ normal) * normal)
        if drift < _DRIFT * min(dy, dx):  # rounded positions; a tilted stack is refused by the geometry
            step = normal * (step @ normal)
    affine = np.eye(4)
    affine[:3] = np.stack([step, directions[3:] * dy, directions[:3] * dx, start], axis=1)
    try:
        return ordered, Geometry(affine, thickness, nominal=says_nominal(first))
    except GeometryError as error:
        raise FormatError(path, f"its grid cannot be used: {error}") from error


def _unplaced(
    group: Sequence[tuple[Path, Dataset]], shape: tuple[int, int, int], dy: float, dx: float
) -> tuple[list[tuple[Path, Dataset]], Geometry]:
    ordered = sorted(group, key=lambda item: (int(item[1].get("InstanceNumber") or 0), item[0].name))
    thickness = float(group[0][1].get("SliceThickness") or 1.0)
    return ordered, Geometry.placeholder(shape=shape, voxel_size_mm=(thickness, dy, dx), slice_thickness_mm=thickness)
