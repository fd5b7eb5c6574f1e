"""Read a template series and check that it is one, and of the size of the image."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from mrirecon.errors import FormatError, GeometryError
from mrirecon.io.dicom.quiet import quiet_dicom, whole_number
from mrirecon.io.dicom.template import ACQUISITION, IDENTITY, Template
from mrirecon.scan.geometry import Geometry
from mrirecon.scan.series import ImageSeries

_STRUCTURE = (
    *("SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "SeriesNumber", "Modality"),
    *("Rows", "Columns", "NumberOfFrames", "PixelSpacing", "SliceThickness", "SpacingBetweenSlices"),
    *("ImagePositionPatient", "ImageOrientationPatient", "FrameOfReferenceUID", "BodyPartExamined", "Laterality"),
)
_UNEVEN = 0.01  # of the slice step: what scanners' rounding does, and no more


def read_template(folder: str | Path, series: ImageSeries) -> Template:
    """Read and check a template for `series`.

    Parameters
    ----------
    folder
        Folder with one classic MR series; other files are skipped.
    series
        What shall be written.

    Raises
    ------
    FormatError
        If the folder holds no MR images, several series, or unreadable headers.
    GeometryError
        If rows, columns, pixel spacing or slice count differ, or the template's slices are not equally spaced.
    """
    root = Path(folder)
    if not root.is_dir():
        raise FormatError(root, "expected a folder with the scanner's DICOM series")
    with quiet_dicom():
        found = list(_headers(root))
        found = _one_series(root, found)
        _same_matrix(root, found, series)
        return _ordered(root, found, series)


def _headers(root: Path) -> Iterable[tuple[Path, Dataset]]:
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        try:
            header = dcmread(path, stop_before_pixels=True, specific_tags=[*_STRUCTURE, *IDENTITY, *ACQUISITION])
            for _ in header:  # converts every value now, while remarks on it are silenced
                pass
        except InvalidDicomError:
            continue
        except (OSError, ValueError, AttributeError, EOFError) as error:
            raise FormatError(path, f"the template cannot be read: {error}") from error
        if "Rows" in header:
            yield path, header


def _one_series(root: Path, found: list[tuple[Path, Dataset]]) -> list[tuple[Path, Dataset]]:
    if not found:
        raise FormatError(root, "holds no DICOM images; give the folder of the scanner's series")
    identifiers = {str(header.get("SeriesInstanceUID")) for _, header in found}
    if len(identifiers) > 1:
        raise FormatError(root, f"holds {len(identifiers)} series, expected one; give a folder with the right one")
    needed = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID", "PixelSpacing")
    for path, header in found:
        if header.get("Modality") != "MR" or int(header.get("NumberOfFrames") or 1) > 1:
            raise FormatError(path, "the template must be classic MR images, one file per slice", key="Modality")
        for keyword in (*needed, "ImagePositionPatient", "ImageOrientationPatient"):
            if not header.get(keyword):
                raise FormatError(path, "the template lacks this attribute", key=keyword)
    return found


def _same_matrix(root: Path, found: list[tuple[Path, Dataset]], series: ImageSeries) -> None:
    n_slices, rows, columns = series.image.shape
    _, dy, dx = series.geometry.voxel_size_mm
    wanted: dict[str, Any] = {"slices": n_slices, "rows": rows, "columns": columns}
    for path, header in found:
        size = {key: whole_number(path, header, key.capitalize()) for key in ("rows", "columns")}
        got = {"slices": len(found), **size}
        if got != wanted:
            raise GeometryError(
                f"template {root.name}: expected {wanted} as in the image, got {got}; give its own series"
            )
        spacing = np.array(header.PixelSpacing, dtype=float)
        if np.abs(spacing / (dy, dx) - 1).max() > 2e-3:
            raise GeometryError(
                f"template {root.name}: expected pixel spacing (rows, columns) {dy:.4f}, {dx:.4f} mm as in the image, "
                f"got {spacing[0]:.4f}, {spacing[1]:.4f} mm; give the series of this acquisition"
            )


def _ordered(root: Path, found: list[tuple[Path, Dataset]], series: ImageSeries) -> Template:
    directions = np.array([header.ImageOrientationPatient for _, header in found], dtype=float)
    if np.ptp(directions, axis=0).max() > 1e-4:
        raise GeometryError(f"template {root.name}: slices have different orientations")
    row, column = directions[0].reshape(2, 3)
    normal = np.cross(row, column)
    positions = np.array([header.ImagePositionPatient for _, header in found], dtype=float)
    order = np.argsort(positions @ normal, kind="stable")
    positions = positions[order]
    head = found[order[0]][1]
    notes: tuple[str, ...] = ()
    thickness = float(head.get("SliceThickness") or series.geometry.slice_thickness_mm)
    if len(found) > 1:
        step = (positions[-1] - positions[0]) / (len(found) - 1)
        uneven = np.abs(np.diff(positions, axis=0) - step).max()
        if uneven > _UNEVEN * float(np.linalg.norm(step)) or not step @ normal > 0:
            raise GeometryError(f"template {root.name}: slices are not equally spaced, off by {uneven:.3f} mm")
    else:
        step = normal * float(head.get("SpacingBetweenSlices") or thickness)
    if not head.get("FrameOfReferenceUID"):
        notes = ("the template has no frame of reference; a new one was made",)
    affine = np.eye(4)
    dy, dx = (float(v) for v in head.PixelSpacing)
    affine[:3] = np.stack([step, column * dy, row * dx, positions[0]], axis=1)
    geometry = Geometry(affine, thickness, frame_of_reference_uid=head.get("FrameOfReferenceUID"))
    return Template(tuple(found[i][1] for i in order), tuple(found[i][0] for i in order), geometry, notes)
