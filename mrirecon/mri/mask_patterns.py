"""Which lines of one phase-encoding axis are sampled: one function per pattern, on n lines with the origin at n // 2.

Random numbers come from NumPy's `RandomState`, whose streams are frozen for good, so that a seed means the same mask
in every version. The patterns that fastMRI defined draw in the same order as fastMRI's mask functions and are
identical to theirs for the same seed, number of centre lines and acceleration.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrirecon.errors import ConfigError

Lines = NDArray[np.bool_]

DEFAULT_GAUSSIAN_WIDTH = 0.2


@dataclass(frozen=True)
class Pattern:
    """The sampled lines, and what was settled while drawing them: number of centre lines, offset where there is one."""

    lines: Lines
    centre_lines: int
    parameters: dict[str, int | float]


def centre_start(n: int, centre_lines: int) -> int:
    """First of the centre lines: ``(n - centre_lines + 1) // 2``, as in fastMRI.

    The block is symmetric about the origin or has one line more on the low side; for odd n and an even count, on the
    high side.
    """
    return (n - centre_lines + 1) // 2


def equispaced(
    n: int, acceleration: float, centre_lines: int, rng: np.random.RandomState, offset: int | None
) -> Pattern:
    """Lines i with ``i = offset (mod R)``, integer R, and the centre; the offset is drawn from 0 ... R - 1."""
    spacing = _whole(acceleration, "equispaced")
    offset = int(rng.randint(0, high=spacing)) if offset is None else _offset(offset, spacing)
    lines = np.arange(n) % spacing == offset
    return _with_centre(lines, centre_lines, {"offset": offset})


def equispaced_fraction(
    n: int, acceleration: float, centre_lines: int, rng: np.random.RandomState, offset: int | None
) -> Pattern:
    """Lines at rounded multiples of a fractional spacing, chosen so that about n / R lines result with the centre.

    The spacing is ``R (n - c) / (n - c R)`` for c centre lines: outside the centre n / R - c of n - c lines. Lines are
    therefore not equally spaced in general, which rules out GRAPPA; `equispaced` is the pattern of a scanner.
    """
    _require_room(n, acceleration, centre_lines, "equispaced-fraction")
    spacing = (acceleration * (centre_lines - n)) / (centre_lines * acceleration - n)
    offset = int(rng.randint(0, high=round(spacing))) if offset is None else _offset(offset, round(spacing))
    lines = np.zeros(n, dtype=np.bool_)
    lines[np.around(np.arange(offset, n - 1, spacing)).astype(np.int64)] = True
    return _with_centre(lines, centre_lines, {"offset": offset})


def random(n: int, acceleration: float, centre_lines: int, rng: np.random.RandomState) -> Pattern:
    """Every line outside the centre with the same probability; n / R lines result on average, not exactly."""
    _require_room(n, acceleration, centre_lines, "random")
    probability = (n / acceleration - centre_lines) / (n - centre_lines)
    return _with_centre(rng.uniform(size=n) < probability, centre_lines, {})


def gaussian(n: int, acceleration: float, centre_lines: int, rng: np.random.RandomState, width: float) -> Pattern:
    """Exactly round(n / R) lines: outside the centre drawn without replacement, weighted by a Gaussian of |k|.

    The weight of line i is ``exp(-((i - n // 2) / (width n))^2 / 2)``; the lines with the smallest exponential variate
    over weight are taken (Efraimidis and Spirakis, Inf. Process. Lett. 97, 2006, doi:10.1016/j.ipl.2005.11.003).
    """
    if not 0 < width < math.inf:
        raise ConfigError(
            f"mask.gaussian_width must be a positive share of the grid, got {width}; "
            f"{DEFAULT_GAUSSIAN_WIDTH} is usual, larger is more uniform"
        )
    _require_room(n, acceleration, centre_lines, "gaussian")
    # logarithms of the keys, because the weights of far lines underflow
    position = (np.arange(n) - n // 2) / (width * n)
    uniform = np.maximum(rng.random_sample(n), np.finfo(np.float64).tiny)
    keys = np.log(-np.log(uniform)) + 0.5 * position**2
    start = centre_start(n, centre_lines)
    keys[start : start + centre_lines] = np.inf
    lines = np.zeros(n, dtype=np.bool_)
    lines[np.argsort(keys, kind="stable")[: max(round(n / acceleration) - centre_lines, 0)]] = True
    return _with_centre(lines, centre_lines, {"gaussian_width": width})


def magic(n: int, acceleration: float, centre_lines: int, rng: np.random.RandomState, offset: int | None) -> Pattern:
    """Every R-th line, shifted between the two halves so that no line's conjugate partner is sampled too.

    Frequencies f >= 0 are sampled at ``f = p (mod R), f >= p``, frequencies f < 0 at ``-f - 1 = q (mod R),
    -f - 1 >= q``, with (p, q) = (o + 1, o + 2) for an even offset o and (o + 2, o - 1) for an odd one; o is drawn from
    0 ... R - 1. Defazio, Offset sampling improves deep learning based accelerated MRI reconstructions by exploiting
    symmetry, arXiv:1912.01101, 2019.
    """
    spacing = _whole(acceleration, "magic")
    offset = int(rng.randint(0, high=spacing)) if offset is None else _offset(offset, spacing)
    positive, negative = (offset + 1, offset + 2) if offset % 2 == 0 else (offset + 2, offset - 1)
    frequency = np.arange(n) - n // 2
    steps = np.where(frequency >= 0, frequency - positive, -frequency - 1 - negative)
    return _with_centre((steps >= 0) & (steps % spacing == 0), centre_lines, {"offset": offset})


def magic_fraction(
    n: int, acceleration: float, centre_lines: int, rng: np.random.RandomState, offset: int | None
) -> Pattern:
    """`magic` with the spacing widened so that about n / R lines result with the centre.

    At most round(n / R) and at least one centre line are kept, whatever was asked. The spacing is a whole number, so
    the total can be more than a tenth off.
    """
    target = round(n / acceleration)
    centre_lines = max(min(centre_lines, target), 1)
    if target <= centre_lines:
        raise ConfigError(
            f"mask.acceleration {acceleration:g} leaves {target} of {n} lines and {centre_lines} of them are centre "
            "lines: none is left for the outside; lower mask.centre_lines or mask.acceleration"
        )
    return magic(n, round(n / (target - centre_lines)), centre_lines, rng, offset)


def _with_centre(lines: Lines, centre_lines: int, parameters: dict[str, int | float]) -> Pattern:
    start = centre_start(len(lines), centre_lines)
    lines = lines.copy()
    lines[start : start + centre_lines] = True
    return Pattern(lines, centre_lines, parameters)


def _whole(acceleration: float, kind: str) -> int:
    if acceleration != int(acceleration):
        raise ConfigError(
            f"mask.acceleration of an {kind} mask must be a whole number, got {acceleration:g}; "
            "use the kind equispaced-fraction for others"
        )
    return int(acceleration)


def _offset(offset: int, spacing: int) -> int:
    if not 0 <= offset < spacing:
        raise ConfigError(f"mask.offset must be between 0 and {spacing - 1}, one less than the spacing, got {offset}")
    return offset


def _require_room(n: int, acceleration: float, centre_lines: int, kind: str) -> None:
    if centre_lines * acceleration >= n:
        raise ConfigError(
            f"mask.acceleration {acceleration:g} on {n} lines allows {n / acceleration:.1f} of them in a mask of kind "
            f"{kind}, but {centre_lines} centre lines are asked for; use at most {math.ceil(n / acceleration) - 1} "
            f"centre lines, or an acceleration below {n / max(centre_lines, 1):.2f}"
        )
