"""A scan's header as a dictionary that data loaders can stack, and back.

Loaders collate tensors, numbers and texts, and nothing else: no `None`, no records. So the header has the same keys for
every scan; an unknown number is NaN, an unknown text is empty. `encoding_of` and its siblings undo that.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
import torch

from mrirecon.scan import Encoding, Geometry, Protocol, Scan, Subject

T = TypeVar("T", Encoding, Protocol)

ALL_PLANES = -1
_JOINED = "\n"


def describe_scan(scan: Scan, *, plane: int = ALL_PLANES) -> dict[str, Any]:
    """The header of a scan, or of one of its slices."""
    geometry = scan.geometry if plane == ALL_PLANES else scan.geometry.crop((plane, 0, 0))
    return {
        "path": str(scan.source),
        "format": scan.format,
        "plane": plane,
        "n_planes": scan.n_planes,
        "is_3d": scan.is_3d,
        "simulated": scan.simulated,
        "notes": _JOINED.join(scan.notes),
        "noise_bandwidth_ratio": float(scan.noise_bandwidth_ratio),
        "encoding": _flat(scan.encoding),
        "geometry": flat_geometry(geometry),
        "protocol": _flat(scan.protocol),
        "subject": {
            "pseudonym": scan.subject.pseudonym,
            "identifiers_present": _JOINED.join(scan.subject.identifiers_present),
        },
    }


def encoding_of(meta: Mapping[str, Any]) -> Encoding:
    """The encoding of the k-space beside this header."""
    return _record(Encoding, meta["encoding"])


def protocol_of(meta: Mapping[str, Any]) -> Protocol:
    """The acquisition parameters."""
    return _record(Protocol, meta["protocol"])


def subject_of(meta: Mapping[str, Any]) -> Subject:
    """The pseudonym; identifiers of the source are not carried."""
    present = str(meta["subject"]["identifiers_present"])
    return Subject(str(meta["subject"]["pseudonym"]), tuple(present.split(_JOINED)) if present else ())


def geometry_of(meta: Mapping[str, Any], *, of: str = "geometry") -> Geometry:
    """The grid of the k-space ("geometry") or, after `ToReconMatrixd`, of the images ("image_geometry")."""
    flat = meta[of]
    return Geometry(
        np.array(torch.as_tensor(flat["affine"]).numpy(), dtype=np.float64),
        float(flat["slice_thickness_mm"]),
        nominal=bool(flat["nominal"]),
        frame_of_reference_uid=str(flat["frame_of_reference_uid"]) or None,
    )


def notes_of(meta: Mapping[str, Any]) -> tuple[str, ...]:
    """What reader and transforms did, one sentence each."""
    return tuple(n for n in str(meta["notes"]).split(_JOINED) if n)


def with_encoding(meta: Mapping[str, Any], encoding: Encoding, geometry: Geometry) -> dict[str, Any]:
    """A copy of the header for k-space on another grid."""
    return {**meta, "encoding": _flat(encoding), "geometry": flat_geometry(geometry)}


def with_note(meta: Mapping[str, Any], note: str) -> dict[str, Any]:
    """A copy with one sentence more."""
    return {**meta, "notes": _JOINED.join((*notes_of(meta), note))}


def flat_geometry(geometry: Geometry) -> dict[str, Any]:
    """A grid as tensors, numbers and texts."""
    return {
        "affine": torch.tensor(np.array(geometry.affine)),
        "slice_thickness_mm": float(geometry.slice_thickness_mm),
        "nominal": geometry.nominal,
        "frame_of_reference_uid": geometry.frame_of_reference_uid or "",
    }


def _flat(record: Any) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        if value is None:
            value = math.nan if "float" in str(field.type) else ""
        elif isinstance(value, tuple):
            value = torch.tensor(value, dtype=torch.int64 if isinstance(value[0], int) else torch.float64)
        flat[field.name] = value
    return flat


def _record(cls: type[T], flat: Mapping[str, Any]) -> T:
    values: dict[str, Any] = {}
    for field in dataclasses.fields(cls):
        value = flat[field.name]
        if isinstance(value, torch.Tensor):
            value = tuple(value.tolist()) if value.ndim else value.item()
        if "None" in str(field.type) and (value == "" or (isinstance(value, float) and math.isnan(value))):
            value = None
        values[field.name] = value
    return cls(**values)
