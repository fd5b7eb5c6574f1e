"""The study is turned rigidly until its axes lie along the screen, and the letters say where it came from."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest

from mrirecon.io.nifti.as_bytes import nifti_bytes
from mrirecon.scan.geometry import Geometry
from mrirecon.serving.viewer.display import display_of
from tests.io.phantom_series import make_phantom


@pytest.mark.parametrize("left_handed", [False, True])
def test_an_oblique_grid_is_turned_without_reflection_or_scaling(left_handed: bool) -> None:
    series = make_phantom(left_handed=left_handed).series
    display = display_of(series.geometry, series.image.shape)
    rotation = display.motion[:3, :3]
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1.0)
    shown = display.affine_ras(series.geometry, series.image.shape)[:3, :3]
    np.testing.assert_allclose(np.sort(np.abs(shown).max(axis=0)), np.sort(series.geometry.voxel_size_mm))
    assert (np.abs(shown) > 1e-6).sum() == 3  # one index axis per screen axis
    centre = [(n - 1) / 2 for n in series.image.shape]
    there = np.append(series.geometry.position(centre), 1.0)
    np.testing.assert_allclose(display.motion @ there, there, atol=1e-9)


@pytest.mark.parametrize(
    ("row", "column", "plane"),
    [((1, 0, 0), (0, 1, 0), "axial"), ((1, 0, 0), (0, 0, -1), "coronal"), ((0, 1, 0), (0, 0, -1), "sagittal")],
)
def test_the_acquired_plane_and_its_letters(row: tuple[int, ...], column: tuple[int, ...], plane: str) -> None:
    geometry = Geometry.from_centre(
        (5, 6, 7), row, column, np.cross(row, column), shape=(4, 6, 8), voxel_size_mm=(3, 1, 1), slice_thickness_mm=3
    )
    display = display_of(geometry, (4, 6, 8))
    assert display.plane == plane
    assert display.tilt_deg == pytest.approx(0.0, abs=1e-4)
    assert display.letters() == {"x": ("R", "L"), "y": ("A", "P"), "z": ("F", "H")}


def test_a_tilted_plane_has_compound_letters() -> None:
    angle = np.radians(30)
    row, column = (np.cos(angle), np.sin(angle), 0), (-np.sin(angle), np.cos(angle), 0)
    geometry = Geometry.from_centre(
        (0, 0, 0), row, column, (0, 0, 1), shape=(4, 6, 8), voxel_size_mm=(3, 1, 1), slice_thickness_mm=3
    )
    display = display_of(geometry, (4, 6, 8))
    assert display.tilt_deg == pytest.approx(30.0)
    assert display.letters()["x"] == ("RA", "LP")
    assert display.letters()["z"] == ("F", "H")


def test_bytes_are_a_nifti_file_with_the_window() -> None:
    values = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    affine = np.diag([-1.0, 2.0, 3.0, 1.0])
    image = nibabel.Nifti1Image.from_bytes(nifti_bytes(values, affine, window=(1.5, 20.0)))
    np.testing.assert_array_equal(image.get_fdata().transpose(2, 1, 0), values)
    np.testing.assert_allclose(image.affine, affine)
    assert (float(image.header["cal_min"]), float(image.header["cal_max"])) == (1.5, 20.0)
    assert int(image.header["vox_offset"]) in (0, 352)  # where the page finds the first number
    assert len(image.to_bytes()) == 352 + values.nbytes
