"""The acquisition parameters that a series must carry. Unknown is `None`, never a made-up number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Protocol:
    """Acquisition parameters, units in the names; `phase_encoding_axis` is the image axis of the phase encoding."""

    echo_time_ms: float | None = None
    repetition_time_ms: float | None = None
    inversion_time_ms: float | None = None
    flip_angle_deg: float | None = None
    field_strength_t: float | None = None
    imaging_frequency_mhz: float | None = None
    pixel_bandwidth_hz: float | None = None
    n_averages: int = 1
    phase_encoding_axis: Literal["x", "y"] = "y"
    dimensionality: Literal["2D", "3D"] = "2D"
    manufacturer: str | None = None
    model: str | None = None
    protocol_name: str | None = None
    sequence_name: str | None = None
    contrast: str | None = None
    body_part: str | None = None
    patient_position: str | None = None
    nucleus: str = "1H"
