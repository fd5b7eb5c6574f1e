"""A standard deviation as a DICOM parametric map: one multi-frame object with floating-point pixels (PS3.3 A.75).

For programs that measure. Archives and viewers often refuse or cannot show float pixels, so the integer series stands
beside it and is what people look at. Frames are in the order of that series, which they name as their counterpart.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.uid import ParametricMapStorage

from mrirecon.errors import ConfigError
from mrirecon.io.dicom.attributes import RESEARCH_PHRASE, standard_deviation_quantity
from mrirecon.io.dicom.companion import (
    CompanionReport,
    join_study,
    put_identifiers,
    put_origin,
    read_headers,
    refer_to,
    save_companion,
)
from mrirecon.io.dicom.elements import code, derived_uid, item, put, require_series_number, text
from mrirecon.io.grid import slice_order
from mrirecon.io.raster.text import ascii_text
from mrirecon.scan.series import ImageSeries

_FRAME_TYPE = ["DERIVED", "PRIMARY", "VOLUME", "NONE"]


def write_parametric_map(
    series: ImageSeries,
    folder: str | Path,
    *,
    beside: Sequence[Path],
    factor: float,
    series_number: int,
    clock: datetime | None = None,
    overwrite: bool = False,
) -> CompanionReport:
    """Write `series` as ``0001.dcm`` with float32 pixels.

    Parameters
    ----------
    series
        A standard deviation.
    folder
        New or empty folder.
    beside
        Files of the integer series of the same volume, written by `write_dicom`, one per slice in spatial order:
        patient, study, frame of reference and place of every frame are theirs.
    factor
        Map value = `factor` x value of `series`; that of the image series puts both into the same units.
    series_number
        Its own.
    clock
        Time of writing, default now.
    overwrite
        Replace the files in `folder`.

    Raises
    ------
    ConfigError
        If `series` is no standard deviation, `beside` is no series of as many slices, `factor` is not positive,
        or the number is impossible.
    OutputError
        If the folder cannot be written.
    """
    if series.quantity != "standard_deviation":
        raise ConfigError(f"a parametric map holds a standard deviation here, got {series.quantity!r}")
    if len(beside) != len(series.image):
        raise ConfigError(f"`beside` must be one file per slice, expected {len(series.image)}, got {len(beside)}")
    if not 0 < factor < float("inf"):
        raise ConfigError(f"`factor` must be positive and finite, got {factor}")
    require_series_number(series_number)
    heads = read_headers(beside)
    order = list(slice_order(series.geometry, len(series.image)))
    frames = np.ascontiguousarray(series.image[order] * np.float32(factor)).astype("<f4")
    dataset = _description(series, heads[0])
    put_origin(dataset, clock if clock is not None else datetime.now(), "posterior samples, their spread")
    refer_to(dataset, heads)
    pixels = frames.tobytes()
    uid = put_identifiers(dataset, heads[0], "parametric map", series_number=series_number, pixels=pixels)
    _dimensions(dataset, derived_uid("dimension", uid))
    put(dataset, "SharedFunctionalGroupsSequence", [_shared(heads[0], frames)])
    put(dataset, "PerFrameFunctionalGroupsSequence", [_frame(head, i) for i, head in enumerate(heads, start=1)])
    _pixels(dataset, frames.shape, pixels)
    return save_companion(dataset, folder, overwrite=overwrite)


def _description(series: ImageSeries, head: Dataset) -> Dataset:
    dataset = Dataset()
    put(dataset, "SpecificCharacterSet", "ISO_IR 192")
    join_study(dataset, head)
    put(dataset, "SOPClassUID", ParametricMapStorage)
    put(dataset, "Modality", "MR")
    put(dataset, "ImageType", _FRAME_TYPE)
    put(dataset, "ContentQualification", "RESEARCH")
    put(dataset, "SyntheticData", "YES" if series.derivation.simulated else "NO")
    put(dataset, "SeriesDescription", f"{text(ascii_text(str(head.SeriesDescription)), 60)} MAP")
    summary = text(ascii_text(series.derivation.summary), 900)
    put(dataset, "DerivationDescription", f"{summary}; {RESEARCH_PHRASE}")
    put(dataset, "ImageComments", head.get("ImageComments", RESEARCH_PHRASE))
    put(dataset, "ContentLabel", "STANDARD_DEV")
    put(dataset, "ContentDescription", "standard deviation of the samples")
    put(dataset, "ContentCreatorName", None)
    put(dataset, "DeviceSerialNumber", "unknown")  # mandatory; a program has none
    put(dataset, "FrameOfReferenceUID", head.FrameOfReferenceUID)
    put(dataset, "PositionReferenceIndicator", head.get("PositionReferenceIndicator") or None)
    put(dataset, "AcquisitionContextSequence", [])
    put(dataset, "RecognizableVisualFeatures", head.get("RecognizableVisualFeatures", "NO"))
    put(dataset, "PixelPresentation", "MONOCHROME")
    return dataset


def _dimensions(dataset: Dataset, organisation: str) -> None:
    put(dataset, "DimensionOrganizationType", "3D")
    put(dataset, "DimensionOrganizationSequence", [item(DimensionOrganizationUID=organisation)])
    index = item(
        DimensionOrganizationUID=organisation,
        DimensionIndexPointer=tag_for_keyword("ImagePositionPatient"),
        FunctionalGroupPointer=tag_for_keyword("PlanePositionSequence"),
        DimensionDescriptionLabel="Image Position Patient",
    )
    put(dataset, "DimensionIndexSequence", [index])


def _shared(head: Dataset, frames: NDArray[Any]) -> Dataset:
    high = max(1.0, float(np.percentile(frames, 99.5)))  # a window narrower than 1 is refused by validators
    mapping = item(
        DoubleFloatRealWorldValueFirstValueMapped=float(frames.min()),
        DoubleFloatRealWorldValueLastValueMapped=float(frames.max()),
        RealWorldValueIntercept=0.0,
        RealWorldValueSlope=1.0,
        LUTExplanation="in stored values of the image series",
        LUTLabel="STANDARD_DEV",
        MeasurementUnitsCodeSequence=[code("[arb'U]", "UCUM", "arbitrary unit")],
        QuantityDefinitionSequence=[standard_deviation_quantity()],
    )
    return item(
        PlaneOrientationSequence=[item(ImageOrientationPatient=list(head.ImageOrientationPatient))],
        PixelMeasuresSequence=[
            item(
                SliceThickness=head.SliceThickness,
                SpacingBetweenSlices=head.SpacingBetweenSlices,
                PixelSpacing=list(head.PixelSpacing),
            )
        ],
        FrameVOILUTSequence=[item(WindowCenter=high / 2, WindowWidth=high)],
        PixelValueTransformationSequence=[item(RescaleIntercept=0, RescaleSlope=1, RescaleType="US")],
        ParametricMapFrameTypeSequence=[item(FrameType=_FRAME_TYPE)],
        RealWorldValueMappingSequence=[mapping],
    )


def _frame(head: Dataset, number: int) -> Dataset:
    source = item(
        ReferencedSOPClassUID=head.SOPClassUID,
        ReferencedSOPInstanceUID=head.SOPInstanceUID,
        SpatialLocationsPreserved="YES",
        PurposeOfReferenceCodeSequence=[code("121322", "DCM", "Source image for image processing operation")],
    )
    derivation = item(
        SourceImageSequence=[source],
        DerivationCodeSequence=[code("112187", "DCM", "Unspecified method of calculation")],
    )
    return item(
        DerivationImageSequence=[derivation],
        FrameContentSequence=[item(DimensionIndexValues=[number])],
        PlanePositionSequence=[item(ImagePositionPatient=list(head.ImagePositionPatient))],
    )


def _pixels(dataset: Dataset, shape: tuple[int, ...], pixels: bytes) -> None:
    n, rows, columns = shape
    put(dataset, "SamplesPerPixel", 1)
    put(dataset, "PhotometricInterpretation", "MONOCHROME2")
    put(dataset, "NumberOfFrames", n)
    put(dataset, "Rows", rows)
    put(dataset, "Columns", columns)
    put(dataset, "BitsAllocated", 32)
    put(dataset, "BurnedInAnnotation", "NO")
    put(dataset, "LossyImageCompression", "00")
    put(dataset, "PresentationLUTShape", "IDENTITY")
    put(dataset, "FloatPixelData", pixels)
