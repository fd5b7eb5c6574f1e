"""Simulated coil sensitivities: a birdcage of line currents, and loops by the law of Biot and Savart."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mrirecon.errors import ShapeError

_SEGMENTS = 60


def birdcage_maps(shape: tuple[int, ...], n_coils: int, *, radius: float = 1.5) -> Tensor:
    """Sensitivities of `n_coils` line currents on a circle around the centre, with unit root-sum-of-squares.

    Each falls off as 1/distance and carries the azimuth about its own position as phase, offset by its place on the
    circle. In 3D the coils stand in rings of eight at most, spread over the middle half of z.

    Parameters
    ----------
    shape
        Voxels along ([z,] y, x).
    n_coils
        Receive channels.
    radius
        Of the circle, in half fields of view; more than about 1.42 keeps the coils outside the corners.

    Returns
    -------
        complex64, (coil, *shape).
    """
    _check_coils(shape, n_coils)
    along = [2.0 * (torch.arange(n, dtype=torch.float64) - n // 2) / n for n in shape]
    grid = torch.meshgrid(*along, indexing="ij")
    n_rings = 1 if len(shape) == 2 else math.ceil(n_coils / 8)
    maps = []
    for coil in range(n_coils):
        ring, place = coil % n_rings, coil // n_rings
        angle = 2 * math.pi * (place + ring / (2 * n_rings)) / math.ceil(n_coils / n_rings)
        y, x = grid[-2] - radius * math.sin(angle), grid[-1] - radius * math.cos(angle)
        squared = x**2 + y**2
        if len(shape) == 3:
            squared = squared + (grid[0] - (ring + 0.5 - n_rings / 2) / n_rings) ** 2
        maps.append(torch.polar(squared.rsqrt(), torch.atan2(y, x) - 2 * angle))
    return unit_root_sum_of_squares(torch.stack(maps))


def loop_maps(
    shape: tuple[int, ...],
    n_coils: int,
    *,
    generator: torch.Generator,
    fov: float = 1.0,
    distance: float = 0.75,
    loop_radius: float = 0.3,
    jitter: float = 0.1,
) -> Tensor:
    """Sensitivities of circular surface coils around the object by the Biot-Savart law, with unit root-sum-of-squares.

    The sensitivity is ``B_x - i B_y`` of a unit current (reciprocity, main field along z) at low frequency: without
    wave effects and without coupling. Shading common to all coils is removed by the normalisation; it belongs to the
    image.

    Parameters
    ----------
    shape
        Voxels along ([z,] y, x); a 2D shape is the plane z = 0.
    n_coils
        Loops, at random angles about z near an even spacing, in rings of eight at most.
    generator
        Of the jitter.
    fov
        Field of view along y and x (the longer), the unit of the lengths below; along z in proportion to the voxels.
    distance
        From the axis to the loops' centres; at least 0.71 `fov` plus a little keeps the wires outside the corners.
    loop_radius
        Radius of the loops.
    jitter
        Standard deviation of the loops' positions, tilts and radii, relative.

    Returns
    -------
        complex64, (coil, *shape).

    References
    ----------
    .. [1] Hoult and Richards, The signal-to-noise ratio of the nuclear magnetic resonance experiment, J. Magn. Reson.
       24, 1976 (reciprocity).
    """
    _check_coils(shape, n_coils)
    voxel = fov / max(shape[-2:])
    along = [(torch.arange(n, dtype=torch.float64) - n // 2) * voxel for n in shape]
    grid = list(torch.meshgrid(*along, indexing="ij"))
    z = grid[0] if len(shape) == 3 else torch.zeros(shape, dtype=torch.float64)
    positions = torch.stack([grid[-1], grid[-2], z], dim=-1)
    n_rings = math.ceil(n_coils / 8)
    maps = []
    for coil in range(n_coils):
        ring, place = coil % n_rings, coil // n_rings
        draw = torch.randn(5, generator=generator, dtype=torch.float64) * jitter
        angle = 2 * math.pi * (place + ring / (2 * n_rings) + float(draw[0])) / math.ceil(n_coils / n_rings)
        height = 2 * loop_radius * (ring + 0.5 - n_rings / 2) + float(draw[1]) * loop_radius
        outward = torch.tensor([math.cos(angle), math.sin(angle), 0.0], dtype=torch.float64)
        centre = distance * (1 + abs(float(draw[2]))) * outward
        centre[2] = height
        normal = outward + torch.tensor([0.0, 0.0, float(draw[3])], dtype=torch.float64)
        radius = loop_radius * math.exp(float(draw[4]))
        field = loop_field(positions, centre=centre, normal=normal / normal.norm(), radius=radius)
        maps.append(torch.complex(field[..., 0], -field[..., 1]))
    return unit_root_sum_of_squares(torch.stack(maps))


def loop_field(positions: Tensor, *, centre: Tensor, normal: Tensor, radius: float) -> Tensor:
    """Magnetic field of a circular loop of unit current, times 4 pi / mu_0, at `positions` (..., 3) as (..., 3).

    The Biot-Savart integral by the rectangle rule over equal segments, which converges exponentially away from the
    wire.
    """
    helper = torch.eye(3, dtype=positions.dtype)[int(normal.abs().argmin())]
    u = torch.linalg.cross(normal, helper)
    u = u / u.norm()
    v = torch.linalg.cross(normal, u)
    field = torch.zeros_like(positions)
    for segment in range(_SEGMENTS):
        angle = 2 * math.pi * segment / _SEGMENTS
        wire = centre + radius * (math.cos(angle) * u + math.sin(angle) * v)
        element = (2 * math.pi * radius / _SEGMENTS) * (math.cos(angle) * v - math.sin(angle) * u)
        away = positions - wire
        field += torch.linalg.cross(element.expand_as(away), away) / away.norm(dim=-1, keepdim=True) ** 3
    return field


def unit_root_sum_of_squares(maps: Tensor) -> Tensor:
    """Maps (coil, ...) divided by their root-sum-of-squares over the coils, as complex64; zero where all vanish."""
    total = torch.linalg.vector_norm(maps, dim=0, keepdim=True)
    return torch.where(total > 0, maps / total.clamp_min(torch.finfo(total.dtype).tiny), 0).to(torch.complex64)


def _check_coils(shape: tuple[int, ...], n_coils: int) -> None:
    if len(shape) not in (2, 3) or n_coils < 1:
        raise ShapeError(f"a shape ([z,] y, x) and at least one coil are needed, got {shape} and {n_coils}")
