from __future__ import annotations

import numpy as np
import pytest

from mrirecon.errors import GeometryError
from mrirecon.io.grid import edge_letters, export_affine, slice_order
from mrirecon.scan import Geometry
from tests.io.phantom_series import make_phantom

SHAPE = (16, 80, 96)


def skewed(amount: float) -> Geometry:
    affine = make_phantom().series.geometry.affine.copy()
    row = affine[:3, 2] / np.linalg.norm(affine[:3, 2])
    affine[:3, 1] += amount * np.linalg.norm(affine[:3, 1]) * row
    return Geometry(affine, 3.0)


@pytest.mark.parametrize("left_handed", [False, True])
def test_an_orthogonal_grid_is_kept(left_handed: bool) -> None:
    geometry = make_phantom(left_handed=left_handed).series.geometry
    np.testing.assert_allclose(export_affine(geometry, SHAPE), geometry.affine, atol=1e-10)


def test_axes_become_orthogonal_and_the_centre_stays() -> None:
    geometry = skewed(5e-4)
    affine = export_affine(geometry, SHAPE)
    cosines = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    np.testing.assert_allclose(cosines.T @ cosines, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(affine[:3, :3], axis=0), geometry.voxel_size_mm, atol=1e-12)
    np.testing.assert_allclose((affine @ (8, 40, 48, 1))[:3], geometry.position((8, 40, 48)), atol=1e-9)
    corner = (affine @ (15, 79, 95, 1))[:3] - geometry.position((15, 79, 95))
    assert 0.001 < np.linalg.norm(corner) < 0.1


def test_a_skewed_grid_too_large_to_straighten_is_refused() -> None:
    with pytest.raises(GeometryError, match="quarter"):
        export_affine(skewed(9e-4), (16, 800, 960))


def test_slices_are_ordered_along_row_cross_column() -> None:
    for left_handed in (False, True):
        geometry = make_phantom(left_handed=left_handed).series.geometry
        heights = [geometry.position((k, 0, 0)) @ geometry.normal for k in slice_order(geometry, 16)]
        assert (np.diff(heights) > 0).all()


@pytest.mark.parametrize(
    ("direction", "expected"),
    [
        ((1, 0, 0), ("L", "R")),
        ((0, 1, 0), ("P", "A")),
        ((0, 0, -1), ("F", "H")),
        ((0.9, -0.43, 0.1), ("LA", "RP")),
        ((0.2, 0.97, -0.1), ("P", "A")),
        ((-0.577, 0.578, 0.579), ("HPR", "FAL")),
    ],
)
def test_edge_letters(direction: tuple[float, ...], expected: tuple[str, str]) -> None:
    assert edge_letters(np.array(direction, dtype=float)) == expected
