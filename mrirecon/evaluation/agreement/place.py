"""Whether two stacks of slices lie at the same place: study, orientation, position, sizes, slices."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrirecon.evaluation.agreement.findings import Finding
from mrirecon.evaluation.agreement.symmetry import axis_words
from mrirecon.evaluation.agreement.tolerances import Tolerances
from mrirecon.io.dicom.stack import DicomStack

_SHOWN = 12
_UNEVEN = 0.1  # of the slice step


def compare_places(ours: DicomStack, theirs: DicomStack, tolerances: Tolerances) -> tuple[Finding, ...]:
    """Every question about the headers; positions are not judged where one of the grids is nominal."""
    found = [*_references(ours, theirs, tolerances)]
    nominal = [name for name, stack in (("SERIES", ours), ("the other", theirs)) if stack.geometry.nominal]
    if nominal:
        text = f"{' and '.join(nominal)} has nominal geometry (GEOM-NOMINAL): orientation and position are placeholders"
        found.append(Finding("geometry", False, text, {"nominal": True}))
        axes: tuple[int, ...] = (0, 1, 2)
    else:
        orientation, axes = _orientation(ours, theirs, tolerances)
        found += [orientation, _position(ours, theirs, tolerances)]
    found += _sizes(ours, theirs, axes, tolerances)
    found += _slices(ours, theirs, axes, nominal=bool(nominal))
    return tuple(found)


def _references(ours: DicomStack, theirs: DicomStack, tolerances: Tolerances) -> list[Finding]:
    found = []
    removed = ours.identity_removed or theirs.identity_removed
    judged = tolerances.study == "required" or (tolerances.study == "auto" and not removed)
    for name, mine, other in (
        ("study", ours.study_uid, theirs.study_uid),
        ("frame of reference", ours.frame_of_reference_uid, theirs.frame_of_reference_uid),
    ):
        same = mine is not None and mine == other
        if same:
            text = "the same"
        elif mine is None or other is None:
            text = "missing in one of the series"
        else:
            text = "another one"
        if not same and not judged:
            why = "identifiers were removed from one of the series" if removed else "not asked for"
            text += f" (not judged: {why})"
        found.append(Finding(name, same if same or judged else None, text, {"same": same}))
    if ours.series_uid == theirs.series_uid:
        found.append(Finding("series", None, "both are the same series: it is compared with itself", {"same": True}))
    return found


def _orientation(ours: DicomStack, theirs: DicomStack, tolerances: Tolerances) -> tuple[Finding, tuple[int, ...]]:
    """The angle left after pairing axes, and which of our axes belongs to each of theirs."""
    a, b = _cosines(ours), _cosines(theirs)
    inner = b.T @ a  # their axis, our axis
    axes = _paired(np.abs(inner))
    angles = [float(np.degrees(np.arccos(min(abs(inner[i, axis]), 1.0)))) for i, axis in enumerate(axes)]
    worst = max(angles)
    agrees = worst <= tolerances.orientation_deg
    text = f"axes differ by {worst:.3f} degrees at most (allowed {tolerances.orientation_deg:g})"
    reversed_axes = [
        ("slices", "rows", "columns")[i] for i, axis in enumerate(axes) if inner[i, axis] < 0 and axis == i
    ]
    if axes != (0, 1, 2) or reversed_axes:
        how = "rows, columns and slices are stored along other axes" if axes != (0, 1, 2) else ""
        how = how or f"{' and '.join(reversed_axes)} are stored in the other direction"
        text += f"; {how}, which the headers say and the comparison allows for"
    values: dict[str, Any] = {"degrees": worst, "our_axes": list(axes), "reversed": reversed_axes}
    return Finding("orientation", agrees, text, values), axes


def _paired(likeness: NDArray[np.float64]) -> tuple[int, ...]:
    left = likeness.copy()
    axes = [0, 0, 0]
    for _ in range(3):
        i, j = np.unravel_index(int(left.argmax()), left.shape)
        axes[int(i)] = int(j)
        left[i, :] = left[:, j] = -1.0
    return axes[0], axes[1], axes[2]


def _position(ours: DicomStack, theirs: DicomStack, tolerances: Tolerances) -> Finding:
    centres = [s.geometry.position([(n - 1) / 2 for n in s.shape]) for s in (ours, theirs)]
    away = centres[0] - centres[1]
    along = _cosines(theirs).T @ away
    sizes = np.maximum(ours.geometry.voxel_size_mm, theirs.geometry.voxel_size_mm)
    pixel = float(max(sizes[1:]))
    in_plane, through = float(np.hypot(along[1], along[2])), float(abs(along[0]))
    allowed = (
        (0.5 * pixel, 0.25 * float(sizes[0]))
        if tolerances.position_mm is None
        else (tolerances.position_mm, tolerances.position_mm)
    )
    text = (
        f"centres are {np.linalg.norm(away):.2f} mm apart: {in_plane:.2f} mm in the plane (allowed {allowed[0]:.2f}), "
        f"{through:.2f} mm along the normal (allowed {allowed[1]:.2f})"
    )
    values = {"away_lps_mm": [float(v) for v in away], "in_plane_mm": in_plane, "through_plane_mm": through}
    return Finding("position", in_plane <= allowed[0] and through <= allowed[1], text, values)


def _sizes(ours: DicomStack, theirs: DicomStack, axes: tuple[int, ...], tolerances: Tolerances) -> list[Finding]:
    mine = np.array(ours.geometry.voxel_size_mm)[list(axes)]
    other = np.array(theirs.geometry.voxel_size_mm)
    n_mine, n_other = np.array(ours.shape)[list(axes)], np.array(theirs.shape)
    limit = tolerances.size_percent / 100
    allowed = f"(allowed {tolerances.size_percent:g} %)"
    off = np.abs(mine / other - 1)
    same_matrix = bool((n_mine[1:] == n_other[1:]).all())
    agrees = bool(off[1:].max() <= limit)
    text = f"{_pair(mine)} mm against {_pair(other)} mm (y, x) {allowed}"
    if not same_matrix and not agrees:
        text += f"; the matrices differ too, {n_mine[1]} x {n_mine[2]} against {n_other[1]} x {n_other[2]}: resampled"
    spacing = Finding(
        "pixel spacing",
        agrees if agrees or same_matrix else None,
        text,
        {"ours_mm": mine[1:].tolist(), "theirs_mm": other[1:].tolist()},
    )
    fov_mine, fov_other = mine * n_mine, other * n_other
    fov = Finding(
        "field of view",
        bool((np.abs(fov_mine / fov_other - 1)[1:] <= limit).all()),
        f"{_pair(fov_mine)} mm against {_pair(fov_other)} mm (y, x) {allowed}",
        {"ours_mm": fov_mine[1:].tolist(), "theirs_mm": fov_other[1:].tolist()},
    )
    if max(n_mine[0], n_other[0]) == 1:
        return [spacing, fov]
    step = Finding(
        "slice step",
        bool(off[0] <= limit) if min(n_mine[0], n_other[0]) > 1 else None,
        f"{mine[0]:.3f} mm against {other[0]:.3f} mm {allowed}",
        {"ours_mm": float(mine[0]), "theirs_mm": float(other[0])},
    )
    return [spacing, fov, step]


def _pair(values: NDArray[np.float64]) -> str:
    return f"{values[1]:.4g} x {values[2]:.4g}"


def _slices(ours: DicomStack, theirs: DicomStack, axes: tuple[int, ...], *, nominal: bool) -> list[Finding]:
    found = []
    for name, stack in (("SERIES", ours), ("the other series", theirs)):
        step = stack.geometry.voxel_size_mm[0]
        if stack.uneven_mm > _UNEVEN * step:
            text = f"those of {name} are off equal distances by up to {stack.uneven_mm:.2f} mm"
            found.append(Finding("slice distances", False, text, {"off_mm": stack.uneven_mm}))
    if axes[0] != 0:
        found.append(Finding("slices", None, "the series are sliced along different directions; not compared"))
        return found
    n_mine, n_other = len(ours.files), len(theirs.files)
    values: dict[str, Any] = {"ours": n_mine, "theirs": n_other}
    text, agrees = f"{n_mine} against {n_other}", n_mine == n_other
    if not nominal:
        for key, left, right, what in (
            ("without_counterpart", theirs, ours, "SERIES has no slice at the other's"),
            ("too_many", ours, theirs, "the other series has no slice at ours"),
        ):
            alone = _alone(left, right)
            values[key] = alone
            if alone:
                agrees = False
                shown = ", ".join(str(i + 1) for i in alone[:_SHOWN]) + (", ..." if len(alone) > _SHOWN else "")
                text += f"; {what} number {shown} (counted from 1 along row x column)"
    found.append(Finding("slices", agrees, text, values))
    numbered = f"instance numbers {_order(ours)} against {_order(theirs)}"
    found.append(Finding("slice order", None, numbered, {"ours": ours.numbered, "theirs": theirs.numbered}))
    return found


def _order(stack: DicomStack) -> str:
    if stack.numbered == "mixed":
        return "in no spatial order"
    if len(stack.files) == 1:
        return "of a single slice"
    word = "grow" if stack.numbered == "growing" else "fall"
    return f"{word} with the position ({axis_words(stack.geometry.normal)})"


def _alone(left: DicomStack, right: DicomStack) -> list[int]:
    """Slices of `left`, in order, without one of `right` within half a slice step."""
    normal = left.geometry.normal
    step = left.geometry.voxel_size_mm[0]
    mine, other = (
        np.array([s.geometry.position([slot, (s.shape[1] - 1) / 2, (s.shape[2] - 1) / 2]) @ normal for slot in s.slots])
        for s in (left, right)
    )
    nearest = np.abs(mine[:, None] - other[None, :]).min(axis=1)
    return [int(i) for i in np.flatnonzero(nearest > 0.5 * step + 1e-3)]


def _cosines(stack: DicomStack) -> NDArray[np.float64]:
    axes = stack.geometry.affine[:3, :3]
    return np.asarray(axes / np.linalg.norm(axes, axis=0))
