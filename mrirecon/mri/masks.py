"""Sampling masks for retrospective undersampling, each with an identity card from which it can be made again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from mrirecon.errors import ConfigError, ShapeError
from mrirecon.linalg.fft import centre_slice
from mrirecon.mri import mask_patterns
from mrirecon.mri.mask_card import GENERATOR_VERSION, MaskCard, PhaseEncodingAxis, mask_sha256
from mrirecon.mri.mask_options import KINDS, KINDS_WITH_OFFSET, centre_count, check_belongs, check_pattern, checked_seed
from mrirecon.mri.mask_patterns import DEFAULT_GAUSSIAN_WIDTH, Pattern, centre_start
from mrirecon.mri.poisson_disc import poisson_disc

__all__ = ["KINDS", "MaskCard", "SamplingMask", "replay", "sampling_mask"]

DEFAULT_DENSITY_SLOPE = 1.0


@dataclass(frozen=True, eq=False)
class SamplingMask:
    """A mask, bool, broadcastable to k-space (*batch, coil, ky, kx), and its card."""

    mask: Tensor
    card: MaskCard


def sampling_mask(
    kind: str,
    shape: tuple[int, int],
    *,
    acceleration: float,
    phase_encoding_axis: PhaseEncodingAxis,
    seed: int | Sequence[int],
    centre_lines: int | None = None,
    centre_fraction: float | None = None,
    offset: int | None = None,
    gaussian_width: float | None = None,
    density_slope: float | None = None,
    acquired: Tensor | None = None,
) -> SamplingMask:
    """Draw a sampling mask.

    Kinds along one phase-encoding axis (see `mrirecon.mri.mask_patterns` for the rules): ``equispaced``, every R-th
    line, as scanners do; ``equispaced-fraction``, ``random``, ``magic`` and ``magic-fraction``, the conventions of the
    fastMRI package, identical to its masks for the same seed; ``gaussian``, random with a Gaussian density. Over two
    phase-encoding axes: ``poisson-disc`` (see `mrirecon.mri.poisson_disc`). Equispaced and magic masks sample every
    R-th line *besides* the centre lines, so their effective acceleration is lower than asked; the others count the
    centre. With `acceleration` 1 every kind samples everything.

    Parameters
    ----------
    kind
        One of `KINDS`.
    shape
        k-space grid (ky, kx).
    acceleration
        Nominal acceleration R, at least 1; a whole number for equispaced and magic.
    phase_encoding_axis
        "x" or "y"; "yx" for poisson-disc.
    seed
        Integer from 0 to 2^32 - 1, or several: ``tuple(map(ord, file_name))`` gives fastMRI's evaluation masks.
    centre_lines
        Fully sampled lines about the origin (poisson-disc: side of a square). Give this or `centre_fraction`.
    centre_fraction
        The same as a share of the lines, rounded (poisson-disc: of the shorter axis).
    offset
        First sampled line (magic: the pattern's offset); drawn from the seed when omitted.
    gaussian_width
        Standard deviation of the gaussian kind's density as a share of the axis, 0.2 when omitted.
    density_slope
        Growth of the poisson-disc radius from the origin to the edge, 1 when omitted; 0 is uniform density.
    acquired
        Samples that exist, bool, broadcastable to `shape`: the mask is restricted to them, and its accelerations are
        still relative to the whole grid.

    Returns
    -------
        `SamplingMask`; the mask has shape (1, kx) or (ky, 1) for lines along x or y, (ky, kx) for poisson-disc and
        where `acquired` varies along the readout.

    Raises
    ------
    ConfigError
        If the kind is unknown, an option does not belong to it, or the acceleration cannot be reached.
    ShapeError
        If `acquired` does not broadcast to `shape`.

    Examples
    --------
    >>> drawn = sampling_mask("equispaced", (4, 12), acceleration=4, phase_encoding_axis="x", seed=0, centre_lines=2,
    ...                       offset=1)
    >>> drawn.mask.int().tolist()
    [[0, 1, 0, 0, 0, 1, 1, 0, 0, 1, 0, 0]]
    >>> drawn.card.effective_acceleration
    3.0
    """
    check_pattern(kind, shape, phase_encoding_axis, acceleration)
    check_belongs(kind, "offset", offset, KINDS_WITH_OFFSET)
    check_belongs(kind, "gaussian_width", gaussian_width, ("gaussian",))
    check_belongs(kind, "density_slope", density_slope, ("poisson-disc",))
    seed = checked_seed(seed)
    n = {"y": shape[0], "x": shape[1], "yx": min(shape)}[phase_encoding_axis]
    n_centre = centre_count(n, centre_lines, centre_fraction)
    rng = np.random.RandomState(seed)
    if kind == "poisson-disc":
        slope = DEFAULT_DENSITY_SLOPE if density_slope is None else density_slope
        mask, parameters = _poisson(shape, acceleration, n_centre, slope, rng)
    else:
        width = DEFAULT_GAUSSIAN_WIDTH if gaussian_width is None else gaussian_width
        pattern = _lines(kind, n, acceleration, n_centre, rng, offset, width)
        n_centre, parameters = pattern.centre_lines, pattern.parameters
        mask = torch.from_numpy(pattern.lines).unsqueeze(0 if phase_encoding_axis == "x" else 1)
    card = MaskCard(
        kind=kind,
        seed=seed,
        generator_version=GENERATOR_VERSION,
        shape=(int(shape[0]), int(shape[1])),
        phase_encoding_axis=phase_encoding_axis,
        nominal_acceleration=float(acceleration),
        centre_lines=n_centre,
        parameters=parameters,
        n_phase_encodings=0,
        n_sampled=0,
        effective_acceleration=math.nan,
        effective_acceleration_outside_centre=None,
        sha256="",
    )
    return _restricted(mask, card, acquired)


def replay(card: MaskCard, *, acquired: Tensor | None = None) -> SamplingMask:
    """Make the mask of a card again and verify its checksum.

    Parameters
    ----------
    card
        From `SamplingMask.card` or `MaskCard.from_dict`.
    acquired
        The acquired mask again, if the card says that the mask was restricted to one.

    Raises
    ------
    ConfigError
        If the card comes from another version of the generator, needs an acquired mask or another one, or the mask
        drawn differs from the one described.
    """
    if card.generator_version != GENERATOR_VERSION:
        raise ConfigError(
            f"the mask card was written by generator version {card.generator_version}, this program has "
            f"{GENERATOR_VERSION}: its masks differ; keep the mask itself, or use the program version of the card"
        )
    if (card.acquired_sha256 is None) != (acquired is None):
        raise ConfigError(
            "the mask card was made without an acquired mask; leave `acquired` out"
            if card.acquired_sha256 is None
            else "the mask card was restricted to an acquired mask; pass the mask of the same scan as `acquired`"
        )
    options = {name: card.parameters.get(name) for name in ("offset", "gaussian_width", "density_slope")}
    drawn = sampling_mask(
        card.kind,
        card.shape,
        acceleration=card.nominal_acceleration,
        phase_encoding_axis=card.phase_encoding_axis,
        seed=card.seed,
        centre_lines=card.centre_lines,
        offset=None if options["offset"] is None else int(options["offset"]),
        gaussian_width=options["gaussian_width"],
        density_slope=options["density_slope"],
        acquired=acquired,
    )
    if drawn.card.acquired_sha256 != card.acquired_sha256:
        raise ConfigError("`acquired` is not the mask that the card was restricted to; pass that of the same scan")
    if drawn.card != card:
        raise ConfigError(
            f"the mask of the card could not be made again: SHA-256 is {drawn.card.sha256}, the card says "
            f"{card.sha256}; the card was edited, or NumPy's frozen generator differs on this machine"
        )
    return drawn


def _lines(
    kind: str,
    n: int,
    acceleration: float,
    n_centre: int,
    rng: np.random.RandomState,
    offset: int | None,
    width: float,
) -> Pattern:
    if acceleration == 1:
        return Pattern(np.ones(n, dtype=np.bool_), n_centre, {})
    if kind == "random":
        return mask_patterns.random(n, acceleration, n_centre, rng)
    if kind == "gaussian":
        return mask_patterns.gaussian(n, acceleration, n_centre, rng, width)
    draw = {
        "equispaced": mask_patterns.equispaced,
        "equispaced-fraction": mask_patterns.equispaced_fraction,
        "magic": mask_patterns.magic,
        "magic-fraction": mask_patterns.magic_fraction,
    }[kind]
    return draw(n, acceleration, n_centre, rng, offset)


def _poisson(
    shape: tuple[int, int], acceleration: float, n_centre: int, slope: float, rng: np.random.RandomState
) -> tuple[Tensor, dict[str, int | float]]:
    if not 0 <= slope < math.inf:
        raise ConfigError(f"mask.density_slope must not be negative, got {slope}; 0 is uniform, 1 is usual")
    target = round(shape[0] * shape[1] / acceleration)
    if target < n_centre**2:
        raise ConfigError(
            f"mask.acceleration {acceleration:g} on {shape} allows {target} samples, but the centre square of "
            f"{n_centre} x {n_centre} alone has {n_centre**2}; use at most {math.isqrt(target)} centre lines"
        )
    centre = (centre_slice(shape[0], n_centre), centre_slice(shape[1], n_centre))
    return torch.from_numpy(poisson_disc(shape, centre, target, slope, rng)), {"density_slope": slope}


def _restricted(mask: Tensor, card: MaskCard, acquired: Tensor | None) -> SamplingMask:
    """The part of the mask that was acquired, with the card's counts and checksums filled in."""
    acquired_sha256 = None
    if acquired is not None:
        acquired = _compact(acquired, card.shape)
        acquired_sha256 = mask_sha256(acquired)
        mask = mask & acquired
        for axis, name in ((0, "x"), (1, "y")):
            if card.phase_encoding_axis == name and bool((mask == mask.narrow(axis, 0, 1)).all()):
                mask = mask.narrow(axis, 0, 1).clone()
    sampled = {"x": mask.any(dim=0), "y": mask.any(dim=1), "yx": mask}[card.phase_encoding_axis]
    if not bool(sampled.any()):
        raise ConfigError(
            "no acquired sample is left in the mask; lower mask.acceleration, change mask.offset or the seed, or check "
            "the phase-encoding axis"
        )
    outside = torch.ones_like(sampled)
    if card.phase_encoding_axis == "yx":
        outside[tuple(centre_slice(n, card.centre_lines) for n in card.shape)] = False
    else:
        start = centre_start(len(outside), card.centre_lines)
        outside[start : start + card.centre_lines] = False
    n_sampled, n_outside = int(sampled.sum()), int((sampled & outside).sum())
    filled = replace(
        card,
        n_phase_encodings=sampled.numel(),
        n_sampled=n_sampled,
        effective_acceleration=sampled.numel() / n_sampled,
        effective_acceleration_outside_centre=int(outside.sum()) / n_outside if n_outside else None,
        acquired_sha256=acquired_sha256,
        sha256=mask_sha256(mask),
    )
    return SamplingMask(mask, filled)


def _compact(acquired: Tensor, shape: tuple[int, int]) -> Tensor:
    """The acquired mask as bool (ky, kx), reduced to length 1 along axes where it is constant."""
    if acquired.ndim != 2 or any(m not in (1, n) for m, n in zip(acquired.shape, shape, strict=True)):
        raise ShapeError(
            f"`acquired` must have shape (ky={shape[0]} or 1, kx={shape[1]} or 1), got {tuple(acquired.shape)}"
        )
    acquired = acquired.to("cpu", torch.bool)
    for axis in (0, 1):
        if bool((acquired == acquired.narrow(axis, 0, 1)).all()):
            acquired = acquired.narrow(axis, 0, 1)
    return acquired.contiguous()
