"""Validation of what a sampling mask is asked for, with messages that name the option and the remedy."""

from __future__ import annotations

import operator
from collections.abc import Sequence

from mrirecon.errors import ConfigError

KINDS = ("equispaced", "equispaced-fraction", "random", "gaussian", "magic", "magic-fraction", "poisson-disc")

KINDS_WITH_OFFSET = ("equispaced", "equispaced-fraction", "magic", "magic-fraction")


def check_pattern(kind: str, shape: tuple[int, int], phase_encoding_axis: str, acceleration: float) -> None:
    """`ConfigError` unless kind, grid (ky, kx), phase-encoding axis and acceleration go together."""
    if kind not in KINDS:
        raise ConfigError(f"mask.kind must be one of {', '.join(KINDS)}, got {kind!r}")
    if len(shape) != 2 or any(n < 1 for n in shape):
        raise ConfigError(f"mask.shape must be two positive numbers (ky, kx), got {tuple(shape)}")
    allowed = ("yx",) if kind == "poisson-disc" else ("x", "y")
    if phase_encoding_axis not in allowed:
        raise ConfigError(
            f"mask.phase_encoding_axis must be {' or '.join(allowed)} for the kind {kind}, which undersamples "
            f"{'both axes' if kind == 'poisson-disc' else 'one axis'}, got {phase_encoding_axis!r}"
        )
    n = {"x": shape[1], "y": shape[0], "yx": shape[0] * shape[1]}[phase_encoding_axis]
    if not 1 <= acceleration <= n:
        raise ConfigError(
            f"mask.acceleration must be between 1 (everything) and {n}, the number of phase encodings, "
            f"got {acceleration}"
        )


def check_belongs(kind: str, name: str, value: float | None, kinds: tuple[str, ...]) -> None:
    """`ConfigError` if option `name` is given for a kind of mask that has no such option."""
    if value is not None and kind not in kinds:
        raise ConfigError(f"mask.{name} belongs to the kinds {', '.join(kinds)}, not to {kind}; leave it out")


def checked_seed(seed: int | Sequence[int]) -> int | tuple[int, ...]:
    """The seed as built-in integers; `ConfigError` unless each lies in 0 ... 2^32 - 1."""
    try:
        converted = tuple(map(operator.index, seed)) if isinstance(seed, Sequence) else operator.index(seed)
    except TypeError:
        converted = ()
    parts = converted if isinstance(converted, tuple) else (converted,)
    if not parts or any(not 0 <= part < 2**32 for part in parts):
        raise ConfigError(f"mask.seed must be an integer from 0 to 2^32 - 1, or several of them, got {seed!r}")
    return converted


def centre_count(n: int, centre_lines: int | None, centre_fraction: float | None) -> int:
    """The number of centre lines of `n`, from whichever of the two is given."""
    if (centre_lines is None) == (centre_fraction is None):
        raise ConfigError(
            "exactly one of mask.centre_lines and mask.centre_fraction must be given; 0 is allowed for no centre"
        )
    if centre_fraction is not None and not 0 <= centre_fraction <= 1:
        raise ConfigError(f"mask.centre_fraction must be between 0 and 1, got {centre_fraction}")
    count = centre_lines if centre_fraction is None else round(n * centre_fraction)
    if count is None or not 0 <= count <= n:
        raise ConfigError(f"mask.centre_lines must be between 0 and the {n} lines there are, got {count}")
    return count
