"""Every planted turn, shift, and object that is not the same."""

from __future__ import annotations

import numpy as np
import pytest

from mrirecon.evaluation.agreement.findings import Finding
from mrirecon.evaluation.agreement.pictures import Placed, compare_pictures
from mrirecon.evaluation.agreement.symmetry import Symmetry, describe, symmetries
from mrirecon.evaluation.agreement.tolerances import Tolerances
from mrirecon.scan import Geometry
from tests.evaluation.agreement.scene import OTHER, grid, seen

GRID = grid()
THEIRS = seen(GRID, seed=1)


def compare(ours: Placed, theirs: Placed = THEIRS, tolerances: Tolerances | None = None) -> dict[str, Finding]:
    return {f.name: f for f in compare_pictures(ours, theirs, tolerances or Tolerances())}


@pytest.mark.parametrize("symmetry", symmetries(slices=True), ids=str)
def test_every_planted_turn_is_named(symmetry: Symmetry) -> None:
    """The header says one thing and the pixels are turned over; the grid is oblique, anisotropic and not square."""
    ours = seen(GRID, turn=symmetry.matrix(), seed=2)
    found = compare(ours)
    orientation = found["picture orientation"]
    assert orientation.values["best"] == describe(symmetry, GRID)
    assert orientation.agrees is symmetry.is_identity
    assert found["likeness"].agrees is symmetry.is_identity
    assert orientation.values["correlation"] > 0.95
    others = [v for name, v in orientation.values["scores"].items() if name != describe(symmetry, GRID)]
    assert max(others) < 0.9
    np.testing.assert_allclose(found["shift"].values["away_voxels_zyx"], 0, atol=0.15)
    if not symmetry.is_identity:
        assert describe(symmetry, GRID) in orientation.text
        assert found["shift"].agrees is None


@pytest.mark.parametrize("symmetry", [Symmetry(), Symmetry(columns=True), Symmetry(rows=True, columns=True)], ids=str)
def test_a_turned_picture_may_be_displaced_as_well(symmetry: Symmetry) -> None:
    """The other Fourier sign mirrors about voxel n // 2: one voxel beside the middle of even axes."""
    turned = symmetry.apply(THEIRS.volume)
    away = (0, -1, 1)
    found = compare(Placed(np.roll(turned, away, (0, 1, 2)), GRID))
    assert found["picture orientation"].values["best"] == describe(symmetry, GRID)
    upright = symmetry.matrix() @ away  # the shift of what is left after undoing the turn
    np.testing.assert_allclose(found["shift"].values["away_voxels_zyx"], upright, atol=0.05)
    if symmetry.is_identity:
        assert found["shift"].agrees is False
        assert "one voxel" in found["shift"].text
    if symmetry == Symmetry(rows=True, columns=True):
        assert "Fourier" in found["picture orientation"].text


@pytest.mark.parametrize(
    ("voxels", "words"),
    [((0.0, 0.0, 0.5), "half a voxel"), ((0.0, -0.5, 0.0), "half a voxel"), ((0.0, 2.0, 0.0), "2 voxels")],
    ids=str,
)
def test_shifts_are_measured_in_millimetres(voxels: tuple[float, float, float], words: str) -> None:
    away = np.array(voxels) * GRID.voxel_size_mm
    found = compare(seen(GRID, away_mm=tuple(away), seed=2))
    assert found["picture orientation"].agrees
    assert found["shift"].agrees is False
    assert words in found["shift"].text
    np.testing.assert_allclose(found["shift"].values["away_mm_zyx"], away, atol=0.1)
    directions = GRID.affine[:3, :3] / np.array(GRID.voxel_size_mm)
    np.testing.assert_allclose(found["shift"].values["away_lps_mm"], directions @ away, atol=0.15)
    assert compare(seen(GRID, away_mm=tuple(away), seed=2), tolerances=Tolerances(shift_mm=9.0))["shift"].agrees


def test_a_header_that_moves_with_the_pixels_is_no_shift() -> None:
    """Stored in other directions and on another grid, but at the same place."""
    flipped = GRID.flipped(2, 48).flipped(0, 12)
    ours = Placed(np.flip(THEIRS.volume, (0, 2)), flipped)
    found = compare(ours)
    assert all(f.agrees for f in found.values())
    np.testing.assert_allclose(found["shift"].values["away_mm_zyx"], 0, atol=1e-3)
    assert found["likeness"].values["correlation"] == pytest.approx(1)


def test_another_matrix_is_resampled() -> None:
    fine = GRID.resampled((12, 60, 48), (12, 120, 96))
    found = compare(seen(GRID, seed=2), seen(fine, (12, 120, 96), seed=1))
    assert all(f.agrees for f in found.values()), found
    found = compare(seen(fine, (12, 120, 96), seed=1), seen(GRID, seed=2))
    assert all(f.agrees for f in found.values()), found
    assert found["likeness"].values["correlation"] > 0.97


def test_unrelated_anatomy_is_not_called_a_flip() -> None:
    found = compare(seen(GRID, blobs=OTHER, seed=2))
    assert found["likeness"].agrees is False
    assert found["picture orientation"].agrees is False
    assert "no orientation" in found["picture orientation"].text
    assert "shift" not in found
    noise = Placed(np.abs(np.random.default_rng(0).standard_normal((12, 60, 48))).astype(np.float32), GRID)
    assert "no orientation" in compare(noise)["picture orientation"].text


def test_a_symmetric_object_is_said_to_be_ambiguous() -> None:
    ball = (((0.0, 0.0, 0.0), 17.0, 1.0),)
    centred = Geometry.from_centre(
        (0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), shape=(9, 41, 41), voxel_size_mm=(4.0, 1.2, 1.2),
        slice_thickness_mm=4.0,
    )  # fmt: skip
    shape = (9, 41, 41)
    at = tuple(float(v) for v in (np.array([41.7, -27.9, 11.3]) * -1))
    placed = [seen(centred, shape, blobs=tuple((at, r, b) for _, r, b in ball), seed=s) for s in (1, 2)]
    orientation = compare(placed[0], placed[1])["picture orientation"]
    assert orientation.agrees
    assert len(orientation.values["ambiguous"]) == 15
    assert "too symmetric" in orientation.text


def test_nominal_and_distant_volumes_are_laid_centre_on_centre() -> None:
    ours = seen(GRID, seed=2)
    nominal = Geometry.placeholder(shape=(12, 60, 48), voxel_size_mm=GRID.voxel_size_mm, slice_thickness_mm=3.5)
    found = compare(Placed(ours.volume, nominal))
    assert found["picture orientation"].agrees
    assert "nominal" in found["likeness"].text
    mirrored = compare(Placed(np.flip(ours.volume, 2), nominal))["picture orientation"]
    assert mirrored.values["best"] == describe(Symmetry(columns=True), GRID)
    affine = GRID.affine.copy()
    affine[:3, 3] += 500
    far = compare(Placed(ours.volume, Geometry(affine, 3.5)))
    assert "hardly overlap" in far["likeness"].text
    assert far["likeness"].values["placed_by_headers"] is False


def test_a_single_slice_has_eight_orientations() -> None:
    one = (1, 60, 48)
    geometry = GRID.crop((5, 0, 0))
    found = compare(
        Placed(np.flip(THEIRS.volume[5:6], 1), geometry), Placed(THEIRS.volume[5:6], geometry)
    )["picture orientation"]  # fmt: skip
    assert len(found.values["scores"]) == 8
    assert found.values["best"] == describe(Symmetry(rows=True), GRID)
    assert THEIRS.volume[5:6].shape == one
