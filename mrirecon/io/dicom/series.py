"""Write an image series as classic MR Image DICOM: one file per slice, uncompressed, complete or not at all.

The object follows the IOD tables of PS3.3 (A.4) and is judged by validators in the tests. Geometry comes from the
series' index-to-LPS matrix and from nothing else; pixels are never flipped. Unknown geometry is written because the
standard demands it, and said everywhere it can be said.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

import mrirecon
from mrirecon.errors import ConfigError, OutputError
from mrirecon.io.atomic import atomic_folder
from mrirecon.io.dicom.attributes import (
    NOMINAL_SUFFIX,
    RESEARCH_PHRASE,
    add_acquisition,
    add_anonymous_patient,
    add_derivation,
    add_identified_patient,
    add_pixel_format,
    add_plane_size,
    identity_keywords,
    put_moment,
)
from mrirecon.io.dicom.elements import decimal, derived_uid, put, require_series_number, text
from mrirecon.io.dicom.template import Template
from mrirecon.io.dicom.template_reader import read_template
from mrirecon.io.grid import export_affine, slice_order
from mrirecon.io.intensity import Intensity, series_intensity
from mrirecon.scan.geometry import Geometry
from mrirecon.scan.series import ImageSeries

__all__ = ["RESEARCH_PHRASE", "DicomReport", "write_dicom"]

NOMINAL_WARNING = (
    "orientation and position are nominal (GEOM-NOMINAL): do not use for left/right, registration or planning"
)
_FIRST_SERIES_NUMBER = 901


@dataclass(frozen=True)
class DicomReport:
    """What was written.

    Parameters
    ----------
    paths
        Files in spatial order along row x column.
    factor
        Stored value = round(factor x image value).
    window
        Centre and width in stored values, the same in every file.
    n_clipped
        Voxels outside the storable range.
    study_uid, series_uid, frame_of_reference_uid
        Identifiers; the last two are new, the first is the template's when there is one.
    series_number
        As written.
    geometry
        The grid that was written: that of the series, or the template's where the series had a nominal one. Give
        it to the other writers too.
    warnings
        Sentences for the user: nominal geometry, clipping, what the template could not provide, identifiers kept.
    identifiers
        "state": whether identifiers were "removed" or "kept"; if kept, "source" and the names of "attributes".
    """

    paths: tuple[Path, ...]
    factor: float
    window: tuple[float, float]
    n_clipped: int
    study_uid: str
    series_uid: str
    frame_of_reference_uid: str
    series_number: int
    geometry: Geometry
    warnings: tuple[str, ...]
    identifiers: Mapping[str, Any] = field(default_factory=lambda: {"state": "removed"})


def write_dicom(
    series: ImageSeries,
    folder: str | Path,
    *,
    template: str | Path | None = None,
    series_number: int | None = None,
    factor: float | None = None,
    original: bool = False,
    clock: datetime | None = None,
    overwrite: bool = False,
) -> DicomReport:
    """Write `series` as classic MR Image files ``0001.dcm``, ``0002.dcm``, ... and say what was done.

    Identifiers are derived from the input's checksum, the parameters, the version, the grid and the stored pixels:
    writing the same twice gives the same objects, anything else new ones.

    Parameters
    ----------
    series
        Volume, grid and origin.
    folder
        New or empty folder; parents are made.
    template
        Folder with the scanner's DICOM series of the same examination. Patient, study and acquisition attributes are
        taken from it, and the position too when that of `series` is nominal and the pictures agree. Identifying
        attributes then stay in; without a template they are written only where `series.subject.identity` is set.
    series_number
        Default: template's number x 100 + 1, or 901; one more for a standard-deviation series.
    factor
        Stored value per unit of the image; default: what fills the range, see `series_intensity`.
    original
        Image type ORIGINAL instead of DERIVED, for a linear or iterative reconstruction from k-space.
    clock
        Time of writing, default now (local); fix it for files equal to the byte.
    overwrite
        Replace a folder that holds nothing but files written by this function.

    Returns
    -------
        Files, factor, window, identifiers, warnings.

    Raises
    ------
    OutputError
        If the folder exists or cannot be written, or a value has no legal DICOM form.
    GeometryError
        If the axes are not orthogonal enough, or the template shows another grid.
    FormatError
        If the template is no single readable MR series.
    ConfigError
        If `original` is asked for a learned reconstruction, or `series_number` or `factor` is not positive.

    Notes
    -----
    Converters told to ignore derived images (``dcm2niix -i y``) skip the default image type.
    """
    if original and series.derivation.kind == "learned":
        raise ConfigError("`original` is for linear or iterative reconstructions; a learned one is DERIVED")
    if series_number is not None:
        require_series_number(series_number)
    if factor is not None and not 0 < factor < float("inf"):
        raise ConfigError(f"`factor` must be positive and finite, got {factor}")
    if overwrite:
        _refuse_foreign_images(Path(folder))
    moment = clock if clock is not None else datetime.now()
    reference = None if template is None else read_template(template, series)
    if reference is not None:
        series = reference.place(series)
    intensity = series_intensity(series, factor=factor)
    warnings = _warnings(series, intensity, reference)
    dataset = series_attributes(series, intensity, moment=moment, original=original, warnings=warnings)
    identity = series.subject.identity
    if reference is not None:
        reference.copy_into(dataset)
    elif identity is not None:
        add_identified_patient(dataset, series, identity)
    else:
        add_anonymous_patient(dataset, series)
    number = series_number or _default_number(series, reference)
    put(dataset, "SeriesNumber", number)
    frame = _frame_of_reference(series, reference)
    put(dataset, "FrameOfReferenceUID", frame)
    theirs = reference is not None or (identity is not None and frame == identity.frame_of_reference_uid)
    source = "raw header" if reference is None else "template"
    identifiers = _identifiers(dataset, source=source, frame_kept=theirs)
    affine = export_affine(series.geometry, _shape(series))
    stored = intensity.store(series.image)
    uid = _series_uid(series, stored, affine, study=str(dataset.StudyInstanceUID), number=number)
    put(dataset, "SeriesInstanceUID", uid)
    with atomic_folder(folder, overwrite=overwrite, suffixes=(".dcm",)) as temporary:
        names = _write_slices(dataset, series, stored, affine, temporary, reference)
    return DicomReport(
        paths=tuple(Path(folder) / name for name in names),
        factor=intensity.factor,
        window=intensity.window,
        n_clipped=intensity.n_clipped,
        study_uid=str(dataset.StudyInstanceUID),
        series_uid=str(uid),
        frame_of_reference_uid=str(frame),
        series_number=number,
        geometry=series.geometry,
        warnings=(*warnings, *_identity_warning(identifiers)),
        identifiers=identifiers,
    )


def _identifiers(dataset: Dataset, *, source: str, frame_kept: bool) -> dict[str, Any]:
    """Whether the files say who was examined; names of attributes only."""
    if str(dataset.get("PatientIdentityRemoved") or "") == "YES":
        return {"state": "removed"}
    frame = ["FrameOfReferenceUID"] if frame_kept else []
    return {"state": "kept", "source": source, "attributes": [*identity_keywords(dataset), *frame]}


def _identity_warning(identifiers: Mapping[str, Any]) -> tuple[str, ...]:
    if identifiers["state"] == "removed":
        return ()
    names = ", ".join(identifiers["attributes"])
    return (
        f"identifiers of the {identifiers['source']} are kept in the DICOM files ({names}): for use inside the "
        "hospital, do not pass them on",
    )


def _refuse_foreign_images(folder: Path) -> None:
    """Overwriting must never delete a scanner's images, for instance when output and template are mixed up."""
    for path in sorted(folder.glob("*.dcm")) if folder.is_dir() else ():
        try:
            maker = read_file_meta_info(path).get("ImplementationClassUID")
        except (InvalidDicomError, OSError, ValueError, AttributeError, EOFError):
            maker = None
        if maker != _implementation():
            raise OutputError(f"{path.name} in {folder} was not written by mrirecon; it is not overwritten")


def _implementation() -> str:
    return str(derived_uid("implementation"))


def _shape(series: ImageSeries) -> tuple[int, int, int]:
    z, y, x = series.image.shape
    return z, y, x


def _warnings(series: ImageSeries, intensity: Intensity, reference: Template | None) -> tuple[str, ...]:
    found = list(series.warnings)
    if series.geometry.nominal:
        found.append(NOMINAL_WARNING)
    if intensity.n_clipped:
        found.append(f"{intensity.n_clipped} voxels were outside the storable range and were clipped")
    return (*found, *(() if reference is None else reference.notes))


def series_attributes(
    series: ImageSeries, intensity: Intensity, *, moment: datetime, original: bool, warnings: tuple[str, ...]
) -> Dataset:
    """What all slices have in common, without patient, study, identifiers and place."""
    dataset = Dataset()
    put(dataset, "SpecificCharacterSet", "ISO_IR 192")
    put(dataset, "SOPClassUID", MRImageStorage)
    put(dataset, "SeriesDescription", _series_description(series))
    put_moment(dataset, moment)
    put(dataset, "AcquisitionNumber", 1)
    put(dataset, "PositionReferenceIndicator", None)
    add_acquisition(dataset, series)
    add_derivation(dataset, series, original=original, moment=moment, warnings=warnings)
    add_pixel_format(dataset, series, intensity)
    add_plane_size(dataset, series)
    return dataset


def _series_description(series: ImageSeries) -> str:
    suffix = " STD" if series.quantity == "standard_deviation" else ""
    suffix += f" {NOMINAL_SUFFIX}" if series.geometry.nominal else ""
    return f"{text(series.description, 64 - len(suffix))}{suffix}".strip()


def _default_number(series: ImageSeries, reference: Template | None) -> int:
    first = _FIRST_SERIES_NUMBER if reference is None else reference.derived_series_number
    return first + (series.quantity == "standard_deviation")


def _frame_of_reference(series: ImageSeries, reference: Template | None) -> str:
    if reference is not None:
        return reference.frame_of_reference_uid
    geometry, identity = series.geometry, series.subject.identity
    if identity is not None and identity.frame_of_reference_uid is not None and not geometry.nominal:
        return identity.frame_of_reference_uid
    known = None if geometry.nominal else geometry.frame_of_reference_uid
    kind = "nominal frame" if geometry.nominal else "frame"
    return str(derived_uid(kind, series.subject.pseudonym, known or series.derivation.input_sha256))


def _series_uid(
    series: ImageSeries, stored: NDArray[np.uint16], affine: NDArray[np.float64], *, study: str, number: int
) -> str:
    derivation = series.derivation
    pixels = hashlib.sha256(np.ascontiguousarray(stored).astype("<u2").tobytes()).hexdigest()
    origin = [derivation.input_sha256, derivation.method, derivation.kind, derivation.parameters]
    content = [series.quantity, series.description, np.round(affine, 6).tolist(), list(stored.shape), pixels]
    return str(derived_uid("series", mrirecon.__version__, study, number, origin, content))


def _write_slices(
    dataset: Dataset,
    series: ImageSeries,
    stored: NDArray[np.uint16],
    affine: NDArray[np.float64],
    folder: Path,
    reference: Template | None,
) -> list[str]:
    row, column = (affine[:3, axis] / np.linalg.norm(affine[:3, axis]) for axis in (2, 1))
    normal = np.cross(row, column)
    put(dataset, "ImageOrientationPatient", [decimal(v) for v in (*row, *column)])
    names = []
    for number, index in enumerate(slice_order(series.geometry, len(stored)), start=1):
        position = affine[:3, 0] * index + affine[:3, 3]
        put(dataset, "InstanceNumber", number)
        put(dataset, "ImagePositionPatient", [decimal(v) for v in position])
        put(dataset, "SliceLocation", float(position @ normal))
        put(dataset, "SOPInstanceUID", derived_uid("instance", str(dataset.SeriesInstanceUID), number))
        if reference is not None:
            reference.refer(dataset, number - 1)
        put(dataset, "PixelData", stored[index].astype("<u2").tobytes())
        dataset.file_meta = file_meta(dataset)
        names.append(f"{number:04d}.dcm")
        dataset.save_as(folder / names[-1], enforce_file_format=True)
    return names


def file_meta(dataset: Dataset) -> FileMetaDataset:
    """The group before the data set, from the data set's identifiers."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = _implementation()
    meta.ImplementationVersionName = f"MRIRECON {mrirecon.__version__}"[:16]
    return meta
