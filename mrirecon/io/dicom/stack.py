"""One series of classic DICOM images as it lies in the patient, gaps and all, to be compared with another one.

Unlike `read_template` it takes uneven and incomplete stacks, because saying where a slice is missing is what it is for.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    *("StudyInstanceUID", "SeriesInstanceUID", "SeriesDescription", "ImageComments", "NumberOfFrames"),
    *("SamplesPerPixel", "Rows", "Columns", "PixelSpacing", "SliceThickness", "SpacingBetweenSlices"),
    *("ImagePositionPatient", "ImageOrientationPatient", "FrameOfReferenceUID", "InstanceNumber"),
    *("PatientIdentityRemoved",),
)
_NEEDED = (("PixelSpacing", 2), ("ImagePositionPatient", 3), ("ImageOrientationPatient", 6))
_SAME_PLACE_MM = 1e-3
_MOST_SLOTS = 8  # times the number of slices: more is no stack with gaps but several stacks


@dataclass(frozen=True, eq=False)
class DicomStack:
    """Parallel slices of one series on the regular grid that fits them best.

    Parameters
    ----------
    files
        In the order of growing position along row x column.
    slots
        Where each of them lies on the grid, an index along z; what is left out is missing.
    geometry
        The grid in LPS; its step along z is the most frequent distance of slices.
    shape
        (z, y, x) of the grid, missing slices included.
    uneven_mm
        Largest distance of a slice from its place on the grid, along the normal.
    study_uid, series_uid, frame_of_reference_uid
        As in the files, None where absent.
    identity_removed
        Whether the files say that identifiers were removed, so that theirs are not the scanner's.
    numbered
        Whether instance numbers grow or fall along the normal, or neither ("mixed").
    """

    files: tuple[Path, ...]
    slots: tuple[int, ...]
    geometry: Geometry
    shape: tuple[int, int, int]
    uneven_mm: float
    study_uid: str | None
    series_uid: str | None
    frame_of_reference_uid: str | None
    identity_removed: bool
    numbered: str

    @property
    def missing(self) -> tuple[int, ...]:
        """Places of the grid without a slice."""
        return tuple(sorted(set(range(self.shape[0])) - set(self.slots)))

    def read(self) -> NDArray[np.float32]:
        """Pixels (z, y, x) on the grid, rescale applied, zero where a slice is missing.

        Raises
        ------
        FormatError
            If a file's pixels cannot be decoded.
        """
        volume = np.zeros(self.shape, np.float32)
        with quiet_dicom():
            for slot, path in zip(self.slots, self.files, strict=True):
                volume[slot] = pixel_values(path, dcmread(path))
        return volume


def read_dicom_stack(folder: str | Path) -> DicomStack:
    """Read the headers of the one series in `folder`; pixels are read later.

    Parameters
    ----------
    folder
        Searched with its subfolders; files that are no DICOM images are passed over.

    Raises
    ------
    FormatError
        If it holds no images or several series, images that are not single grey frames with a place, or several
        images at one place.
    """
    root = Path(folder)
    if not root.is_dir():
        raise FormatError(root, "expected a folder with one DICOM series")
    with quiet_dicom():
        found = _images(root)
        _check(root, found)
        return _stack(root, found)


def _images(root: Path) -> list[tuple[Path, Dataset]]:
    found = []
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        try:
            header = dcmread(path, stop_before_pixels=True, specific_tags=list(_HEADER))
            for _ in header:  # converts every value now
                pass
        except (InvalidDicomError, EOFError):
            continue
        except (OSError, ValueError, AttributeError, NotImplementedError) as error:
            raise FormatError(path, f"cannot be read as DICOM ({type(error).__name__}); copy it again") from error
        if header.get("Rows"):
            found.append((path, header))
    if not found:
        raise FormatError(root, "holds no DICOM images; give the folder of one series")
    return found


def _check(root: Path, found: list[tuple[Path, Dataset]]) -> None:
    series: dict[str, int] = {}
    for _, header in found:
        uid = str(header.get("SeriesInstanceUID"))
        series[uid] = series.get(uid, 0) + 1
    if len(series) > 1:
        counts = ", ".join(str(n) for n in series.values())
        raise FormatError(
            root, f"holds {len(series)} series (of {counts} images), expected one; give the folder of the right one"
        )
    sizes = {(whole_number(p, h, "Rows"), whole_number(p, h, "Columns")) for p, h in found}
    if len(sizes) > 1:
        raise FormatError(root, f"holds images of several sizes {sorted(sizes)}; give one stack at a time")
    for path, header in found:
        frames, samples = (
            whole_number(path, header, k) if header.get(k) else 1 for k in ("NumberOfFrames", "SamplesPerPixel")
        )
        if max(frames, samples) > 1:
            raise FormatError(path, "must hold one grey frame; split enhanced or colour files first")
        for keyword, count in _NEEDED:
            _numbers(path, header, keyword, count)


def _stack(root: Path, found: list[tuple[Path, Dataset]]) -> DicomStack:
    first_path, first = found[0]
    directions = np.array([_numbers(p, h, "ImageOrientationPatient", 6) for p, h in found])
    if np.ptp(directions, axis=0).max() > 1e-3:
        raise FormatError(root, "its slices are not parallel; give one stack at a time", key="ImageOrientationPatient")
    row, column = directions[0].reshape(2, 3)
    normal = np.cross(row, column)
    positions = np.array([_numbers(p, h, "ImagePositionPatient", 3) for p, h in found])
    order = np.argsort(positions @ normal, kind="stable")
    positions = positions[order]
    along = positions @ normal
    steps = np.diff(along)
    if len(steps) and steps.min() < _SAME_PLACE_MM:
        raise FormatError(root, "holds several images at one place; give one contrast or repetition at a time")
    thickness = float(first.get("SliceThickness") or first.get("SpacingBetweenSlices") or 1.0)
    step, slots = _slots(root, along, thickness)
    dy, dx = _numbers(first_path, first, "PixelSpacing", 2)
    affine = np.eye(4)
    affine[:3] = np.stack([normal * step, column * dy, row * dx, _start(positions, slots, normal)], axis=1)
    frame = _uid(first, "FrameOfReferenceUID")
    try:
        geometry = Geometry(affine, thickness, nominal=says_nominal(first), frame_of_reference_uid=frame)
    except GeometryError as error:
        raise FormatError(root, f"its grid cannot be used: {error}") from error
    sideways = np.linalg.norm(positions - positions[0] - np.outer(along - along[0], normal), axis=1).max()
    if sideways > max(dy, dx):
        raise FormatError(root, f"its slices are displaced sideways by up to {sideways:.2f} mm; a tilted stack")
    grid = along[0] + (slots - slots[0]) * step
    return DicomStack(
        files=tuple(found[i][0] for i in order),
        slots=tuple(int(s) for s in slots),
        geometry=geometry,
        shape=(int(slots[-1]) + 1, int(first.Rows), int(first.Columns)),
        uneven_mm=float(np.abs(along - grid - np.mean(along - grid)).max()),
        study_uid=_uid(first, "StudyInstanceUID"),
        series_uid=_uid(first, "SeriesInstanceUID"),
        frame_of_reference_uid=frame,
        identity_removed=str(first.get("PatientIdentityRemoved") or "").upper() == "YES",
        numbered=_numbered([found[i][1].get("InstanceNumber") for i in order]),
    )


def _slots(root: Path, along: NDArray[np.float64], thickness: float) -> tuple[float, NDArray[np.int64]]:
    """The step that most neighbours have, refined over the whole stack, and the place of every slice on that grid."""
    if len(along) == 1:
        return thickness, np.zeros(1, np.int64)
    step = float(np.median(np.diff(along)))
    if len(along) > 3 and (along[-1] - along[0]) / step > _MOST_SLOTS * len(along):
        raise FormatError(root, "its slices are no single stack; give one stack at a time")
    slots = np.cumsum(np.concatenate([[0], np.maximum(np.rint(np.diff(along) / step), 1)])).astype(np.int64)
    return float((along[-1] - along[0]) / slots[-1]), slots


def _start(
    positions: NDArray[np.float64], slots: NDArray[np.int64], normal: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The first slice's position with the mean sideways place of all, so that rounding does not decide."""
    along = positions @ normal
    sideways = (positions - np.outer(along, normal)).mean(axis=0)
    return np.asarray(sideways + along[0] * normal)


def _numbered(numbers: list[Any]) -> str:
    try:
        steps = np.diff([int(n) for n in numbers])
    except (TypeError, ValueError):
        return "mixed"
    return "growing" if (steps > 0).all() else "falling" if (steps < 0).all() else "mixed"


def _uid(header: Dataset, keyword: str) -> str | None:
    return str(header.get(keyword) or "") or None


def _numbers(path: Path, header: Dataset, keyword: str, count: int) -> NDArray[np.float64]:
    values = finite_numbers(header, keyword, count)
    if values is None:
        raise FormatError(path, f"needs {count} numbers here; images without a place cannot be compared", key=keyword)
    return values
