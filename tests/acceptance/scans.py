"""Raw scans of a landmark phantom with exact k-space, written as a scanner would."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mrirecon.data.phantom import Ellipsoid, HarmonicMaps, analytic_kspace
from mrirecon.io.ismrmrd.write import write_ismrmrd
from mrirecon.scan import Encoding, Geometry, Protocol

BALL = (-21.0, -17.0, 9.0)  # LPS mm: right, anterior, superior of the centre
CENTRE = (12.0, -8.0, 25.0)


@dataclass(frozen=True)
class ScanRecipe:
    """A scan to write; sizes are of the reconstructed matrix, z, y, x."""

    matrix: tuple[int, int, int] = (9, 64, 72)
    voxel: tuple[float, float, float] = (5.0, 2.4, 2.0)
    oversampling: float = 2.0
    encoding: str = "2D"
    oblique: bool = True
    interleaved: bool = True
    first_line: int = 0
    encoded_lines: int | None = None
    exchange: bool = False
    n_coils: int = 4
    noise_scan: bool = True
    seed: int = 0

    @property
    def ball(self) -> np.ndarray:
        return np.array(CENTRE) + np.array(BALL)


def rotation(oblique: bool) -> np.ndarray:
    """Columns: read, phase and slice direction."""
    if not oblique:
        return np.eye(3)
    a, b, c = 0.35, -0.2, 0.5
    x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return z @ y @ x


def write_scan(path: Path, recipe: ScanRecipe, *, fault: Callable[[Tensor], Tensor] | None = None) -> Path:
    """A sphere with a bright ball, seen by smooth coils, with noise and a noise scan.

    `fault` is what happens to the data (plane, coil, ky, kx) between the receivers and the file.
    """
    nz, ny, nx = recipe.matrix
    dz, dy, dx = recipe.voxel
    lines = recipe.encoded_lines or ny
    encoded = (nz if recipe.encoding == "3D" else 1, lines, round(nx * recipe.oversampling))
    read, phase, normal = rotation(recipe.oblique).T
    if recipe.exchange:
        read, phase = phase, -read
    thickness = dz if recipe.encoding == "3D" else 0.8 * dz
    fov = (nz * dz if recipe.encoding == "3D" else thickness, ny * dy, nx * dx)
    grid = (nz, lines, encoded[2])
    geometry = Geometry.from_centre(
        CENTRE, read, phase, normal,
        shape=grid, voxel_size_mm=(dz, ny * dy / lines, dx), slice_thickness_mm=thickness,
    )  # fmt: skip
    generator = torch.Generator().manual_seed(recipe.seed)
    maps = HarmonicMaps.random(recipe.n_coils, fov_mm=200.0, generator=generator)
    solids = (
        Ellipsoid(CENTRE, (58.0, 62.0, 55.0), 1.0),
        Ellipsoid(tuple(float(v) for v in recipe.ball), (6.0, 6.0, 6.0), 2.0),
    )
    kspace = analytic_kspace(solids, geometry, shape=grid, encoding=recipe.encoding, maps=maps)
    if recipe.encoding == "3D":
        kspace = kspace.movedim(1, 0)  # (kz, coil, ky, kx)
    sigma = 0.01
    kspace = kspace + sigma * torch.randn(kspace.shape, dtype=torch.complex64, generator=generator)
    kspace = kspace if fault is None else fault(kspace)
    mask = torch.ones(1, lines, 1, dtype=torch.bool)
    mask[:, : recipe.first_line] = False
    noise = sigma * torch.randn(recipe.n_coils, 4096, dtype=torch.complex64, generator=generator)
    return write_ismrmrd(
        path,
        kspace * mask,
        encoding=Encoding(encoded, recipe.matrix if recipe.encoding == "3D" else (1, ny, nx),
                          (fov[0], fov[1], fov[2] * recipe.oversampling), fov),
        geometry=geometry,
        protocol=Protocol(
            echo_time_ms=12.0, repetition_time_ms=500.0, flip_angle_deg=30.0, field_strength_t=3.0,
            manufacturer="ACME", model="Scanner", protocol_name="head", patient_position="HFS", body_part="BRAIN",
            dimensionality=recipe.encoding,
        ),
        mask=mask,
        noise=noise if recipe.noise_scan else None,
        interleaved=recipe.interleaved,
        simulated=True,
    )  # fmt: skip
