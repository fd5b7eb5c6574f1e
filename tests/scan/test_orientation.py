"""Reordering to the standard view moves numbers in memory and nothing in the patient."""

import itertools

import numpy as np
import pytest

from mrirecon.scan import Geometry, Protocol
from mrirecon.scan.orientation import reordered, standard_view

SHAPE = (3, 4, 5)
STANDARD = {
    "transverse": ((1, 0, 0), (0, 1, 0)),
    "coronal": ((1, 0, 0), (0, 0, -1)),
    "sagittal": ((0, 1, 0), (0, 0, -1)),
}


def grid(row, column, *, tilt=0.0):
    row, column = np.array(row, float), np.array(column, float)
    normal = np.cross(row, column)
    tilted = np.cos(tilt) * row + np.sin(tilt) * normal
    normal = np.cross(tilted, column)
    return Geometry.from_centre(
        (10, -20, 30), tilted, column, normal, shape=SHAPE, voxel_size_mm=(5.0, 1.5, 1.0), slice_thickness_mm=4.0
    )


@pytest.mark.parametrize("plane", STANDARD)
@pytest.mark.parametrize(("exchange", "flip_row", "flip_column"), list(itertools.product([False, True], repeat=3)))
@pytest.mark.parametrize("tilt", [0.0, 0.4])
def test_every_way_of_encoding_ends_in_the_standard_view(plane, exchange, flip_row, flip_column, tilt) -> None:
    row, column = (np.array(v, float) for v in STANDARD[plane])
    row, column = (-row if flip_row else row), (-column if flip_column else column)
    if exchange:
        row, column = column, row
    geometry = grid(row, column, tilt=tilt if not exchange else -tilt)
    image = np.random.default_rng(0).random(SHAPE, dtype=np.float32)
    new, moved, protocol = reordered(image, geometry, Protocol(phase_encoding_axis="y"), standard_view(geometry))
    want_row, want_column = STANDARD[plane]
    assert moved.row_direction @ want_row > 0.8
    assert moved.column_direction @ want_column > 0.8
    assert protocol.phase_encoding_axis == ("x" if exchange else "y")
    for index in np.ndindex(*new.shape):
        place = moved.position(index)
        old = np.rint(np.linalg.solve(geometry.affine, [*place, 1.0])[:3]).astype(int)
        np.testing.assert_allclose(geometry.position(old), place, atol=1e-9)
        assert image[tuple(old)] == new[index]


def test_a_standard_grid_is_left_alone() -> None:
    assert standard_view(grid((1, 0, 0), (0, 1, 0))).is_identity
