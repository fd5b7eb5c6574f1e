"""What a DICOM file or a folder of them is, from headers alone: no pixel is decoded and no identifier is repeated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from mrirecon.errors import FormatError
from mrirecon.io.dicom.quiet import quiet_dicom

_IDENTIFYING = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "PatientAge",
    "PatientWeight",
    "PatientAddress",
    "OtherPatientIDs",
    "AccessionNumber",
    "StudyDate",
    "StudyTime",
    "InstitutionName",
    "InstitutionAddress",
    "ReferringPhysicianName",
    "PerformingPhysicianName",
    "OperatorsName",
    "StationName",
    "DeviceSerialNumber",
)
_AXES = (("R", "L"), ("A", "P"), ("F", "H"))


def dicom_summary(path: str | Path) -> dict[str, Any]:
    """Series, shapes, voxel size, orientation, and the names of identifying attributes that are filled.

    Parameters
    ----------
    path
        A file, or a folder that is searched with its subfolders.

    Raises
    ------
    FormatError
        If nothing in it can be read as DICOM.
    """
    with quiet_dicom():
        return _summary(Path(path))


def _summary(path: Path) -> dict[str, Any]:
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    headers, skipped = [], 0
    for file in files:
        try:
            headers.append(dcmread(file, stop_before_pixels=True))
        except (InvalidDicomError, OSError, EOFError, ValueError):
            skipped += 1
    if not headers:
        raise FormatError(path, "no file in it can be read as DICOM")
    groups: dict[str, list[Dataset]] = {}
    for header in headers:
        groups.setdefault(str(header.get("SeriesInstanceUID", "")), []).append(header)
    names = [n for n in _IDENTIFYING if any(str(h.get(n, "") or "").strip() for h in headers)]
    if any(element.tag.is_private for header in headers for element in header):
        names.append("private elements")
    notes = [f"{skipped} other files were passed over."] if skipped else []
    return {
        "files": len(headers),
        "series": [_series(group) for group in groups.values()],
        "identifiers_present": names,
        "notes": notes,
    }


def _series(headers: list[Dataset]) -> dict[str, Any]:
    first = headers[0]
    directions = _floats(first.get("ImageOrientationPatient"), 6)
    spacing = _floats(first.get("PixelSpacing"), 2)
    step = None
    if directions is not None:
        normal = np.cross(directions[:3], directions[3:])
        positions = [_floats(h.get("ImagePositionPatient"), 3) for h in headers]
        along = sorted(float(p @ normal) for p in positions if p is not None)
        if len(along) == len(headers) > 1:
            step = round(float(np.mean(np.diff(along))), 4)
    return {
        "modality": str(first.get("Modality", "")) or None,
        "images": sum(_count(h.get("NumberOfFrames")) or 1 for h in headers),
        "rows": _count(first.get("Rows")),
        "columns": _count(first.get("Columns")),
        "pixel_spacing_mm_yx": None if spacing is None else [round(float(v), 4) for v in spacing],
        "slice_step_mm": step,
        "slice_thickness_mm": _number(first.get("SliceThickness")),
        "towards_x_y": None if directions is None else [_towards(directions[:3]), _towards(directions[3:])],
    }


def _floats(value: Any, count: int) -> np.ndarray[Any, np.dtype[np.float64]] | None:
    try:
        array = np.array([float(v) for v in value], dtype=np.float64)
    except (TypeError, ValueError):
        return None
    return array if array.shape == (count,) else None


def _number(value: Any) -> float | None:
    try:
        return None if value in (None, "") else float(value)
    except (TypeError, ValueError):
        return None


def _count(value: Any) -> int | None:
    number = _number(value)
    return int(number) if number is not None and number > 0 else None


def _towards(direction: np.ndarray[Any, np.dtype[np.float64]]) -> str:
    axis = int(np.abs(direction).argmax())
    return _AXES[axis][int(direction[axis] > 0)]
