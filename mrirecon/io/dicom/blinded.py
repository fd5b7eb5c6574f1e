"""Write a series for readers who must not know how it was made.

The ordinary writer's attributes are made; then every one that is not on a list of harmless ones is dropped, and
identifiers, dates and texts are replaced by given or constant ones. A list of what may stay keeps its promise when the
writer learns new attributes; a list of what must go does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from mrirecon.errors import FormatError, ShapeError
from mrirecon.io.dicom.attributes import add_anonymous_patient
from mrirecon.io.dicom.elements import decimal, put
from mrirecon.io.dicom.series import file_meta, series_attributes
from mrirecon.io.grid import export_affine, slice_order
from mrirecon.io.intensity import Intensity
from mrirecon.scan.protocol import Protocol
from mrirecon.scan.series import Derivation, ImageSeries
from mrirecon.scan.subject import Subject

SUMMARY = "series of a blinded reader study"
IDENTITY = (  # may differ between series of one scan, and is the reading identity alone
    *("PatientName", "PatientID", "StudyID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"),
    *("FrameOfReferenceUID", "SeriesDescription", "SeriesNumber"),
)
KEPT = frozenset(
    {
        *IDENTITY,
        *("SpecificCharacterSet", "ImageType", "SOPClassUID", "Modality", "SyntheticData", "Manufacturer"),
        *("PatientBirthDate", "PatientSex", "PatientIdentityRemoved", "DeidentificationMethod"),
        *("LongitudinalTemporalInformationModified", "StudyDate", "StudyTime", "AccessionNumber"),
        *("ReferringPhysicianName", "AcquisitionNumber", "InstanceNumber", "PositionReferenceIndicator"),
        *("ContentDate", "ContentTime", "ScanningSequence", "SequenceVariant", "ScanOptions", "MRAcquisitionType"),
        *("RepetitionTime", "EchoTime", "EchoTrainLength", "InversionTime", "FlipAngle", "MagneticFieldStrength"),
        *("InPlanePhaseEncodingDirection", "PatientPosition", "BodyPartExamined", "Laterality"),
        *("RecognizableVisualFeatures", "ContentQualification", "DerivationDescription", "ImageComments"),
        *("SamplesPerPixel", "PhotometricInterpretation", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit"),
        *("PixelRepresentation", "PixelData", "BurnedInAnnotation", "LossyImageCompression", "PresentationLUTShape"),
        *("WindowCenter", "WindowWidth", "WindowCenterWidthExplanation", "PixelSpacing", "SliceThickness"),
        *("SpacingBetweenSlices", "ImageOrientationPatient", "ImagePositionPatient", "SliceLocation"),
    }
)
_CLOCK = datetime(1900, 1, 1)


@dataclass(frozen=True)
class BlindIdentity:
    """All that tells a blinded series from another.

    Parameters
    ----------
    code
        Of the item that is read; names patient and study.
    side
        "A" or "B" of two series that are read together, else empty.
    study_uid, series_uid, frame_of_reference_uid
        Random; study and frame are shared by the two sides.
    instance_uids
        Random, one per slice.
    """

    code: str
    side: str
    study_uid: str
    series_uid: str
    frame_of_reference_uid: str
    instance_uids: tuple[str, ...]


def write_blinded(
    series: ImageSeries,
    folder: str | Path,
    *,
    identity: BlindIdentity,
    intensity: Intensity,
    offsets: Sequence[int] | None = None,
) -> tuple[Path, ...]:
    """Write `series` as ``0001.dcm`` ... with nothing in it but pixels, grid, timing parameters and `identity`.

    Parameters
    ----------
    series
        Volume and grid; its derivation, description, subject, warnings and free texts are not written.
    folder
        New folder.
    identity
        Identifiers.
    intensity
        Factor and window, given, so that all series of one scan have the same.
    offsets
        Place of each slice in steps of the grid, ascending from 0, where slices of the scan were left out.

    Raises
    ------
    ShapeError
        If there are not as many identifiers or offsets as slices.
    OutputError
        If the folder cannot be written.
    """
    n = len(series.image)
    steps = list(range(n)) if offsets is None else list(offsets)
    if len(identity.instance_uids) != n or len(steps) != n:
        raise ShapeError(
            f"a series of {n} slices needs {n} instance identifiers and offsets, got {len(identity.instance_uids)} "
            f"and {len(steps)}"
        )
    target = Path(folder)
    target.mkdir(parents=True)
    neutral = _neutral(series, identity)
    affine = export_affine(series.geometry, (n, series.image.shape[1], series.image.shape[2]))
    dataset = series_attributes(neutral, intensity, moment=_CLOCK, original=False, warnings=())
    add_anonymous_patient(dataset, neutral)
    _strip(dataset)
    _identify(dataset, identity)
    row, column = (affine[:3, axis] / np.linalg.norm(affine[:3, axis]) for axis in (2, 1))
    put(dataset, "ImageOrientationPatient", [decimal(v) for v in (*row, *column)])
    _space(dataset, affine, steps)
    stored = intensity.store(series.image)
    paths = []
    for number, index in enumerate(slice_order(series.geometry, n)):
        position = affine[:3, 0] * steps[index] + affine[:3, 3]
        put(dataset, "InstanceNumber", number + 1)
        put(dataset, "ImagePositionPatient", [decimal(v) for v in position])
        put(dataset, "SliceLocation", float(position @ np.cross(row, column)))
        put(dataset, "SOPInstanceUID", identity.instance_uids[number])
        put(dataset, "PixelData", stored[index].astype("<u2").tobytes())
        dataset.file_meta = file_meta(dataset)
        paths.append(target / f"{number + 1:04d}.dcm")
        dataset.save_as(paths[-1], enforce_file_format=True)
    return tuple(paths)


def header_values(path: str | Path) -> dict[str, str]:
    """Every element of a file but its pixels, file meta included, as text by dotted keyword or tag.

    Raises
    ------
    FormatError
        If the file is no DICOM.
    """
    try:
        dataset = dcmread(path, stop_before_pixels=True)
    except (InvalidDicomError, OSError) as error:
        raise FormatError(path, f"cannot be read as DICOM ({error})") from error
    found: dict[str, str] = {"preamble": bytes(dataset.preamble or b"").hex()}
    for head, prefix in ((dataset.file_meta, "meta."), (dataset, "")):
        _collect(head, prefix, found)
    return found


def _collect(dataset: Dataset, prefix: str, found: dict[str, str]) -> None:
    for element in dataset:
        name = f"{prefix}{element.keyword or element.tag}"
        if element.VR == "SQ":
            found[name] = f"{len(element.value)} items"
            for i, nested in enumerate(element.value):
                _collect(nested, f"{name}[{i}].", found)
        else:
            found[name] = f"{element.VR} {element.value!r}"


def _neutral(series: ImageSeries, identity: BlindIdentity) -> ImageSeries:
    known = series.protocol
    protocol = Protocol(
        echo_time_ms=known.echo_time_ms,
        repetition_time_ms=known.repetition_time_ms,
        inversion_time_ms=known.inversion_time_ms,
        flip_angle_deg=known.flip_angle_deg,
        field_strength_t=known.field_strength_t,
        phase_encoding_axis=known.phase_encoding_axis,
        dimensionality=known.dimensionality,
        body_part=known.body_part,
        patient_position=known.patient_position,
    )
    return replace(
        series,
        protocol=protocol,
        subject=Subject(identity.code),
        derivation=Derivation(SUMMARY, SUMMARY, {}, "", "iterative", series.derivation.simulated),
        description=f"READING {identity.code} {identity.side}".strip(),
        quantity="magnitude",
        warnings=(),
    )


def _strip(dataset: Dataset) -> None:
    for element in list(dataset):
        if element.keyword not in KEPT:
            del dataset[element.tag]


def _identify(dataset: Dataset, identity: BlindIdentity) -> None:
    put(dataset, "PatientName", f"READING^{identity.code}")
    put(dataset, "PatientID", identity.code)
    put(dataset, "StudyID", identity.code)
    put(dataset, "StudyInstanceUID", identity.study_uid)
    put(dataset, "SeriesInstanceUID", identity.series_uid)
    put(dataset, "FrameOfReferenceUID", identity.frame_of_reference_uid)
    put(dataset, "SeriesNumber", 2 if identity.side == "B" else 1)


def _space(dataset: Dataset, affine: NDArray[np.float64], steps: list[int]) -> None:
    """The distance of slices; none where it varies."""
    gaps = set(np.diff(steps).tolist())
    if len(gaps) == 1:
        put(dataset, "SpacingBetweenSlices", float(np.linalg.norm(affine[:3, 0])) * gaps.pop())
    elif gaps:
        del dataset["SpacingBetweenSlices"]
