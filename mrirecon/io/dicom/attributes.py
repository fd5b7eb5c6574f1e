"""What a classic MR image says about itself: the modules of the object, filled from an `ImageSeries`.

Unknown type 2 attributes are present and empty; nothing is invented. Free text never holds a path, a host or a user.
"""

from __future__ import annotations

from datetime import datetime

from pydicom.dataset import Dataset

import mrirecon
from mrirecon.io.dicom.body_part import add_body_part
from mrirecon.io.dicom.elements import code, decimal, derived_uid, item, put, put_known, text
from mrirecon.io.intensity import MAXIMUM, Intensity
from mrirecon.scan.identity import Identity
from mrirecon.scan.series import ImageSeries

RESEARCH_PHRASE = "research use only, not for diagnosis"
NOMINAL_SUFFIX = "GEOM-NOMINAL"
"""In the series description, and in a comment, where the place is nominal."""
NOMINAL_PHRASE = (
    "orientation and position are nominal; do not use for left/right, measurement across slices or registration"
)
IDENTIFYING = (
    *("PatientName", "PatientID", "OtherPatientIDs", "PatientBirthDate", "PatientSex", "PatientAge", "PatientWeight"),
    *("StudyInstanceUID", "StudyID", "StudyDate", "StudyTime", "StudyDescription", "AccessionNumber"),
    *("ReferringPhysicianName", "ProtocolName"),
)
_STUDY_DATE = "19000101"  # constant: every export of one study must agree on it, and nobody takes it for real
_POSITIONS = frozenset({"HFP", "HFS", "HFDR", "HFDL", "FFDR", "FFDL", "FFP", "FFS", "LFP", "LFS", "RFP", "RFS"})
_NAME_DELIMITERS = str.maketrans("^=", "  ")
_NO_PIXEL_TEXT = {"BurnedInAnnotation": "NO", "LossyImageCompression": "00", "PresentationLUTShape": "IDENTITY"}


def version_text() -> str:
    """Name and version as they appear in every output."""
    return f"mrirecon {mrirecon.__version__}"


def add_anonymous_patient(dataset: Dataset, series: ImageSeries) -> None:
    """Patient and study of a pseudonymous subject: one study per pseudonym, nothing from the raw header.

    The study date is a constant dummy: empty, it cannot be put on media, and the date of export is not the date of
    the examination. The source's study identifier is not used: together with a pseudonym it would file two patients
    under one study.
    """
    pseudonym = text(series.subject.pseudonym, 59).removeprefix("ANON-")
    put(dataset, "PatientName", f"ANON^{pseudonym.translate(_NAME_DELIMITERS)}")
    put(dataset, "PatientID", f"ANON-{pseudonym}")
    for keyword in ("PatientBirthDate", "PatientSex"):
        put(dataset, keyword, None)
    put(dataset, "PatientIdentityRemoved", "YES")
    put(dataset, "DeidentificationMethod", ["mrirecon: identifiers from raw header not copied", "study date: dummy"])
    put(dataset, "LongitudinalTemporalInformationModified", "REMOVED")
    study = derived_uid("study", series.subject.pseudonym)
    put(dataset, "StudyInstanceUID", study)
    put(dataset, "StudyID", study[-8:])
    put(dataset, "StudyDate", _STUDY_DATE)
    put(dataset, "StudyTime", "000000")
    for keyword in ("AccessionNumber", "ReferringPhysicianName"):
        put(dataset, keyword, None)


def add_identified_patient(dataset: Dataset, series: ImageSeries, identity: Identity) -> None:
    """Patient and study as the raw header says, so that the series joins the scanner's own study.

    Where the header gives no study a new one is made for the pseudonym. What is unknown is empty.
    """
    for keyword, value in (
        ("PatientName", identity.patient_name),
        ("PatientID", identity.patient_id),
        ("PatientBirthDate", identity.birth_date),
        ("PatientSex", identity.sex),
        ("StudyID", identity.study_id),
        ("StudyDate", identity.study_date),
        ("StudyTime", identity.study_time),
        ("AccessionNumber", identity.accession_number),
        ("ReferringPhysicianName", identity.referring_physician),
    ):
        put(dataset, keyword, value)
    put_known(dataset, "StudyDescription", identity.study_description)
    put(dataset, "StudyInstanceUID", identity.study_instance_uid or derived_uid("study", series.subject.pseudonym))
    put_known(dataset, "ProtocolName", text(series.protocol.protocol_name or "", 64))
    put(dataset, "PatientIdentityRemoved", "NO")
    put(dataset, "LongitudinalTemporalInformationModified", "UNMODIFIED")


def identity_keywords(dataset: Dataset) -> tuple[str, ...]:
    """Keywords of attributes that say who was examined, when and where, and have a value."""
    return tuple(name for name in IDENTIFYING if str(dataset.get(name) or "").strip())


def says_nominal(header: Dataset) -> bool:
    """Whether a written image says that its position and orientation are placeholders."""
    return any(NOMINAL_SUFFIX in str(header.get(name, "")) for name in ("SeriesDescription", "ImageComments"))


def defined_position(name: str | None) -> str | None:
    """The defined term of a patient's position that `name` is, None if it is none.

    Examples
    --------
    >>> defined_position("hfs"), defined_position("on the side"), defined_position(None)
    ('HFS', None, None)
    """
    position = (name or "").upper()
    return position if position in _POSITIONS else None


def add_acquisition(dataset: Dataset, series: ImageSeries) -> None:
    """Equipment and acquisition parameters, as far as the protocol knows them.

    The protocol's name is typed by people and may hold theirs or the patient's: it belongs to the identity.
    """
    protocol = series.protocol
    put(dataset, "Modality", "MR")
    put(dataset, "Manufacturer", text(protocol.manufacturer or "", 64))
    put_known(dataset, "ManufacturerModelName", text(protocol.model or "", 64))
    put(dataset, "SoftwareVersions", version_text())
    put(dataset, "ScanningSequence", "RM")  # "research mode" is the defined term for "none of the others is known"
    put(dataset, "SequenceVariant", "NONE")
    put(dataset, "ScanOptions", None)
    put(dataset, "MRAcquisitionType", protocol.dimensionality)
    put(dataset, "RepetitionTime", protocol.repetition_time_ms)
    put(dataset, "EchoTime", protocol.echo_time_ms)
    put(dataset, "EchoTrainLength", None)
    put_known(dataset, "InversionTime", protocol.inversion_time_ms)
    put_known(dataset, "FlipAngle", protocol.flip_angle_deg)
    put_known(dataset, "MagneticFieldStrength", protocol.field_strength_t)
    put_known(dataset, "ImagingFrequency", protocol.imaging_frequency_mhz)
    put(dataset, "ImagedNucleus", text(protocol.nucleus, 16))
    put_known(dataset, "PixelBandwidth", protocol.pixel_bandwidth_hz)
    put(dataset, "NumberOfAverages", protocol.n_averages)
    put(dataset, "InPlanePhaseEncodingDirection", "ROW" if protocol.phase_encoding_axis == "x" else "COL")
    put_known(dataset, "SequenceName", text(protocol.sequence_name or "", 16))
    put(dataset, "PatientPosition", defined_position(protocol.patient_position))
    add_body_part(dataset, protocol.body_part)


def add_derivation(
    dataset: Dataset, series: ImageSeries, *, original: bool, moment: datetime, warnings: tuple[str, ...]
) -> None:
    """Image type, how the image was made, by which equipment, and the warnings that must reach the reader."""
    derivation = series.derivation
    put(dataset, "ImageType", ["ORIGINAL" if original else "DERIVED", "SECONDARY", "OTHER"])
    put(dataset, "SyntheticData", "YES" if derivation.simulated else "NO")
    put(dataset, "ContentQualification", "RESEARCH")
    summary = text(derivation.summary, 900) or derivation.method
    put(dataset, "DerivationDescription", f"{summary}; {RESEARCH_PHRASE}")
    comments = [RESEARCH_PHRASE]
    comments += [NOMINAL_PHRASE] if series.geometry.nominal else []
    comments += ["the measured data are simulated"] if derivation.simulated else []
    put(dataset, "ImageComments", text("; ".join([*comments, *warnings]), 10000))
    put(dataset, "ContributingEquipmentSequence", _equipment(series, moment))


def _equipment(series: ImageSeries, moment: datetime) -> list[Dataset]:
    items = []
    manufacturer = text(series.protocol.manufacturer or "", 64)
    if manufacturer:  # mandatory inside the item: no manufacturer, no item
        scanner = item(
            PurposeOfReferenceCodeSequence=[code("109101", "DCM", "Acquisition Equipment")], Manufacturer=manufacturer
        )
        put_known(scanner, "ManufacturerModelName", text(series.protocol.model or "", 64))
        items.append(scanner)
    method = text(series.derivation.method, 400)
    return [*items, processing_equipment(moment, f"{method} reconstruction from k-space")]


def processing_equipment(moment: datetime, what: str) -> Dataset:
    """This program as an item of contributing equipment, with `what` it did."""
    return item(
        PurposeOfReferenceCodeSequence=[code("109102", "DCM", "Processing Equipment")],
        Manufacturer="mrirecon project",
        ManufacturerModelName="mrirecon",
        SoftwareVersions=mrirecon.__version__,
        ContributionDateTime=moment.strftime("%Y%m%d%H%M%S.%f"),
        ContributionDescription=what,
    )


def put_moment(dataset: Dataset, moment: datetime) -> None:
    """Date and time of the content and of the instance."""
    for name in ("InstanceCreation", "Content"):
        put(dataset, f"{name}Date", moment.strftime("%Y%m%d"))
        put(dataset, f"{name}Time", moment.strftime("%H%M%S.%f"))


def add_pixel_format(dataset: Dataset, series: ImageSeries, intensity: Intensity) -> None:
    """16-bit unsigned monochrome pixels, one window and one real-world mapping for the whole series, no rescale."""
    rows, columns = series.image.shape[1:]
    put(dataset, "SamplesPerPixel", 1)
    put(dataset, "PhotometricInterpretation", "MONOCHROME2")
    put(dataset, "Rows", rows)
    put(dataset, "Columns", columns)
    put(dataset, "BitsAllocated", 16)
    put(dataset, "BitsStored", 16)
    put(dataset, "HighBit", 15)
    put(dataset, "PixelRepresentation", 0)
    for keyword, value in _NO_PIXEL_TEXT.items():
        put(dataset, keyword, value)
    centre, width = intensity.window
    put(dataset, "WindowCenter", centre)
    put(dataset, "WindowWidth", width)
    put(dataset, "WindowCenterWidthExplanation", "SERIES")
    put(dataset, "RealWorldValueMappingSequence", [_real_world_mapping(series, intensity)])


def _real_world_mapping(series: ImageSeries, intensity: Intensity) -> Dataset:
    what = "STANDARD_DEV" if series.quantity == "standard_deviation" else "SIGNAL"
    mapping = item(
        RealWorldValueFirstValueMapped=0,
        RealWorldValueLastValueMapped=MAXIMUM,
        RealWorldValueIntercept=0.0,
        RealWorldValueSlope=1.0 / intensity.factor,
        LUTExplanation="slope x stored value, in units of the raw data",
        LUTLabel=what,
        MeasurementUnitsCodeSequence=[code("[arb'U]", "UCUM", "arbitrary unit")],
    )
    if series.quantity == "standard_deviation":
        put(mapping, "QuantityDefinitionSequence", [standard_deviation_quantity()])
    return mapping


def standard_deviation_quantity() -> Dataset:
    """What the values of such a series are, as an item of a quantity definition."""
    return item(
        ValueType="CODE",
        ConceptNameCodeSequence=[code("246205007", "SCT", "Quantity")],
        ConceptCodeSequence=[code("386136009", "SCT", "Standard Deviation")],
    )


def add_plane_size(dataset: Dataset, series: ImageSeries) -> None:
    """Pixel spacing (between rows first), slice thickness and slice step, which differ by the gap."""
    dz, dy, dx = series.geometry.voxel_size_mm
    put(dataset, "PixelSpacing", [decimal(dy), decimal(dx)])
    put(dataset, "SliceThickness", series.geometry.slice_thickness_mm)
    put(dataset, "SpacingBetweenSlices", dz)
