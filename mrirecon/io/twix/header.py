"""What the text header of a Siemens measurement says: protocol, fields of view, orientation, identifying fields."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Literal

from mrirecon.io.twix.file import Header
from mrirecon.io.withheld import without_identifiers
from mrirecon.scan.protocol import Protocol

_NO_INVERSION = 4
_IDENTIFYING = (
    "tPatientName",
    "PatientName",
    "PatientID",
    "PatientBirthDay",
    "PatientSex",
    "PatientLOID",
    "flPatientAge",
    "flPatientHeight",
    "flUsedPatientWeight",
    "tPerfPhysiciansName",
    "InstitutionName",
    "InstitutionAddress",
    "DeviceSerialNumber",
    "StudyInstanceUID",
    "StudyLOID",
    "ExamMemoryUID",
    "tFrameOfReference",
)
_PERSONAL = (
    *("tPatientName", "PatientName", "PatientID", "PatientBirthDay", "tPerfPhysiciansName", "OperatorName"),
    "DeviceSerialNumber",
)


@dataclass(frozen=True)
class HeaderSlice:
    """One entry of the protocol's slice array: LPS millimetres; `normal` None when absent."""

    position: tuple[float, float, float]
    normal: tuple[float, float, float] | None
    in_plane_rotation_rad: float
    thickness_mm: float
    phase_fov_mm: float
    read_fov_mm: float


def is_pulseq(header: Header) -> bool:
    """Whether the scan ran an interpreter of Pulseq files, whose protocol holds placeholders."""
    yaps = header["MeasYaps"]
    return any("pulseq" in str(yaps.get(key, "")).lower() for key in ("tSequenceFileName", "tProtocolName"))


def number(header: Header, *path: str | int, buffers: tuple[str, ...] = ("MeasYaps",)) -> float | None:
    """The number at a nested key of the first buffer that has one, None when there is none."""
    for buffer in buffers:
        value: Any = header.get(buffer, {})
        for key in path:
            if isinstance(key, int):
                value = value[key] if isinstance(value, list) and len(value) > key else None
            else:
                value = value.get(key) if isinstance(value, dict) else None
        if isinstance(value, str):
            try:
                value = float(int(value, 16)) if value.startswith("0x") else float(value)
            except ValueError:
                value = None
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    return None


def text(header: Header, key: str, *, buffers: tuple[str, ...] = ("Dicom", "Meas", "Config", "MeasYaps")) -> str | None:
    """The text at `key` of the first buffer that has it, None when it is empty or missing."""
    for buffer in buffers:
        value = header.get(buffer, {}).get(key)
        if isinstance(value, str) and value.strip():
            return value.strip()
    return None


def header_slices(header: Header) -> list[HeaderSlice]:
    """The protocol's slice array; empty when the header has none."""
    array = header["MeasYaps"].get("sSliceArray", {})
    found = []
    for entry in array.get("asSlice", []):
        if not isinstance(entry, dict) or not entry:
            continue
        normal = entry.get("sNormal")
        found.append(
            HeaderSlice(
                position=_vector(entry.get("sPosition")),
                normal=_vector(normal) if isinstance(normal, dict) and normal else None,
                in_plane_rotation_rad=float(entry.get("dInPlaneRot", 0.0)),
                thickness_mm=float(entry.get("dThickness", 0.0)),
                phase_fov_mm=float(entry.get("dPhaseFOV", 0.0)),
                read_fov_mm=float(entry.get("dReadoutFOV", 0.0)),
            )
        )
    return found


def _vector(value: Any) -> tuple[float, float, float]:
    value = value if isinstance(value, dict) else {}
    return float(value.get("dSag", 0.0)), float(value.get("dCor", 0.0)), float(value.get("dTra", 0.0))


def identifiers_present(header: Header) -> tuple[str, ...]:
    """Names of the fields that hold identifying text; fields blanked with x by an anonymiser do not count."""
    found = []
    for name in _IDENTIFYING:
        for buffer in ("Config", "Dicom", "Meas"):
            value = str(header.get(buffer, {}).get(name, "")).strip()
            if value and value.strip("xX") and value not in ("0", "0.0"):
                found.append(name)
                break
    return tuple(found)


def frame_of_reference(header: Header) -> str | None:
    """A stand-in for the scanner's frame of reference: the same for scans that share one, and nothing of it readable.

    The scanner's own UID holds its serial number and the time of registration; this is a UUID-derived UID (2.25) from
    the SHA-256 of it.
    """
    uid = text(header, "tFrameOfReference", buffers=("Meas",)) or text(header, "FrameOfReference", buffers=("Config",))
    if uid is None:
        return None
    return f"2.25.{int.from_bytes(hashlib.sha256(uid.encode()).digest()[:16], 'big')}"


def protocol(
    header: Header, *, contrast: int, n_samples: int, n_averages: int, dimensionality: Literal["2D", "3D"]
) -> Protocol:
    """The acquisition parameters; for Pulseq scans, timing and flip angle are placeholders and therefore None."""
    pulseq = is_pulseq(header)
    echo = None if pulseq else number(header, "alTE", contrast)
    repetition = None if pulseq else number(header, "alTR", 0)
    flip = None if pulseq else number(header, "adFlipAngleDegree", 0)
    dwell = None if pulseq else number(header, "sRXSPEC", "alDwellTime", contrast)
    inversion = None
    preparation = number(header, "sPrepPulses", "ucInversion")
    if not pulseq and preparation not in (None, 0.0, float(_NO_INVERSION)):
        inversion = number(header, "alTI", 0)
    frequency = number(header, "sTXSPEC", "asNucleusInfo", 0, "lFrequency")
    nucleus = header["MeasYaps"].get("sTXSPEC", {}).get("asNucleusInfo", [{}])
    name = nucleus[0].get("tNucleus") if nucleus and isinstance(nucleus[0], dict) else None
    sequence = text(header, "tSequenceFileName", buffers=("MeasYaps",))
    base = None if sequence is None else sequence.replace("\\", "/").rsplit("/", 1)[-1]
    names = _names(header)
    return Protocol(
        echo_time_ms=_scaled(echo, 1e-3),
        repetition_time_ms=_scaled(repetition, 1e-3),
        inversion_time_ms=_scaled(inversion, 1e-3),
        flip_angle_deg=flip,
        field_strength_t=number(header, "flMagneticFieldStrength", buffers=("Dicom", "Meas")),
        imaging_frequency_mhz=_scaled(frequency, 1e-6),
        pixel_bandwidth_hz=None if not dwell else 1e9 / (dwell * n_samples),
        n_averages=n_averages,
        phase_encoding_axis="y",
        dimensionality=dimensionality,
        manufacturer="Siemens",
        model=without_identifiers(text(header, "ManufacturersModelName"), names),
        protocol_name=text(header, "tProtocolName", buffers=("MeasYaps",)),
        sequence_name=without_identifiers(base, names),
        body_part=without_identifiers(text(header, "tBodyPartExamined"), names),
        patient_position=without_identifiers(
            text(header, "tPatientPosition") or text(header, "PatientPosition"), names
        ),
        nucleus=name or "1H",
    )


def _names(header: Header) -> list[str]:
    """Values by which a person is known, to keep them out of other texts; numbers were parsed as such."""
    found = []
    for key in _PERSONAL:
        for buffer in ("Dicom", "Meas", "Config"):
            value = header.get(buffer, {}).get(key)
            if isinstance(value, float) and value.is_integer():
                value = int(value)
            if isinstance(value, str | int) and str(value).strip("xX "):
                found.append(str(value))
    return found


def _scaled(value: float | None, factor: float) -> float | None:
    return None if not value else value * factor
