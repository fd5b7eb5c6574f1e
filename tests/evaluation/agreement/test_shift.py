"""Shifts below a voxel against shifts that were put in by the formula of the object."""

from __future__ import annotations

import numpy as np
import pytest

from mrirecon.errors import ShapeError
from mrirecon.evaluation.agreement.shift import phase_shift
from tests.evaluation.agreement.scene import grid, seen

GRID = grid()
VOXEL = np.array(GRID.voxel_size_mm)


@pytest.mark.parametrize(
    "voxels",
    [(0, 0, 0), (0, 0.5, 0.5), (0, 0, -0.5), (0, 1, 0), (0.5, 0, 0), (1, -2.3, 3.7), (0, 0.25, -6.0)],
    ids=str,
)
def test_the_shift_is_found_to_a_tenth_of_a_voxel(voxels: tuple[float, float, float]) -> None:
    away = np.array(voxels)
    fixed, moved = seen(GRID, seed=1), seen(GRID, away_mm=tuple(away * VOXEL), seed=2)
    found = phase_shift(moved.volume, fixed.volume)
    np.testing.assert_allclose(found, -away, atol=0.1)  # it goes back to where it was


def test_brightness_and_shading_do_not_matter() -> None:
    fixed, moved = seen(GRID, seed=1), seen(GRID, away_mm=(0.0, 0.6, -0.7), seed=2)
    shaded = moved.volume * np.linspace(0.5, 1.5, 48, dtype=np.float32) * 1e-6
    np.testing.assert_allclose(phase_shift(shaded, fixed.volume), [0, -0.5, 0.5], atol=0.12)


def test_a_single_slice_has_no_shift_along_z_and_a_constant_volume_none_at_all() -> None:
    fixed, moved = seen(GRID, seed=1).volume[5:6], seen(GRID, away_mm=(0.0, 1.2, 0.0), seed=2).volume[5:6]
    np.testing.assert_allclose(phase_shift(moved, fixed), [0, -1, 0], atol=0.1)
    assert np.isnan(phase_shift(np.zeros_like(fixed), fixed)).all()


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ShapeError, match="one shape"):
        phase_shift(np.zeros((2, 3, 4), np.float32), np.zeros((2, 3, 5), np.float32))
