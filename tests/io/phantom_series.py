"""An image series that exposes axis mistakes: triple-oblique, anisotropic, off-centre, asymmetric, tiny values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrirecon.scan import Derivation, Geometry, ImageSeries, Protocol, Subject

VOXEL_MM = (3.6, 1.2, 0.9)
THICKNESS_MM = 3.0


@dataclass(frozen=True)
class Phantom:
    series: ImageSeries
    ball_lps: NDArray[np.float64]


def rotation() -> NDArray[np.float64]:
    """Columns: slice, column (y) and row (x) directions; row x column = slice direction."""
    a, b, c = np.radians([17.0, -23.0, 31.0])
    rx = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    ry = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    rz = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return (rz @ ry @ rx)[:, [2, 1, 0]]


def make_phantom(
    *,
    shape: tuple[int, int, int] = (16, 80, 96),
    left_handed: bool = False,
    nominal: bool = False,
    protocol: Protocol | None = None,
    parameters: dict[str, Any] | None = None,
    **changes: Any,
) -> Phantom:
    """An ellipsoid with a dark ventricle and a bright ball towards left, anterior, superior; maximum about 3e-5."""
    directions = rotation()
    if left_handed:
        directions[:, 0] *= -1
    place: dict[str, Any] = {"shape": shape, "voxel_size_mm": VOXEL_MM, "slice_thickness_mm": THICKNESS_MM}
    if nominal:
        geometry = Geometry.placeholder(**place)
    else:
        geometry = Geometry.from_centre(
            (11.3, -27.9, 41.7),
            *(directions[:, axis] for axis in (2, 1, 0)),
            **place,
            frame_of_reference_uid="1.2.840.99999.7",
        )
    index = np.stack([*np.indices(shape), np.ones(shape)])
    lps = np.einsum("ab,bkji->akji", geometry.affine[:3], index)
    centre = geometry.position([n // 2 for n in shape])
    extent = np.array(shape) * VOXEL_MM
    local = np.einsum("ab,akji->bkji", geometry.affine[:3, :3] / np.array(VOXEL_MM), lps - centre[:, None, None, None])
    body = (local / (0.42 * extent)[:, None, None, None]) ** 2
    image = np.where(body.sum(0) < 1, 1.0, 0.0)
    hole = 0.16 * extent.min() * np.array([-1.0, 1.0, -1.2])
    dark = local - hole[:, None, None, None]
    image -= 0.6 * (np.linalg.norm(dark, axis=0) < 0.13 * extent.min())
    direction = np.array([0.5, -0.6, 0.4])
    ball = centre + 0.22 * extent.min() * direction / np.linalg.norm(direction)
    inside = np.linalg.norm(lps - ball[:, None, None, None], axis=0)
    image += 2.0 / (1 + np.exp(2.0 * (inside - 6.0)))
    noise = np.random.default_rng(7).normal(size=(2, *shape)) * 0.03
    magnitude = np.hypot(image + noise[0], noise[1]) * 1e-5
    derivation = Derivation(
        method="sense",
        summary="sense, R=4, 24 calibration lines, mrirecon",
        parameters=parameters or {"acceleration": 4, "seed": 1},
        input_sha256="ab" * 32,
        simulated=True,
    )
    values: dict[str, Any] = {
        "image": magnitude.astype(np.float32),
        "geometry": geometry,
        "protocol": protocol or known_protocol(),
        "subject": Subject("ANON-1234abcd"),
        "derivation": derivation,
        "description": "SENSE R4",
    }
    return Phantom(ImageSeries(**(values | changes)), ball)


def known_protocol() -> Protocol:
    return Protocol(
        echo_time_ms=90.0,
        repetition_time_ms=4000.0,
        inversion_time_ms=None,
        flip_angle_deg=140.0,
        field_strength_t=2.89,
        imaging_frequency_mhz=123.2545,
        pixel_bandwidth_hz=199.7,
        phase_encoding_axis="x",
        manufacturer="SIEMENS",
        model="Skyra",
        protocol_name="t2_tse_tra",
        body_part="BRAIN",
        patient_position="HFS",
    )
