"""Analytic k-space against dense numerical integration, and positions against the geometry."""

import numpy as np
import pytest
import torch

from mrirecon.data.phantom import (
    Box,
    Ellipsoid,
    HarmonicMaps,
    analytic_kspace,
    landmark_solids,
    rasterise,
    shepp_logan,
    shepp_logan_solids,
    voxel_positions,
)
from mrirecon.errors import GeometryError, ShapeError
from mrirecon.linalg.fft import fft, ifft
from mrirecon.scan import Geometry


def rotation(*degrees):
    """Rotations about x, y, z in turn, columns are the rotated axes."""
    out = np.eye(3)
    for axis, angle in enumerate(np.radians(degrees)):
        i, j = (axis + 1) % 3, (axis + 2) % 3
        turn = np.eye(3)
        turn[[i, j], [i, j]] = np.cos(angle)
        turn[i, j], turn[j, i] = -np.sin(angle), np.sin(angle)
        out = turn @ out
    return out


def axes_of(matrix):
    return tuple(tuple(float(v) for v in row) for row in matrix.T)


def oblique(shape, voxel, centre=(12.0, -7.0, 31.0), degrees=(20, -35, 50), thickness=None):
    x, y, z = rotation(*degrees).T
    return Geometry.from_centre(
        centre, x, y, z, shape=shape, voxel_size_mm=voxel, slice_thickness_mm=thickness or voxel[0]
    )


def numeric_transform(contains, centre, half_width, frequencies, n):
    """Midpoint rule for the Fourier integral over a cube."""
    points = ((np.arange(n) + 0.5) / n - 0.5) * 2 * half_width
    grid = np.stack(np.meshgrid(points, points, points, indexing="ij"), axis=-1).reshape(-1, 3) + centre
    inside = grid[contains(grid)]
    return np.exp(-2j * np.pi * inside @ frequencies.T).sum(axis=0) * (2 * half_width / n) ** 3


SOLIDS = {
    "ellipsoid": (Ellipsoid((3.0, -4.0, 5.0), (8.0, 5.0, 3.0), axes=axes_of(rotation(30, 40, -20))), 2e-3),
    "box": (Box((3.0, -4.0, 5.0), (12.0, 7.0, 4.0), axes=axes_of(rotation(30, 40, -20))), 1e-2),
}


@pytest.mark.parametrize("name", SOLIDS)
def test_transform_of_a_solid_is_its_fourier_integral(name):
    solid, tolerance = SOLIDS[name]
    rng = np.random.default_rng(0)
    frequencies = rng.uniform(-0.08, 0.08, (6, 3))
    frequencies[0] = 0
    expected = numeric_transform(solid.contains, np.array(solid.centre_mm), 9.0, frequencies, 120)
    got = solid.transform(frequencies)
    assert np.abs(got - expected).max() < tolerance * abs(expected[0])


@pytest.mark.parametrize("name", SOLIDS)
def test_section_is_the_fourier_integral_over_the_plane(name):
    solid, tolerance = SOLIDS[name]
    plane = np.array(solid.axes)[:2] if name == "box" else rotation(-15, 25, 70).T[:2]
    origin = np.array(solid.centre_mm) + np.array([0.7, -0.4, 0.9])
    points = ((np.arange(1500) + 0.5) / 1500 - 0.5) * 24
    u, v = np.meshgrid(points, points, indexing="ij")
    inside = solid.contains(origin + u[..., None] * plane[0] + v[..., None] * plane[1])
    frequencies = np.array([[0.0, 0.0], [0.05, -0.03], [-0.08, 0.06]])
    expected = [(inside * np.exp(-2j * np.pi * (f[0] * u + f[1] * v))).sum() * (24 / 1500) ** 2 for f in frequencies]
    got = solid.section_transform(origin, plane, frequencies)
    assert np.abs(got - expected).max() < tolerance * abs(expected[0])
    far = origin + 50 * np.cross(*plane)
    assert np.abs(solid.section_transform(far, plane, frequencies)).max() == 0


def centroid_of(image, geometry):
    """LPS centroid of the squared image: ringing decays fast in it."""
    weight = image**2
    return (voxel_positions(geometry, image.shape) * weight[..., None]).sum(axis=(0, 1, 2)) / weight.sum()


def test_image_has_the_intensity_of_the_solid_inside():
    geometry = oblique((5, 64, 80), (3.0, 2.0, 2.0))
    solids = list(landmark_solids(centre_mm=(12.0, -7.0, 31.0)).values())
    image = ifft(analytic_kspace(solids, geometry, shape=(5, 64, 80)), (-2, -1))[:, 0]
    dense = rasterise(solids, geometry, shape=(5, 64, 80), subvoxels=4)
    assert image.imag.abs().max() < 0.2
    error = torch.linalg.vector_norm(image.real - dense) / torch.linalg.vector_norm(dense)
    assert error < 0.08  # Gibbs ringing at the edges, and slices that are thin here and thick there
    assert abs(float(image[2, 32, 40].real) - float(dense[2, 32, 40])) < 0.05


@pytest.mark.parametrize("shape", [(24, 36, 40), (25, 35, 41)])
def test_landmarks_lie_where_the_geometry_says_3d(shape):
    geometry = oblique(shape, (4.0, 3.0, 2.5), centre=(2.0, -3.0, 4.0))
    marks = landmark_solids(centre_mm=(2.0, -3.0, 4.0), size_mm=80.0)
    for name in ("right", "anterior", "superior"):
        kspace = analytic_kspace([marks[name]], geometry, shape=shape, encoding="3D")[0]
        image = ifft(kspace, (-3, -2, -1)).real.double().numpy()
        centroid = centroid_of(image, geometry)
        assert np.linalg.norm(centroid - marks[name].centre_mm) < 0.15, name


def test_landmarks_lie_where_the_geometry_says_2d():
    shape, voxel = (40, 48, 56), (2.0, 2.0, 2.0)
    geometry = oblique(shape, voxel)
    mark = landmark_solids(centre_mm=(12.0, -7.0, 31.0), size_mm=80.0)["right"]
    image = ifft(analytic_kspace([mark], geometry, shape=shape), (-2, -1))[:, 0].real.double().numpy()
    centroid = centroid_of(image, geometry)
    assert np.linalg.norm(centroid - mark.centre_mm) < 0.15
    volume = image.sum() * 8.0
    assert volume == pytest.approx(mark.intensity * 4 / 3 * np.pi * 6.4**3, rel=0.02)


def test_a_flip_or_shift_is_visible():
    """The phantom is told apart from all its mirror images and from a shift by one voxel."""
    shape = (24, 32, 32)
    geometry = Geometry.placeholder(shape=shape, voxel_size_mm=(4.0, 3.0, 3.0), slice_thickness_mm=4.0)
    image = rasterise(list(landmark_solids(size_mm=80.0).values()), geometry, shape=shape)
    for axes in [(0,), (1,), (2,), (0, 1), (1, 2), (0, 2), (0, 1, 2)]:
        mirrored = image.flip(axes).roll(tuple(1 - n % 2 for n in shape), (0, 1, 2))
        assert torch.linalg.vector_norm(mirrored - image) > 0.2 * torch.linalg.vector_norm(image)


@pytest.mark.parametrize("encoding", ["2D", "3D"])
def test_multi_coil_data_are_the_maps_times_the_object(encoding):
    shape = (10, 24, 26)
    geometry = oblique(shape, (5.0, 2.5, 2.5))
    maps = HarmonicMaps.random(4, fov_mm=80.0, generator=torch.Generator().manual_seed(3))
    smooth = [Ellipsoid((12.0, -7.0, 31.0), (15.0, 20.0, 12.0), axes=axes_of(rotation(10, 0, 30)))]
    fine = tuple(n * 4 if encoding == "3D" or i else n for i, n in enumerate(shape))
    dense_geometry = geometry.resampled(shape, fine)
    dense = rasterise(smooth, dense_geometry, shape=fine) * maps.on_grid(dense_geometry, fine)
    axes = (-2, -1) if encoding == "2D" else (-3, -2, -1)
    full = fft(dense, axes)
    got = analytic_kspace(smooth, geometry, shape=shape, encoding=encoding, maps=maps)
    got = got.transpose(0, 1) if encoding == "2D" else got
    middle = [slice(n // 2 - 4, n // 2 + 5) for n in shape]
    middle_fine = [slice(n // 2 - 4, n // 2 + 5) for n in fine]
    ratio = np.prod([n / m for n, m in zip(shape, fine, strict=True)]) ** 0.5
    a, b = got[(slice(None), *middle)], full[(slice(None), *middle_fine)] * ratio
    assert torch.linalg.vector_norm(a - b) < 0.02 * torch.linalg.vector_norm(b)


def test_shepp_logan_matches_sigpy():
    """Sigpy draws it upside down, as the central section of the 3D phantom: three small ellipses are elsewhere."""
    sigpy = pytest.importorskip("sigpy")
    n = 129
    peer = torch.from_numpy(np.asarray(sigpy.shepp_logan((n, n)).real, dtype=np.float32)).flip(0)
    ours = shepp_logan((n, n))[0]
    assert float(((ours - peer).abs() < 1e-3).float().mean()) > 0.96


def test_shepp_logan_values_and_solids_agree():
    image = shepp_logan((101, 101))[0]
    assert image.min() == 0
    assert image.max() == pytest.approx(1.0)
    assert float(image[50, 50]) == pytest.approx(0.2, abs=1e-6)
    geometry = Geometry.placeholder(shape=(1, 101, 101), voxel_size_mm=(1.0, 2.0, 2.0), slice_thickness_mm=1.0)
    kspace = analytic_kspace(shepp_logan_solids(202.0), geometry, shape=(1, 101, 101))[0, 0]
    error = torch.linalg.vector_norm(ifft(kspace, (-2, -1)).abs() - image) / torch.linalg.vector_norm(image)
    assert error < 0.3  # a skull of two pixels rings
    low = torch.tensor(
        [[float((ifft(kspace, (-2, -1)).real * t).mean()), float((image * t).mean())] for t in _tiles(101)]
    )
    assert (low[:, 0] - low[:, 1]).abs().max() < 0.003


def _tiles(n):
    """Smooth test functions, for which truncation does not matter."""
    x = (torch.arange(n) - n // 2) / n
    for a, b in [(0, 0), (0.2, 0.1), (-0.2, 0.1), (0.0, -0.3), (0.1, 0.25)]:
        yield torch.exp(-((x[:, None] - a) ** 2 + (x[None] - b) ** 2) / (2 * 0.06**2))


def test_what_cannot_be_done_is_refused():
    geometry = oblique((3, 8, 8), (5.0, 5.0, 5.0))
    with pytest.raises(GeometryError, match="parallel to its faces"):
        analytic_kspace([Box((12.0, -7.0, 31.0), (9.0, 9.0, 9.0))], geometry, shape=(3, 8, 8))
    with pytest.raises(ShapeError, match="'2D' or '3D'"):
        analytic_kspace([], geometry, shape=(3, 8, 8), encoding="4D")
