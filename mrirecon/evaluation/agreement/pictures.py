"""Whether two volumes show the same thing, and which way round."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrirecon.evaluation.agreement.findings import Finding
from mrirecon.evaluation.agreement.resample import on_grid
from mrirecon.evaluation.agreement.shift import phase_shift
from mrirecon.evaluation.agreement.similarity import fitted_correlation, foreground
from mrirecon.evaluation.agreement.symmetry import Symmetry, axis_words, describe, symmetries
from mrirecon.evaluation.agreement.tolerances import Tolerances
from mrirecon.scan.geometry import Geometry

_IN_PLANE = 96
_SLICES = 32
_FARTHEST = 0.3  # of the side: shifts beyond are not looked for
_OVERLAP = 0.5
_LEAST = 0.6  # below this no orientation is called the right one
_AXES = ("slices", "rows", "columns")


@dataclass(frozen=True)
class Placed:
    """A volume (z, y, x) and its grid."""

    volume: NDArray[np.float32]
    geometry: Geometry


@dataclass(frozen=True)
class _Score:
    symmetry: Symmetry
    correlation: float


def compare_pictures(ours: Placed, theirs: Placed, tolerances: Tolerances) -> tuple[Finding, ...]:
    """Orientation by likeness, correlation where the headers put the pictures, and the shift between them.

    Every one of the sixteen orientations is scored on a coarse grid at its best displacement; the named one wins by
    more than the margin, or nothing is said. The shift is measured on the other series' own grid, in that orientation.
    """
    fixed = theirs.geometry
    affine, how = _placed(ours, theirs)
    scores = _scores(ours.volume, affine, theirs)
    identity = next(s for s in scores if s.symmetry.is_identity)
    best = max(scores, key=lambda s: s.correlation)
    if identity.correlation >= best.correlation - tolerances.margin:
        best = identity
    moved, inside = _turned(ours.volume, affine, theirs, best.symmetry)
    shift = phase_shift(moved, theirs.volume)
    as_placed = moved if best.symmetry.is_identity else on_grid(
        ours.volume, affine, target=fixed.affine, shape=_shape(theirs.volume)
    )[0]  # fmt: skip
    known = best.correlation >= max(_LEAST, tolerances.correlation - 0.2)
    found = [_orientation(scores, best, identity, fixed, tolerances, known=known)]
    found.append(_likeness(as_placed, theirs, inside, how, tolerances))
    if known:
        found.append(_shift(shift, theirs, best.symmetry, tolerances, ours.geometry))
    return tuple(found)


def _placed(ours: Placed, theirs: Placed) -> tuple[NDArray[np.float64], str]:
    """The matrix by which our volume is laid on theirs: its own, unless that is nominal or leads elsewhere."""
    nominal = ours.geometry.nominal or theirs.geometry.nominal
    if not nominal:
        _, inside = on_grid(
            ours.volume, ours.geometry.affine, target=theirs.geometry.affine, shape=_shape(theirs.volume)
        )
        if inside.mean() >= _OVERLAP:
            return ours.geometry.affine, ""
    axes = theirs.geometry.affine[:3, :3]
    affine = np.eye(4)
    affine[:3, :3] = axes / np.linalg.norm(axes, axis=0) * ours.geometry.voxel_size_mm
    middle = np.array([(n - 1) / 2 for n in ours.volume.shape])
    centre = theirs.geometry.position([(n - 1) / 2 for n in theirs.volume.shape])
    affine[:3, 3] = centre - affine[:3, :3] @ middle
    why = "one geometry is nominal" if nominal else "by their headers the volumes hardly overlap"
    return affine, f"laid centre on centre, because {why}"


def _scores(volume: NDArray[np.float32], affine: NDArray[np.float64], theirs: Placed) -> list[_Score]:
    """The sixteen orientations (eight for a single slice) on a square grid about their centre."""
    shape = theirs.volume.shape
    sizes = np.array(theirs.geometry.voxel_size_mm)
    side = float(max(sizes[1:] * shape[1:]))
    n = min(_IN_PLANE, max(shape[1:]))
    slices = min(_SLICES, shape[0])
    grid_sizes = np.array([sizes[0] * shape[0] / slices, side / n, side / n])
    axes = theirs.geometry.affine[:3, :3] / sizes
    target = np.eye(4)
    target[:3, :3] = axes * grid_sizes
    centre = theirs.geometry.position([(m - 1) / 2 for m in shape])
    coarse = (slices, n, n)
    target[:3, 3] = centre - target[:3, :3] @ np.array([(m - 1) / 2 for m in coarse])
    fixed = on_grid(theirs.volume, theirs.geometry.affine, target=target, shape=coarse)[0]
    moving = on_grid(volume, affine, target=target, shape=coarse)[0]
    spectrum = np.fft.fftn(_whole(fixed))
    scores = []
    for symmetry in symmetries(slices=slices > 1):
        turned = symmetry.apply(moving)
        steps = _best_steps(spectrum, turned)
        laid = np.roll(turned, steps, axis=(0, 1, 2))
        mask = foreground(laid, fixed)
        scores.append(_Score(symmetry, fitted_correlation(laid, fixed, mask=mask, shading_order=1)))
    return scores


def _whole(volume: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(volume - volume.mean())


def _best_steps(spectrum: NDArray[np.complex128], turned: NDArray[np.float32]) -> tuple[int, int, int]:
    """The whole-voxel displacement, within a third of each side, at which the product of the volumes is largest."""
    surface = np.fft.ifftn(spectrum * np.fft.fftn(_whole(turned)).conj()).real
    for axis, n in enumerate(surface.shape):
        steps = np.abs(np.fft.fftfreq(n) * n)
        far = steps > _FARTHEST * n
        surface[tuple(far if i == axis else slice(None) for i in range(3))] = -np.inf
    peak = np.unravel_index(int(surface.argmax()), surface.shape)
    whole = [int(p) if p <= n // 2 else int(p) - n for p, n in zip(peak, surface.shape, strict=True)]
    return whole[0], whole[1], whole[2]


def _turned(
    volume: NDArray[np.float32], affine: NDArray[np.float64], theirs: Placed, symmetry: Symmetry
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Our volume on their grid, turned over about its centre in millimetres; and where it has voxels."""
    shape = _shape(theirs.volume)
    axes = theirs.geometry.affine[:3, :3] / np.array(theirs.geometry.voxel_size_mm)
    turn = np.eye(4)
    turn[:3, :3] = axes @ symmetry.matrix() @ axes.T
    centre = theirs.geometry.position([(n - 1) / 2 for n in shape])
    turn[:3, 3] = centre - turn[:3, :3] @ centre
    return on_grid(volume, affine, target=turn @ theirs.geometry.affine, shape=shape)


def _orientation(
    scores: list[_Score], best: _Score, identity: _Score, fixed: Geometry, tolerances: Tolerances, *, known: bool
) -> Finding:
    difference = best.symmetry.inverse()
    values: dict[str, Any] = {
        "best": describe(difference, fixed),
        "correlation": best.correlation,
        "same_orientation_correlation": identity.correlation,
        "scores": {describe(s.symmetry.inverse(), fixed): s.correlation for s in scores},
    }
    if not known:
        text = (
            "the pictures are alike in no orientation: this is other anatomy, another contrast, or no image (best "
            f"correlation {best.correlation:.2f}, {values['best']})"
        )
        return Finding("picture orientation", False, text, values)
    if best.symmetry.is_identity:
        others = [s for s in scores if not s.symmetry.is_identity]
        next_best = max(others, key=lambda s: s.correlation)
        values["ambiguous"] = [
            describe(s.symmetry.inverse(), fixed)
            for s in others
            if s.correlation > identity.correlation - tolerances.margin
        ]
        text = f"the same (correlation {identity.correlation:.3f}; {describe(next_best.symmetry.inverse(), fixed)} "
        text += f"would give {next_best.correlation:.3f})"
        if values["ambiguous"]:
            text += "; the object is too symmetric to rule that out"
        return Finding("picture orientation", True, text, values)
    text = (
        f"the image is {values['best']}: correlation {best.correlation:.3f} after undoing it, "
        f"{identity.correlation:.3f} as it is"
    )
    if difference in (Symmetry(rows=True, columns=True), Symmetry(rows=True, columns=True, slices=True)):
        text += "; a Fourier transform of the other sign does that (k-space needs its complex conjugate)"
    return Finding("picture orientation", False, text, values)


def _likeness(
    laid: NDArray[np.float32], theirs: Placed, inside: NDArray[np.bool_], how: str, tolerances: Tolerances
) -> Finding:
    mask = foreground(laid, theirs.volume) & inside
    value = fitted_correlation(laid, theirs.volume, mask=mask, shading_order=tolerances.shading_order)
    text = f"correlation {value:.3f} {how or 'where the headers put them'} (needs {tolerances.correlation:g})"
    plain = fitted_correlation(laid, theirs.volume, mask=mask, shading_order=0)
    values = {"correlation": value, "correlation_without_shading_fit": plain, "placed_by_headers": not how}
    return Finding("likeness", value >= tolerances.correlation, text, values)


def _shift(
    shift: NDArray[np.float64], theirs: Placed, symmetry: Symmetry, tolerances: Tolerances, ours: Geometry
) -> Finding:
    sizes = np.array(theirs.geometry.voxel_size_mm)
    away = np.round(-shift, 4) + 0.0  # where our picture lies, seen from theirs; without a negative zero
    coarser = np.maximum(sizes, ours.voxel_size_mm)
    limit = np.full(3, tolerances.shift_mm) if tolerances.shift_mm is not None else tolerances.shift_voxels * coarser
    away_mm = np.round(away * sizes, 3) + 0.0
    directions = (theirs.geometry.affine[:3, 0], theirs.geometry.column_direction, theirs.geometry.row_direction)
    parts = []
    for axis in (2, 1, 0):
        if theirs.volume.shape[axis] > 1:
            parts.append(
                f"{np.round(away_mm[axis], 2) + 0.0:+.2f} mm ({_voxels(away[axis])}) across {_AXES[axis]} "
                f"({axis_words(directions[axis])}, allowed {limit[axis]:.2f})"
            )
    agrees = bool((np.abs(away_mm) <= limit).all())
    text = ", ".join(parts)
    if not symmetry.is_identity:
        text += ", after turning it the right way round"
    values = {
        "away_mm_zyx": away_mm.tolist(),
        "away_voxels_zyx": away.tolist(),
        "away_lps_mm": (theirs.geometry.affine[:3, :3] @ away).tolist(),
        "after_turning": not symmetry.is_identity,
    }
    return Finding("shift", agrees if symmetry.is_identity else None, text, values)


def _voxels(value: float) -> str:
    nearest = round(2 * value) / 2
    if abs(value - nearest) > 0.12:
        return f"{value:+.2f} voxels"
    whole, half = divmod(abs(nearest), 1)
    words = {(0, 0): "none", (0, 0.5): "half a voxel", (1, 0): "one voxel"}
    return words.get((int(whole), half), f"{abs(nearest):g} voxels")


def _shape(volume: NDArray[np.float32]) -> tuple[int, int, int]:
    z, y, x = volume.shape
    return z, y, x
