"""A simulated multi-coil head for benchmarks and tests: ellipses, smooth phase, birdcage coils, noise, sampling.

Self-contained on purpose, so that it measures the package without being built from it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

# Intensity, semi-axes (y, x), centre (y, x) in half fields of view, angle in degrees: Shepp and Logan's head with
# the contrast of Toft's modified version.
ELLIPSES = (
    (1.0, 0.92, 0.69, 0.0, 0.0, 0.0),
    (-0.8, 0.874, 0.6624, 0.0184, 0.0, 0.0),
    (-0.2, 0.31, 0.11, 0.0, 0.22, -18.0),
    (-0.2, 0.41, 0.16, 0.0, -0.22, 18.0),
    (0.1, 0.25, 0.21, -0.35, 0.0, 0.0),
    (0.1, 0.046, 0.046, -0.1, 0.0, 0.0),
    (0.1, 0.046, 0.046, 0.1, 0.0, 0.0),
    (0.1, 0.023, 0.046, 0.605, -0.08, 0.0),
    (0.1, 0.023, 0.023, 0.605, 0.0, 0.0),
    (0.1, 0.046, 0.023, 0.605, 0.06, 0.0),
)


@dataclass(frozen=True)
class Phantom:
    """`image` (1, y, x), `maps` (coil, y, x) of unit root-sum-of-squares, fully sampled noisy `kspace` (coil, ky, kx),
    and `support` (y, x): where the object is."""

    image: Tensor
    maps: Tensor
    kspace: Tensor
    support: Tensor


def grid(shape: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Coordinates (y, x) in half fields of view, 0 at index ``n // 2``."""
    y, x = ((torch.arange(n, dtype=torch.float64) - n // 2) / (n / 2) for n in shape)
    return y[:, None], x[None, :]


def shepp_logan(shape: tuple[int, int], *, extent: tuple[float, float] = (1.0, 1.0)) -> Tensor:
    """The modified Shepp-Logan head (y, x), float64 in [0, 1], stretched by `extent` along y and x."""
    y, x = (c / e for c, e in zip(grid(shape), extent, strict=True))
    image = torch.zeros(shape, dtype=torch.float64)
    for intensity, a, b, y0, x0, degrees in ELLIPSES:
        c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        u, v = c * (y - y0) + s * (x - x0), -s * (y - y0) + c * (x - x0)
        image[(u / a) ** 2 + (v / b) ** 2 <= 1] += intensity
    return image.clamp_min(0.0)


def smooth_phase(shape: tuple[int, int]) -> Tensor:
    """A unit phasor (y, x) that varies over about one turn, as of an off-centre echo and a susceptibility gradient."""
    y, x = grid(shape)
    return torch.polar(torch.ones(shape, dtype=torch.float64), 0.9 * y - 0.6 * x + 0.8 * torch.sin(2 * x + y))


def birdcage_maps(shape: tuple[int, int], n_coils: int, *, radius: float = 1.5, normalise: bool = True) -> Tensor:
    """Sensitivities (coil, y, x) of short loops on a circle of `radius` half fields of view, complex128."""
    y, x = grid(shape)
    angles = 2 * math.pi * torch.arange(n_coils, dtype=torch.float64)[:, None, None] / n_coils
    dy, dx = y - radius * torch.sin(angles), x - radius * torch.cos(angles)
    maps = torch.polar(1 / torch.hypot(dy, dx), torch.atan2(dx, -dy) + angles)
    return maps / torch.linalg.vector_norm(maps, dim=0, keepdim=True) if normalise else maps


def to_kspace(images: Tensor) -> Tensor:
    """Centred orthonormal Fourier transform over the last two axes."""
    axes = (-2, -1)
    return torch.fft.fftshift(torch.fft.fft2(torch.fft.ifftshift(images, dim=axes), norm="ortho"), dim=axes)


def make_phantom(
    shape: tuple[int, int] = (320, 320),
    n_coils: int = 15,
    *,
    noise: float = 2e-3,
    seed: int = 0,
    dtype: torch.dtype = torch.complex64,
) -> Phantom:
    """The head seen by birdcage coils, with complex Gaussian noise.

    Parameters
    ----------
    shape
        Matrix (y, x).
    n_coils
        Receive coils.
    noise
        Standard deviation per real component in k-space and image alike, relative to an image of maximum 1.
    seed
        Of the noise.
    """
    magnitude = shepp_logan(shape)
    image = (magnitude * smooth_phase(shape))[None]
    maps = birdcage_maps(shape, n_coils)
    generator = torch.Generator().manual_seed(seed)
    pairs = torch.randn((n_coils, *shape, 2), dtype=torch.float64, generator=generator)
    kspace = to_kspace(image * maps) + noise * torch.view_as_complex(pairs)
    y, x = grid(shape)
    support = (y / 0.92) ** 2 + (x / 0.69) ** 2 <= 1
    return Phantom(image.to(dtype), maps.to(dtype), kspace.to(dtype), support)


def folded_phantom(
    shape: tuple[int, int], n_coils: int, *, noise: float = 1e-4, seed: int = 0, dtype: torch.dtype = torch.complex64
) -> tuple[Tensor, Tensor]:
    """K-space (coil, ky, kx) of a head that is higher than the field of view, and how often (y, x) it lies there.

    The head is made on a grid of twice the height with its own coil sensitivities, and every second line of its
    k-space is kept: rows half a field of view beyond the edge lie on top of others.
    """
    rows, columns = shape
    tall = (2 * rows, columns)
    magnitude = shepp_logan(tall, extent=(0.7, 1.0))  # 0.92 * 0.7 of the tall grid: 1.29 fields of view
    images = magnitude * smooth_phase(tall) * birdcage_maps(tall, n_coils, radius=1.3)
    kspace = to_kspace(images)[:, rows % 2 :: 2]
    generator = torch.Generator().manual_seed(seed)
    pairs = torch.randn((n_coils, *shape, 2), dtype=torch.float64, generator=generator)
    layers = (magnitude > 0).roll(rows // 2, 0).reshape(2, rows, columns).sum(0)
    return (kspace + noise * torch.view_as_complex(pairs)).to(dtype), layers


def random_lines(n: int, *, acceleration: float = 4.0, centre_lines: int = 24, seed: int = 0) -> Tensor:
    """A bool mask (1, n): `centre_lines` in the middle, further lines drawn until there are n / `acceleration`."""
    mask = torch.zeros(n, dtype=torch.bool)
    start = n // 2 - centre_lines // 2
    mask[start : start + centre_lines] = True
    outer = torch.nonzero(~mask).flatten()
    generator = torch.Generator().manual_seed(seed)
    wanted = max(0, round(n / acceleration) - centre_lines)
    mask[outer[torch.randperm(outer.numel(), generator=generator)[:wanted]]] = True
    return mask[None, :]
