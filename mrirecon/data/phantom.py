"""Phantoms whose k-space is known exactly: the continuous Fourier transform of ellipsoids and boxes in patient space.

Data made with the discrete transform that also reconstructs them hide errors of position and scale. Here every sample
is the Fourier integral of a solid at its LPS position, so that truncation is as in a scanner.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mrirecon.data.solids import Array, Axes, Box, Ellipsoid, Solid, Triple, shift_phase
from mrirecon.errors import ShapeError
from mrirecon.scan.geometry import Geometry

__all__ = [
    "Box",
    "Ellipsoid",
    "HarmonicMaps",
    "analytic_kspace",
    "landmark_solids",
    "rasterise",
    "shepp_logan",
    "shepp_logan_solids",
    "voxel_positions",
]


@dataclass(frozen=True, eq=False)
class HarmonicMaps:
    """Coil sensitivities that are sums of plane waves, so that multi-coil k-space is exact as well.

    ``S_c(r) = sum_l coefficients[c, l] exp(2 pi i frequencies[l] . r)`` with r in LPS mm.

    Parameters
    ----------
    frequencies_per_mm
        Shape (wave, 3).
    coefficients
        Complex, shape (coil, wave).

    References
    ----------
    .. [1] Guerquin-Kern et al., Realistic analytical phantoms for parallel MRI, IEEE Trans. Med. Imaging 31, 2012,
       doi:10.1109/TMI.2011.2174158.
    """

    frequencies_per_mm: Array
    coefficients: NDArray[np.complex128] = field(repr=False)

    @classmethod
    def random(cls, n_coils: int, *, fov_mm: float, generator: torch.Generator) -> HarmonicMaps:
        """Maps of one constant and 26 waves of up to half a cycle per `fov_mm`, with random decaying coefficients."""
        steps = np.array([-1.0, 0.0, 1.0]) / (2 * fov_mm)
        waves = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
        decay = 1 / (1 + 4 * np.square(waves * fov_mm).sum(axis=-1))
        draw = torch.randn(n_coils, len(waves), 2, generator=generator, dtype=torch.float64).numpy()
        return cls(waves, (draw[..., 0] + 1j * draw[..., 1]) * decay / 2)

    def on_grid(self, geometry: Geometry, shape: tuple[int, int, int]) -> Tensor:
        """The maps at the voxel centres, complex64 (coil, z, y, x)."""
        phase = voxel_positions(geometry, shape) @ self.frequencies_per_mm.T
        maps = np.exp(2j * np.pi * phase) @ self.coefficients.T
        return torch.from_numpy(np.moveaxis(maps, -1, 0).astype(np.complex64))


def analytic_kspace(
    solids: Sequence[Solid],
    geometry: Geometry,
    *,
    shape: tuple[int, int, int],
    encoding: str = "2D",
    maps: HarmonicMaps | None = None,
) -> Tensor:
    """K-space of `solids` as an ideal scanner with the encoded grid `geometry` measures it.

    Scaled and centred for the orthonormal transforms of `mrirecon.linalg.fft`: the image is the solids' intensity,
    blurred by truncation only, and voxel ``n // 2`` carries the phase reference.

    Parameters
    ----------
    solids
        What is in the scanner; overlapping intensities add.
    geometry
        The encoded grid.
    shape
        Its voxels, (z, y, x).
    encoding
        "2D": `shape[0]` infinitely thin slices at the voxel centres along z, Fourier encoded along y and x. "3D": all
        three axes Fourier encoded.
    maps
        Coil sensitivities, a single uniform coil when omitted.

    Returns
    -------
        complex64, (slice, coil, ky, kx) for 2D, (coil, kz, ky, kx) for 3D.

    Raises
    ------
    ShapeError
        For another `encoding`.
    GeometryError
        If a 2D slice cuts a box that is not parallel to it.
    """
    if encoding not in ("2D", "3D"):
        raise ShapeError(f"`encoding` must be '2D' or '3D', got {encoding!r}")
    n_axes = int(encoding[0])
    steps = np.array(geometry.affine[:3, 3 - n_axes : 3])
    lengths = np.array(shape[3 - n_axes :])
    voxel = np.linalg.norm(steps, axis=0)
    directions = (steps / voxel).T
    along = [(np.arange(n) - n // 2) / (n * v) for n, v in zip(lengths, voxel, strict=True)]
    grid = np.stack(np.meshgrid(*along, indexing="ij"), axis=-1)
    centre = [n // 2 for n in shape]
    origins = [geometry.position([k, *centre[1:]]) for k in range(shape[0])] if n_axes == 2 else [
        geometry.position(centre)
    ]  # fmt: skip
    unit = voxel.prod() * np.sqrt(lengths.prod())
    waves = maps.frequencies_per_mm if maps is not None else np.zeros((1, 3))
    coefficients = maps.coefficients if maps is not None else np.ones((1, 1), dtype=np.complex128)
    out = np.zeros((len(origins), len(coefficients), *lengths), dtype=np.complex128)
    for index, origin in enumerate(origins):
        phases = np.exp(2j * np.pi * (waves @ origin))
        for wave, weight in zip(waves, (coefficients * phases).T, strict=True):
            moved = grid - directions @ wave
            out[index] += weight.reshape(-1, *[1] * n_axes) * _total(solids, origin, directions, moved)
    kspace = torch.from_numpy((out / unit).astype(np.complex64))
    return kspace if n_axes == 2 else kspace[0]


def rasterise(
    solids: Sequence[Solid], geometry: Geometry, *, shape: tuple[int, int, int], subvoxels: int = 1
) -> Tensor:
    """The solids' intensity on a voxel grid, float32 (z, y, x): mean over `subvoxels`^3 points in every voxel."""
    offsets = (np.arange(subvoxels) + 0.5) / subvoxels - 0.5
    image = np.zeros(shape)
    for dz in offsets:
        for dy in offsets:
            for dx in offsets:
                positions = voxel_positions(geometry.crop((dz, dy, dx)), shape)
                for solid in solids:
                    image += solid.intensity * solid.contains(positions)
    return torch.from_numpy((image / subvoxels**3).astype(np.float32))


def voxel_positions(geometry: Geometry, shape: tuple[int, int, int]) -> Array:
    """LPS positions of all voxel centres, (z, y, x, 3), in millimetres."""
    index = np.stack(np.meshgrid(*(np.arange(n, dtype=np.float64) for n in shape), indexing="ij"), axis=-1)
    return np.asarray(index @ geometry.affine[:3, :3].T + geometry.affine[:3, 3])


def landmark_solids(*, centre_mm: Triple = (0.0, 0.0, 0.0), size_mm: float = 100.0) -> dict[str, Ellipsoid]:
    """A head without any symmetry: named ellipsoids about `centre_mm`, all inside a cube of `size_mm`.

    The three marker balls sit to the right, in front and above, each of its own radius and intensity, so that a flip,
    a transposition or a shift of half a voxel along any axis is visible.
    """
    s, c = size_mm, np.array(centre_mm)

    def at(x: float, y: float, z: float) -> Triple:
        a, b, d = (float(v) for v in c + s * np.array([x, y, z]))
        return a, b, d

    return {
        "head": Ellipsoid(at(0, 0, 0), (0.40 * s, 0.48 * s, 0.44 * s), 1.0),
        "right": Ellipsoid(at(-0.22, 0.05, 0.02), (0.08 * s,) * 3, 1.5),
        "anterior": Ellipsoid(at(0.06, -0.28, -0.04), (0.06 * s,) * 3, 2.5),
        "superior": Ellipsoid(at(0.03, 0.10, 0.24), (0.07 * s,) * 3, 2.0),
    }


# intensity, semi-axes along x and y, centre x and y (y upwards), rotation in degrees; unit: half the field of view
_SHEPP_LOGAN = (
    (1.0, 0.69, 0.92, 0.0, 0.0, 0.0),
    (-0.8, 0.6624, 0.874, 0.0, -0.0184, 0.0),
    (-0.2, 0.11, 0.31, 0.22, 0.0, -18.0),
    (-0.2, 0.16, 0.41, -0.22, 0.0, 18.0),
    (0.1, 0.21, 0.25, 0.0, 0.35, 0.0),
    (0.1, 0.046, 0.046, 0.0, 0.1, 0.0),
    (0.1, 0.046, 0.046, 0.0, -0.1, 0.0),
    (0.1, 0.046, 0.023, -0.08, -0.605, 0.0),
    (0.1, 0.023, 0.023, 0.0, -0.606, 0.0),
    (0.1, 0.023, 0.046, 0.06, -0.605, 0.0),
)


def shepp_logan_solids(fov_mm: float) -> tuple[Ellipsoid, ...]:
    """The head phantom of Shepp and Logan with Toft's contrast, as ellipsoids whose section at z = 0 is the phantom.

    References
    ----------
    .. [1] Shepp and Logan, The Fourier reconstruction of a head section, IEEE Trans. Nucl. Sci. 21, 1974.
    .. [2] Toft, The Radon transform: theory and implementation, PhD thesis, DTU, 1996, p. 199 (intensities).
    """
    half = fov_mm / 2
    solids = []
    for intensity, a, b, x, y, degrees in _SHEPP_LOGAN:
        cosine, sine = float(np.cos(np.radians(degrees))), float(np.sin(np.radians(degrees)))
        axes: Axes = ((cosine, -sine, 0.0), (sine, cosine, 0.0), (0.0, 0.0, 1.0))
        solids.append(Ellipsoid((x * half, -y * half, 0.0), (a * half, b * half, half), intensity, axes))
    return tuple(solids)


def shepp_logan(shape: tuple[int, int], *, subpixels: int = 1) -> Tensor:
    """The Shepp-Logan phantom (Toft's contrast), float32 (1, y, x), values from 0 to 1.

    >>> shepp_logan((64, 48)).shape
    torch.Size([1, 64, 48])
    """
    n, m = shape
    geometry = Geometry.from_centre(
        (1.0 / m if m % 2 == 0 else 0.0, 1.0 / n if n % 2 == 0 else 0.0, 0.0),
        *np.eye(3), shape=(1, n, m), voxel_size_mm=(1e-6, 2.0 / n, 2.0 / m), slice_thickness_mm=1.0,
    )  # fmt: skip
    image = rasterise(shepp_logan_solids(2.0), geometry, shape=(1, n, m), subvoxels=subpixels)
    return image.clamp(min=0.0)


def _total(solids: Sequence[Solid], origin: Array, directions: Array, grid: Array) -> NDArray[np.complex128]:
    """Fourier integral of all solids over the encoded directions, phase reference `origin`."""
    total = np.zeros(grid.shape[:-1], dtype=np.complex128)
    for solid in solids:
        if len(directions) == 2:
            part = solid.section_transform(origin, directions, grid)
        else:
            frequencies = grid @ directions
            part = solid.transform(frequencies) * shift_phase(frequencies, -origin)
        total += solid.intensity * part
    return total
