"""Headers that disagree, one planted difference at a time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mrirecon.evaluation.agreement.findings import Finding, verdict
from mrirecon.evaluation.agreement.place import compare_places
from mrirecon.evaluation.agreement.tolerances import Tolerances
from mrirecon.io.dicom.stack import DicomStack
from mrirecon.scan import Geometry
from tests.evaluation.agreement.scene import grid

SHAPE = (12, 60, 48)


def stack(
    geometry: Geometry | None = None, shape: tuple[int, int, int] = SHAPE, *, slots: tuple[int, ...] | None = None
) -> DicomStack:
    slots = tuple(range(shape[0])) if slots is None else slots
    return DicomStack(
        files=tuple(Path(f"{i}.dcm") for i in slots),
        slots=slots,
        geometry=geometry or grid(),
        shape=shape,
        uneven_mm=0.0,
        study_uid="2.25.1",
        series_uid="2.25.2",
        frame_of_reference_uid="2.25.3",
        identity_removed=False,
        numbered="growing",
    )


THEIRS = replace(stack(), series_uid="2.25.4")


def compare(ours: DicomStack, tolerances: Tolerances | None = None) -> dict[str, Finding]:
    found = compare_places(ours, THEIRS, tolerances or Tolerances())
    assert verdict(found) is not any(f.agrees is False for f in found)
    return {f.name: f for f in found}


def wrong(ours: DicomStack, tolerances: Tolerances | None = None) -> set[str]:
    return {name for name, f in compare(ours, tolerances).items() if f.agrees is False}


def turned(degrees: float) -> Geometry:
    """About the normal, through the middle of the volume."""
    geometry = grid()
    angle = np.radians(degrees)
    y, x, n = geometry.column_direction, geometry.row_direction, geometry.affine[:3, 0].copy()
    affine = np.eye(4)
    affine[:3, 0] = n
    affine[:3, 1] = geometry.voxel_size_mm[1] * (np.cos(angle) * y - np.sin(angle) * x)
    affine[:3, 2] = geometry.voxel_size_mm[2] * (np.cos(angle) * x + np.sin(angle) * y)
    middle = [(m - 1) / 2 for m in SHAPE]
    affine[:3, 3] = geometry.position(middle) - affine[:3, :3] @ middle
    return Geometry(affine, 3.5)


def moved(*mm: float) -> Geometry:
    """Along z, y, x of the grid."""
    geometry = grid()
    affine = geometry.affine.copy()
    affine[:3, 3] += affine[:3, :3] / np.array(geometry.voxel_size_mm) @ np.array(mm)
    return Geometry(affine, 3.5)


def scaled(axis: int, factor: float) -> Geometry:
    geometry = grid()
    affine = geometry.affine.copy()
    affine[:3, axis] *= factor
    middle = np.array([(m - 1) / 2 for m in SHAPE])
    affine[:3, 3] = geometry.position(middle) - affine[:3, :3] @ middle
    return Geometry(affine, 3.5)


def test_the_same_place_agrees_on_every_question() -> None:
    found = compare(stack())
    assert [n for n, f in found.items() if f.agrees is not True] == ["slice order"]
    assert set(found) >= {"study", "frame of reference", "orientation", "position", "pixel spacing", "field of view"}
    assert set(found) >= {"slice step", "slices"}


@pytest.mark.parametrize(
    ("ours", "names"),
    [
        (replace(stack(), study_uid="2.25.9"), {"study"}),
        (replace(stack(), study_uid=None), {"study"}),
        (replace(stack(), frame_of_reference_uid="2.25.9"), {"frame of reference"}),
        (stack(turned(0.8)), {"orientation"}),
        (stack(moved(0, 0, 0.9)), {"position"}),
        (stack(moved(0, -0.6, 0.6)), {"position"}),
        (stack(moved(1.0, 0, 0)), {"position"}),
        (stack(scaled(2, 1.03)), {"pixel spacing", "field of view"}),
        (stack(scaled(1, 0.95)), {"pixel spacing", "field of view"}),
        (stack(slots=(0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11)), {"slices"}),
        (replace(stack(), uneven_mm=0.9), {"slice distances"}),
    ],
    ids=lambda value: " ".join(sorted(value)) if isinstance(value, set) else "",
)
def test_one_planted_difference_is_the_one_that_is_found(ours: DicomStack, names: set[str]) -> None:
    assert wrong(ours) == names


def test_small_differences_are_within_the_stated_tolerances_and_not_within_smaller_ones() -> None:
    ours = stack(turned(0.2))
    assert wrong(ours) == set()
    assert wrong(ours, Tolerances(orientation_deg=0.1)) == {"orientation"}
    assert wrong(stack(moved(0, 0.3, 0.3))) == set()
    assert wrong(stack(moved(0, 0.3, 0.3)), Tolerances(position_mm=0.4)) == {"position"}
    assert wrong(stack(moved(0, 0.9, 0.9)), Tolerances(position_mm=1.4)) == set()
    assert wrong(stack(scaled(2, 1.03)), Tolerances(size_percent=4)) == set()


def test_a_missing_slice_at_the_end_is_named_by_its_number() -> None:
    found = compare(stack(shape=(11, 60, 48)))
    assert found["slices"].agrees is False
    assert found["slices"].values["without_counterpart"] == [11]
    assert "number 12" in found["slices"].text
    inner = compare(stack(slots=(0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11)))
    assert inner["slices"].values["without_counterpart"] == [5]


def test_a_wrong_slice_step_leaves_slices_without_counterpart() -> None:
    assert wrong(stack(scaled(0, 1.2))) == {"slice step", "slices"}
    assert wrong(stack(scaled(0, 1.02))) == {"slice step"}


def test_the_same_place_stored_in_another_order_agrees() -> None:
    for axis in range(3):
        found = compare(stack(grid().flipped(axis, SHAPE[axis])))
        assert {n for n, f in found.items() if f.agrees is False} == set()
        assert "other direction" in found["orientation"].text
    affine = grid().affine[:, [0, 2, 1, 3]]
    found = compare(stack(Geometry(affine, 3.5), (12, 48, 60)))
    assert {n for n, f in found.items() if f.agrees is False} == set()
    assert found["orientation"].values["our_axes"] == [0, 2, 1]


def test_an_interpolated_matrix_is_resampled_not_refused() -> None:
    """Doubled in k-space: half the spacing, the same field of view."""
    found = compare(stack(grid().resampled(SHAPE, (12, 120, 96)), (12, 120, 96)))
    assert {n for n, f in found.items() if f.agrees is False} == set()
    assert found["pixel spacing"].agrees is None
    assert found["field of view"].agrees


def test_study_and_frame_are_not_judged_where_identifiers_were_removed_unless_asked_for() -> None:
    ours = replace(stack(), study_uid="2.25.8", frame_of_reference_uid="2.25.9", identity_removed=True)
    found = compare(ours)
    assert found["study"].agrees is None
    assert "removed" in found["study"].text
    assert wrong(ours, Tolerances(study="required")) == {"study", "frame of reference"}
    assert wrong(replace(ours, identity_removed=False), Tolerances(study="ignored")) == set()


def test_nominal_geometry_cannot_agree() -> None:
    nominal = Geometry.placeholder(shape=SHAPE, voxel_size_mm=(3.5, 1.2, 1.4), slice_thickness_mm=3.5)
    assert wrong(stack(nominal)) == {"geometry"}


def test_no_finding_repeats_an_identifier() -> None:
    ours = replace(stack(), study_uid="2.25.7777", frame_of_reference_uid="2.25.8888")
    assert "2.25." not in repr(list(compare(ours).values()))


@pytest.mark.parametrize(
    "change",
    [{"correlation": 1.2}, {"margin": -1}, {"orientation_deg": 0}, {"shading_order": 9}, {"study": "no"}],
    ids=str,
)
def test_impossible_tolerances_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        Tolerances(**change)
