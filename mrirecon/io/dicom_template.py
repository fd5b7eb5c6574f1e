"""The scanner's own series as a template: who was examined, when, and where the slices lie.

Copied are patient, study and acquisition attributes and the frame of reference. Never copied: private elements, icons,
rescale, window, pixel statistics, dates of the instance.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from mrirecon.errors import FormatError, GeometryError
from mrirecon.io.dicom_body_part import add_body_part
from mrirecon.io.dicom_elements import copy_element, derived_uid, item, put
from mrirecon.io.grid import slice_order
from mrirecon.scan.geometry import Geometry
from mrirecon.scan.series import ImageSeries

_IDENTITY = (
    *("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientBirthTime", "PatientSex"),
    *("PatientAge", "PatientSize", "PatientWeight", "PatientIdentityRemoved", "DeidentificationMethod"),
    *("DeidentificationMethodCodeSequence", "StudyInstanceUID", "StudyDate", "StudyTime", "AccessionNumber"),
    *("ReferringPhysicianName", "StudyID", "StudyDescription"),
)
_ACQUISITION = (
    *("Manufacturer", "ManufacturerModelName", "ScanningSequence", "SequenceVariant", "ScanOptions"),
    *("MRAcquisitionType", "RepetitionTime", "EchoTime", "EchoTrainLength", "InversionTime", "TriggerTime"),
    *("FlipAngle", "MagneticFieldStrength", "ImagingFrequency", "ImagedNucleus", "NumberOfAverages"),
    *("PixelBandwidth", "AcquisitionMatrix", "InPlanePhaseEncodingDirection", "ProtocolName", "SequenceName"),
    *("PatientPosition", "PositionReferenceIndicator"),
)
_EMPTY_ALLOWED = frozenset(
    {"PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "AccessionNumber"}
    | {"ReferringPhysicianName", "StudyID"}
)
_LEAST_CORRELATION = 0.5
_LEAST_MARGIN = 0.02


@dataclass(frozen=True, eq=False)
class Template:
    """A checked template series.

    Parameters
    ----------
    slices
        Headers in spatial order along row x column.
    files
        Their files, same order.
    geometry
        Their grid, slices in that order.
    notes
        What could not be taken over, one sentence each.
    """

    slices: tuple[Dataset, ...]
    files: tuple[Path, ...]
    geometry: Geometry
    notes: tuple[str, ...] = ()

    @property
    def frame_of_reference_uid(self) -> str:
        """The template's frame of reference, or a new one for the study when it has none."""
        known = self.slices[0].get("FrameOfReferenceUID")
        return str(known) if known else str(derived_uid("frame", str(self.slices[0].StudyInstanceUID)))

    @property
    def derived_series_number(self) -> int:
        """Source number x 100 + 1, or 901 when the source has none."""
        number = self.slices[0].get("SeriesNumber")
        return 901 if not number or not 0 < int(number) < 10_000_000 else int(number) * 100 + 1

    def place(self, series: ImageSeries) -> ImageSeries:
        """The series itself when its position is known and agrees; on the template's grid when it was nominal.

        Raises
        ------
        GeometryError
            If the grids disagree, or a nominal series does not show what the template shows in this orientation.
        """
        shape = series.image.shape
        order = list(slice_order(series.geometry, shape[0]))
        if not series.geometry.nominal:
            _compare_positions(series.geometry, self.geometry, order, shape)
            return series
        self._compare_pictures(series.image[order])
        geometry = self.geometry if order[0] == 0 else self.geometry.flipped(0, shape[0])
        return replace(series, geometry=geometry)

    def copy_into(self, dataset: Dataset) -> None:
        """Patient, study and acquisition attributes; an acquisition value that differs between slices stays out."""
        head = self.slices[0]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # every value is checked again when it is set
            if head.get("SpecificCharacterSet"):
                copy_element(dataset, head, "SpecificCharacterSet")
            for keyword in _EMPTY_ALLOWED:
                put(dataset, keyword, None)
            for keyword in _IDENTITY:
                if keyword in head and not copy_element(dataset, head, keyword):
                    raise FormatError(
                        self.files[0], "the template's value is not legal DICOM; correct it first", key=keyword
                    )
            for keyword in _ACQUISITION:
                if keyword in head and head[keyword].value not in (None, "") and self._constant(keyword):
                    copy_element(dataset, head, keyword)
        if head.get("BodyPartExamined"):
            for keyword in ("BodyPartExamined", "Laterality", "RecognizableVisualFeatures"):
                dataset.pop(keyword, None)
            add_body_part(dataset, str(head.BodyPartExamined), side=head.get("Laterality"))

    def refer(self, dataset: Dataset, number: int) -> None:
        """Point slice `number` at its counterpart: a related image, not the source of its pixels."""
        here = self.slices[number]
        related = {"ReferencedSOPClassUID": here.SOPClassUID, "ReferencedSOPInstanceUID": here.SOPInstanceUID}
        put(dataset, "ReferencedImageSequence", [item(**related)])
        put(
            dataset,
            "ReferencedSeriesSequence",
            [item(SeriesInstanceUID=here.SeriesInstanceUID, ReferencedInstanceSequence=[item(**related)])],
        )

    def _constant(self, keyword: str) -> bool:
        first = self.slices[0][keyword].value
        return all(keyword in s and s[keyword].value == first for s in self.slices)

    def _compare_pictures(self, image: NDArray[np.float32]) -> None:
        reference = np.stack([_pixels(path) for path in self.files])
        scores = {
            flips: _correlation(np.flip(image, flips), reference)
            for count in range(4)
            for flips in itertools.combinations(range(3), count)
        }
        identity = scores.pop(())
        if len(image) == 1:  # flipping one slice along z changes nothing
            scores = {flips: value for flips, value in scores.items() if 0 not in flips}
        best = max(scores, key=lambda flips: scores[flips])
        if identity < _LEAST_CORRELATION or identity < scores[best] + _LEAST_MARGIN:
            axes = ", ".join("zyx"[axis] for axis in best)
            raise GeometryError(
                "the position of the template is not taken over, because the pictures do not agree: correlation "
                f"{identity:.2f} as they are, {scores[best]:.2f} after reversing {axes}; expected at least "
                f"{_LEAST_CORRELATION} and {_LEAST_MARGIN} more than any reversal. Give the template of this very "
                "acquisition, turn the image in the reader, or export without a template"
            )


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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scanners write values that pydicom remarks on; what is used is checked
        found = list(_headers(root))
        found = _one_series(root, found)
        _same_matrix(root, found, series)
        return _ordered(root, found, series)


def _headers(root: Path) -> Iterable[tuple[Path, Dataset]]:
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        try:
            header = dcmread(path, stop_before_pixels=True)
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
    for _, header in found:
        got = {"slices": len(found), "rows": int(header.Rows), "columns": int(header.Columns)}
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
        if uneven > 0.01 or not step @ normal > 0:
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


def _compare_positions(ours: Geometry, theirs: Geometry, order: list[int], shape: tuple[int, ...]) -> None:
    ends = [(0, order[0]), (shape[0] - 1, order[-1])]
    moved = max(
        float(np.linalg.norm(ours.position((k, j, i)) - theirs.position((number, j, i))))
        for number, k in ends
        for j in (0, shape[1] - 1)
        for i in (0, shape[2] - 1)
    )
    allowed = 0.5 * min(ours.voxel_size_mm[1:])
    if moved > allowed:
        raise GeometryError(
            f"the template lies elsewhere: corners are {moved:.2f} mm from those of the image, allowed is "
            f"{allowed:.2f} mm (half a pixel); give the series of this acquisition"
        )


def _pixels(path: Path) -> NDArray[np.float64]:
    try:
        return np.asarray(dcmread(path).pixel_array, dtype=np.float64)
    except (OSError, ValueError, AttributeError, RuntimeError, NotImplementedError) as error:
        raise FormatError(
            path, f"the template's pixels are needed to confirm the orientation but cannot be read: {error}"
        ) from error


def _correlation(a: NDArray[Any], b: NDArray[Any]) -> float:
    x = a.astype(np.float64) - a.mean(dtype=np.float64)
    y = b - b.mean()
    norm = np.linalg.norm(x) * np.linalg.norm(y)
    return float((x * y).sum() / norm) if norm > 0 else 0.0
