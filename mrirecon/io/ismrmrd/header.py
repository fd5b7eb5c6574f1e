"""The XML header of MRD (ISMRMRD) raw data, which fastMRI files carry as well.

Only what is needed is looked up, by name. Elements that are missing or that the schema does not know do no harm unless
they are needed: converters disagree about the optional ones. Identifying fields are noticed, never read out.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

from mrirecon.errors import FormatError
from mrirecon.io.withheld import without_identifiers
from mrirecon.scan.encoding import Lengths, Triple
from mrirecon.scan.protocol import Protocol

SIMULATED = "mrirecon_simulated"
IDENTIFYING = frozenset(
    (
        "patientName",
        "patientID",
        "patientBirthdate",
        "birthDate",
        "patientWeight_kg",
        "patientHeight_m",
        "patientGender",
        "studyDate",
        "studyTime",
        "studyID",
        "accessionNumber",
        "referringPhysicianName",
        "operatorName",
        "operatorsName",
        "studyDescription",
        "studyInstanceUID",
        "measurementID",
        "seriesDate",
        "seriesTime",
        "seriesDescription",
        "seriesInstanceUIDRoot",
        "frameOfReferenceUID",
        "referencedSOPInstanceUID",
        "institutionName",
        "stationName",
        "deviceID",
        "deviceSerialNumber",
        "protocolName",
    )
)
_PERSONAL = frozenset(
    (
        *("patientName", "patientID", "patientBirthdate", "birthDate", "accessionNumber", "referringPhysicianName"),
        *("operatorName", "operatorsName", "stationName", "deviceID", "deviceSerialNumber"),
    )
)
_IDENTIFYING_PARAMETER = re.compile("patient|birth|physician|operator|institution|hospital|station|serial", re.I)


@dataclass(frozen=True)
class Limit:
    """First, last and central index of an encoding counter."""

    minimum: int
    maximum: int
    centre: int


@dataclass(frozen=True)
class EncodedSpace:
    """One `encoding` element; matrices and fields of view ordered z, y, x, with the readout along x."""

    trajectory: str
    encoded_matrix: Triple
    encoded_fov_mm: Lengths
    recon_matrix: Triple
    recon_fov_mm: Lengths
    limits: dict[str, Limit]
    acceleration: tuple[int, int] | None


@dataclass(frozen=True)
class RawHeader:
    """What the header says, units as in the domain model; None where it says nothing."""

    encodings: tuple[EncodedSpace, ...]
    echo_times_ms: tuple[float, ...]
    repetition_times_ms: tuple[float, ...]
    inversion_times_ms: tuple[float, ...]
    flip_angles_deg: tuple[float, ...]
    field_strength_t: float | None
    imaging_frequency_mhz: float | None
    relative_noise_bandwidth: float | None
    receiver_channels: int | None
    vendor: str | None
    model: str | None
    protocol_name: str | None
    sequence_name: str | None
    body_part: str | None
    patient_position: str | None
    study_instance_uid: str | None
    frame_of_reference_uid: str | None
    identifiers_present: tuple[str, ...]
    simulated: bool

    def protocol(
        self,
        *,
        contrast: int = 0,
        phase_encoding_axis: Literal["x", "y"] = "y",
        dimensionality: Literal["2D", "3D"] = "2D",
        pixel_bandwidth_hz: float | None = None,
        n_averages: int = 1,
        contrast_name: str | None = None,
    ) -> Protocol:
        """The acquisition parameters of one contrast: its own echo time, else the first; likewise the others."""
        return Protocol(
            echo_time_ms=_of(self.echo_times_ms, contrast),
            repetition_time_ms=_of(self.repetition_times_ms, contrast),
            inversion_time_ms=_of(self.inversion_times_ms, contrast),
            flip_angle_deg=_of(self.flip_angles_deg, contrast),
            field_strength_t=self.field_strength_t,
            imaging_frequency_mhz=self.imaging_frequency_mhz,
            pixel_bandwidth_hz=pixel_bandwidth_hz,
            n_averages=n_averages,
            phase_encoding_axis=phase_encoding_axis,
            dimensionality=dimensionality,
            manufacturer=self.vendor,
            model=self.model,
            protocol_name=self.protocol_name,
            sequence_name=self.sequence_name,
            contrast=contrast_name,
            body_part=self.body_part,
            patient_position=self.patient_position,
        )


def parse_header(xml: bytes, *, path: str | Path, key: str) -> RawHeader:
    """Read the header.

    Parameters
    ----------
    xml
        The document, in any encoding that it declares.
    path, key
        Where it came from, for messages.

    Raises
    ------
    FormatError
        If it is empty, not well-formed, or lacks the matrix or field of view of an encoding.
    """
    if not xml.strip():
        raise FormatError(path, "the header is empty, expected MRD XML", key=key)
    if b"<!DOCTYPE" in xml:
        raise FormatError(path, "the header declares a document type, which MRD headers never do; refused", key=key)
    try:
        root = ElementTree.fromstring(xml.strip(b"\x00 \t\r\n"))
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        raise FormatError(path, f"the header is not well-formed XML ({type(error).__name__})", key=key) from error
    for element in root.iter():
        element.tag = _local(element.tag)
    if root.tag != "ismrmrdHeader":
        raise FormatError(path, "expected the element ismrmrdHeader, got another one; the header is no MRD", key=key)
    look = _Look(root, Path(path), key)
    encodings = tuple(_encoding(e, look, i) for i, e in enumerate(root.findall("encoding")))
    if not encodings:
        raise FormatError(
            path, "the header has no `encoding` element, so matrix and field of view are unknown", key=key
        )
    system, measurement = "acquisitionSystemInformation", "measurementInformation"
    frequency = look.number("experimentalConditions/H1resonanceFrequency_Hz")
    names = _names(root)
    sequence = look.text(f"{measurement}/sequenceName") or look.text("sequenceParameters/sequence_type")
    channels = look.number(f"{system}/receiverChannels")
    return RawHeader(
        encodings=encodings,
        echo_times_ms=look.numbers("sequenceParameters/TE"),
        repetition_times_ms=look.numbers("sequenceParameters/TR"),
        inversion_times_ms=look.numbers("sequenceParameters/TI"),
        flip_angles_deg=look.numbers("sequenceParameters/flipAngle_deg"),
        field_strength_t=look.number(f"{system}/systemFieldStrength_T"),
        imaging_frequency_mhz=None if frequency is None else frequency / 1e6,
        relative_noise_bandwidth=look.number(f"{system}/relativeReceiverNoiseBandwidth"),
        receiver_channels=None if channels is None else int(channels),
        vendor=without_identifiers(look.text(f"{system}/systemVendor"), names),
        model=without_identifiers(look.text(f"{system}/systemModel"), names),
        protocol_name=look.text(f"{measurement}/protocolName"),
        sequence_name=without_identifiers(sequence, names),
        body_part=without_identifiers(look.text("studyInformation/bodyPartExamined"), names),
        patient_position=without_identifiers(look.text(f"{measurement}/patientPosition"), names),
        study_instance_uid=look.text("studyInformation/studyInstanceUID"),
        frame_of_reference_uid=look.text(f"{measurement}/frameOfReferenceUID"),
        identifiers_present=_identifiers(root),
        simulated=_user_string(root, SIMULATED) == "true",
    )


@dataclass(frozen=True)
class _Look:
    root: ElementTree.Element
    path: Path
    key: str

    def text(self, where: str) -> str | None:
        return (self.root.findtext(where) or "").strip() or None

    def number(self, where: str) -> float | None:
        """The first positive number at `where`; zero stands for unknown in these headers."""
        found = self.numbers(where)
        return found[0] if found and found[0] > 0 else None

    def numbers(self, where: str) -> tuple[float, ...]:
        values = (self.value(e.text, where) for e in self.root.findall(where) if (e.text or "").strip())
        return tuple(values)

    def value(self, text: str | None, where: str) -> float:
        try:
            value = float(text or "")
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            dotted = where.replace("/", ".")
            raise FormatError(self.path, f"`{dotted}` must be a finite number; correct the header", key=self.key)
        return value

    def triple(self, element: ElementTree.Element, where: str, default: str | None) -> Lengths:
        """The positive children z, y, x of `where`."""
        values = []
        for axis in "zyx":
            text = element.findtext(f"{where}/{axis}", default)
            value = self.value(text, f"encoding/{where}/{axis}")
            if not value > 0:
                problem = f"`encoding.{where.replace('/', '.')}.{axis}` must be positive, got {value:g}"
                raise FormatError(self.path, problem, key=self.key)
            values.append(value)
        return values[0], values[1], values[2]

    def matrix(self, element: ElementTree.Element, where: str) -> Triple:
        z, y, x = self.triple(element, where, None if element.find(where) is None else "1")
        return round(z), round(y), round(x)


def _encoding(element: ElementTree.Element, look: _Look, index: int) -> EncodedSpace:
    limits = {}
    for limit in element.findall("encodingLimits/*"):
        values = [
            look.value(limit.findtext(n, "0"), f"encoding/{limit.tag}/{n}") for n in ("minimum", "maximum", "center")
        ]
        limits[limit.tag] = Limit(*(round(v) for v in values))
    factors = [element.findtext(f"parallelImaging/accelerationFactor/kspace_encoding_step_{i}") for i in (1, 2)]
    acceleration = None
    if all(factors):
        first, second = (round(look.value(f, "encoding/parallelImaging/accelerationFactor")) for f in factors)
        acceleration = (first, second)
    return EncodedSpace(
        trajectory=_trajectory(element.findtext("trajectory") or "cartesian"),
        encoded_matrix=look.matrix(element, "encodedSpace/matrixSize"),
        encoded_fov_mm=look.triple(element, "encodedSpace/fieldOfView_mm", None),
        recon_matrix=look.matrix(element, "reconSpace/matrixSize"),
        recon_fov_mm=look.triple(element, "reconSpace/fieldOfView_mm", None),
        limits=limits,
        acceleration=acceleration,
    )


def _identifiers(root: ElementTree.Element) -> tuple[str, ...]:
    found = set()
    for parent in root.iter():
        for child in parent:
            if child.tag in IDENTIFYING and (child.text or "").strip():
                found.add(f"{parent.tag}.{child.tag}")
        if parent.tag.startswith("userParameter"):
            name = (parent.findtext("name") or "").strip()
            if _IDENTIFYING_PARAMETER.search(name) and (parent.findtext("value") or "").strip():
                found.add(f"userParameters.{name}")
    return tuple(sorted(found))


def _trajectory(text: str) -> str:
    """One of the schema's words, which messages repeat; "other" for anything else."""
    word = text.strip().lower()
    return word if word in ("cartesian", "epi", "radial", "goldenangle", "spiral") else "other"


def _names(root: ElementTree.Element) -> list[str]:
    """Values by which a person is known, to keep them out of other texts."""
    found = [e.text or "" for e in root.iter() if e.tag in _PERSONAL]
    for parent in root.iter():
        name = (parent.findtext("name") or "") if parent.tag.startswith("userParameter") else ""
        if _IDENTIFYING_PARAMETER.search(name):
            found.append(parent.findtext("value") or "")
    return [value for value in found if value.strip()]


def _user_string(root: ElementTree.Element, name: str) -> str | None:
    for parameter in root.findall("userParameters/userParameterString"):
        if (parameter.findtext("name") or "").strip() == name:
            return (parameter.findtext("value") or "").strip()
    return None


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _of(values: tuple[float, ...], index: int) -> float | None:
    """The value of this contrast, else the first; None when it is unknown or not positive."""
    if not values:
        return None
    value = values[index] if index < len(values) else values[0]
    return value if value > 0 else None
