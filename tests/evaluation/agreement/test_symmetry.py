"""The sixteen orientations and their names."""

from __future__ import annotations

import numpy as np
import pytest

from mrirecon.evaluation.agreement.symmetry import Symmetry, axis_words, describe, symmetries
from tests.evaluation.agreement.scene import grid

ALL = symmetries(slices=True)


def test_they_are_sixteen_different_ones_and_closed_under_inversion() -> None:
    volume = np.random.default_rng(0).random((3, 5, 5))
    turned = {s: s.apply(volume) for s in ALL}
    assert len({t.tobytes() for t in map(np.ascontiguousarray, turned.values())}) == 16
    assert ALL[0].is_identity
    assert sum(s.is_identity for s in ALL) == 1
    for s in ALL:
        np.testing.assert_array_equal(s.inverse().apply(turned[s]), volume)
        assert s.inverse() in ALL
    assert len(symmetries(slices=False)) == 8


@pytest.mark.parametrize("symmetry", ALL, ids=str)
def test_the_matrix_does_to_positions_what_the_flips_do_to_the_array(symmetry: Symmetry) -> None:
    volume = np.random.default_rng(0).random((3, 5, 5))
    turned = symmetry.apply(volume)
    middle = np.array([1.0, 2.0, 2.0])
    for index in np.ndindex(3, 5, 5):
        there = symmetry.matrix() @ (np.array(index) - middle) + middle
        assert turned[index] == volume[tuple(np.rint(there).astype(int))]


def test_quarter_turns_are_named_as_they_are_displayed() -> None:
    """NumPy's rot90 turns counter-clockwise when rows run downwards."""
    volume = np.random.default_rng(0).random((1, 4, 4))
    named = {describe(s, grid()): s.apply(volume)[0] for s in symmetries(slices=False)}
    np.testing.assert_array_equal(named["rotated by 90 degrees clockwise in the plane"], np.rot90(volume[0], -1))
    np.testing.assert_array_equal(named["rotated by 90 degrees counter-clockwise in the plane"], np.rot90(volume[0]))
    half = next(value for name, value in named.items() if "180" in name)
    np.testing.assert_array_equal(half, np.rot90(volume[0], 2))


def test_names_say_the_patient_directions() -> None:
    axial = grid(axial=True)
    assert describe(Symmetry(columns=True), axial) == "mirrored along columns (left-right)"
    assert describe(Symmetry(rows=True), axial) == "mirrored along rows (anterior-posterior)"
    assert describe(Symmetry(slices=True), axial) == "in reversed slice order (head-feet)"
    assert len({describe(s, axial) for s in ALL}) == 16
    assert axis_words(np.array([0.0, 0.0, -1.0])) == "head-feet"
