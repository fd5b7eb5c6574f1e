"""Facts about a scan or an image file as plain JSON values: names of identifying fields, never their content."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

from mrirecon.errors import FormatError
from mrirecon.io.base import Format
from mrirecon.scan.geometry import Geometry
from mrirecon.scan.protocol import Protocol
from mrirecon.scan.scan import Scan

_DIRECTIONS = (("right", "left"), ("anterior", "posterior"), ("feet", "head"))
_TYPED = "protocol_name"  # by people; may hold theirs or the patient's name
_PLANES = ("sagittal", "coronal", "axial")


def describe_scan(scan: Scan) -> dict[str, Any]:
    """What a scan is: sizes, geometry, protocol, noise, privacy, notes."""
    encoding = scan.encoding
    return {
        "kind": "raw data",
        "format": scan.format,
        "simulated": scan.simulated,
        "dimensionality": scan.protocol.dimensionality,
        "coils": scan.n_coils,
        "slices": scan.n_slices,
        "partitions": scan.n_partitions,
        "encoded": {"matrix_zyx": list(encoding.encoded_matrix), "fov_mm_zyx": _rounded(encoding.encoded_fov_mm)},
        "recon": {"matrix_zyx": list(encoding.recon_matrix), "fov_mm_zyx": _rounded(encoding.recon_fov_mm)},
        "readout_axis": encoding.readout_axis,
        "readout_oversampling": round(encoding.oversampling, 4),
        "partial_fourier_zyx": _rounded(encoding.partial_fourier),
        "phase_encoding_axis": scan.protocol.phase_encoding_axis,
        "noise_scan": None if scan.noise is None else {"samples_per_coil": int(scan.noise.shape[1])},
        "geometry": describe_geometry(scan.geometry),
        "protocol": describe_protocol(scan.protocol),
        "subject": scan.subject.pseudonym,
        "identifiers_present": list(scan.subject.identifiers_present),
        "details": scan.details,
        "notes": list(scan.notes),
    }


def describe_protocol(protocol: Protocol) -> dict[str, Any]:
    """The acquisition parameters; texts that people type are left out unless they are one of the standard's words."""
    from mrirecon.io.dicom.attributes import defined_position
    from mrirecon.io.dicom.body_part import defined_part

    found = {f.name: getattr(protocol, f.name) for f in fields(protocol) if f.name != _TYPED}
    found["body_part"] = defined_part(protocol.body_part)
    found["patient_position"] = defined_position(protocol.patient_position)
    return found


def describe_geometry(geometry: Geometry) -> dict[str, Any]:
    """Voxel size, main plane and directions of a grid, and whether they are real."""
    cosines = (geometry.affine[:3, 0], geometry.column_direction, geometry.row_direction)
    return {
        "known": not geometry.nominal,
        "voxel_size_mm_zyx": _rounded(geometry.voxel_size_mm),
        "slice_thickness_mm": round(geometry.slice_thickness_mm, 4),
        "plane": _PLANES[int(abs(geometry.normal).argmax())],
        "towards_zyx": [_towards(direction) for direction in cosines],
        "first_voxel_lps_mm": _rounded(geometry.affine[:3, 3]),
    }


def describe_images(path: Path, kind: Format) -> dict[str, Any]:
    """What a NIfTI file, a DICOM file or a folder of DICOM files holds.

    Raises
    ------
    FormatError
        If it cannot be read.
    """
    readers: dict[str, Callable[[Path], dict[str, Any]]] = {"nifti": _nifti, "dicom": _dicom}
    if kind not in readers:
        raise FormatError(path, f"is {kind}, not an image format")
    return {"kind": "images", "format": kind, **readers[kind](path)}


def _nifti(path: Path) -> dict[str, Any]:
    from mrirecon.io.nifti.summary import nifti_summary

    return nifti_summary(path)


def _dicom(path: Path) -> dict[str, Any]:
    from mrirecon.io.dicom.summary import dicom_summary

    return dicom_summary(path)


def _towards(direction: Any) -> str:
    axis = int(abs(direction).argmax())
    return _DIRECTIONS[axis][int(direction[axis] > 0)]


def _rounded(values: Any) -> list[float]:
    return [round(float(v), 4) for v in values]
