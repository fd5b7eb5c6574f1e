"""What an acquired mask is, in numbers: for inspection of files whose header does not say."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from mrirecon.errors import ShapeError
from mrirecon.mri.asymmetry import PartialFourier, acquired_fraction, partial_fourier
from mrirecon.mri.calibration import calibration_size
from mrirecon.mri.mask_card import PhaseEncodingAxis


@dataclass(frozen=True)
class MaskDescription:
    """The sampling of one k-space plane. Counts are of phase encodings: lines, or grid points if both axes are.

    Parameters
    ----------
    sampling
        "full" when every phase encoding was sampled; "1D" when lines along one axis are missing; "2D" when samples
        are missing in a pattern over both axes.
    phase_encoding_axis
        "x" or "y" along which lines are missing, "yx" for 2D; None where the mask does not show it.
    n_phase_encodings, n_sampled
        Of the grid, and sampled. Without a phase-encoding axis they count grid points.
    effective_acceleration
        ``n_phase_encodings / n_sampled``; None if nothing was sampled.
    nominal_acceleration
        The spacing of the lines outside the centre where it is the same throughout; None otherwise, and for 2D.
    centre_lines
        Size (ky, kx) of the fully sampled centred block.
    acquired_fraction
        Share of (ky, kx) in the acquired interval, gaps of undersampling included; zero padding lowers it.
    partial_fourier
        The asymmetrically acquired axes, an asymmetric echo among them.
    """

    sampling: Literal["full", "1D", "2D"]
    phase_encoding_axis: PhaseEncodingAxis | None
    n_phase_encodings: int
    n_sampled: int
    effective_acceleration: float | None
    nominal_acceleration: float | None
    centre_lines: tuple[int, int]
    acquired_fraction: tuple[float, float]
    partial_fourier: tuple[PartialFourier, ...]


def describe_mask(
    mask: Tensor, shape: tuple[int, int], *, phase_encoding_axis: Literal["x", "y"] | None = None
) -> MaskDescription:
    """Describe an acquired mask.

    Parameters
    ----------
    mask
        Which samples were acquired, bool, shape (ky, kx), 1 along an axis where it is constant. For a 3D scan, the
        plane (kz, ky) of the two phase encodings, called y and x here.
    shape
        The k-space grid (ky, kx).
    phase_encoding_axis
        From the protocol, if known. Without it, the axis with gaps; missing margins alone do not tell the phase
        encoding from the readout (partial Fourier from an asymmetric echo).

    Raises
    ------
    ShapeError
        If `mask` does not broadcast to `shape`.
    """
    if mask.ndim != 2 or any(m not in (1, n) for m, n in zip(mask.shape, shape, strict=True)):
        raise ShapeError(f"`mask` must have shape (ky={shape[0]} or 1, kx={shape[1]} or 1), got {tuple(mask.shape)}")
    full = mask.to("cpu", torch.bool).expand(shape)
    profiles = {"y": full.any(dim=1), "x": full.any(dim=0)}
    separable = bool((torch.outer(profiles["y"], profiles["x"]) == full).all())
    axis = _phase_encoding(profiles, phase_encoding_axis) if separable else "yx"
    if axis in ("x", "y"):
        n, n_sampled = profiles[axis].numel(), int(profiles[axis].sum())
        nominal = _spacing(profiles[axis])
    else:
        n, n_sampled = full.numel(), int(full.sum())
        nominal = 1.0 if n == n_sampled else None
    return MaskDescription(
        sampling="full" if n == n_sampled else ("2D" if axis == "yx" else "1D"),
        phase_encoding_axis=axis,
        n_phase_encodings=n,
        n_sampled=n_sampled,
        effective_acceleration=n / n_sampled if n_sampled else None,
        nominal_acceleration=nominal,
        centre_lines=calibration_size(full),
        acquired_fraction=acquired_fraction(full),
        partial_fourier=partial_fourier(full),
    )


def _phase_encoding(profiles: dict[str, Tensor], known: Literal["x", "y"] | None) -> PhaseEncodingAxis | None:
    """The axis with gaps between sampled positions, "yx" if both have; else the known or the only incomplete one."""
    gaps = [name for name, profile in profiles.items() if _has_gaps(profile)]
    if len(gaps) == 2:
        return "yx"
    if gaps:
        return "y" if gaps == ["y"] else "x"
    if known is not None:
        return known
    incomplete = [name for name, profile in profiles.items() if not bool(profile.all())]
    if len(incomplete) != 1:
        return None
    return "y" if incomplete == ["y"] else "x"


def _has_gaps(profile: Tensor) -> bool:
    steps = torch.nonzero(profile).flatten().diff()
    return bool((steps > 1).any())


def _spacing(profile: Tensor) -> float | None:
    """The distance of neighbouring lines outside the sampled run about the origin, if it is one number."""
    sampled = torch.nonzero(profile).flatten().tolist()
    if len(sampled) < 2:
        return None
    steps = [b - a for a, b in pairwise(sampled)]
    if all(step == 1 for step in steps):
        return 1.0
    origin = profile.numel() // 2
    low = high = min(sampled, key=lambda i: abs(i - origin))
    while low - 1 in sampled:
        low -= 1
    while high + 1 in sampled:
        high += 1
    below = [i for i in sampled if i < low]
    above = [i for i in sampled if i > high]
    # the step from the run to its neighbours is shortened by the run, unless the run is a single line
    ends = [[*below, low], [high, *above]] if low == high else [below, above]
    outside = {b - a for side in ends for a, b in pairwise(side)}
    return float(outside.pop()) if len(outside) == 1 else None
