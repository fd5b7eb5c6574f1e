"""Measures of an image for which there is no reference, each with every parameter that changes its value.

`object` in their descriptions is where the magnitude of a few conjugate-gradient steps on the acquired data, smoothed
over 5 x 5 pixels, exceeds `object_threshold` times its 99th percentile: the same pixels for every method.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mrirecon.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class UncertaintyMeasure:
    """Mean of the standard-deviation map in the object over the mean magnitude there: what the method itself claims.

    Parameters
    ----------
    object_threshold
        See above.
    """

    object_threshold: float = 0.2
    kind: Literal["uncertainty"] = "uncertainty"
    version: int = 1

    def __post_init__(self) -> None:
        _check_threshold(self.object_threshold)


@dataclass(frozen=True, kw_only=True)
class RepeatabilityMeasure:
    """Root mean variance of the magnitude between repetitions in the object, over the mean magnitude there.

    Parameters
    ----------
    source
        ``repetition``: a second measurement of the same object, half of the squared difference; ``replicas``: the one
        measurement with noise of the measured level added, which the noise alone makes vary (no motion, no drift).
    replicas
        Noisy copies; 0 for a repetition.
    object_threshold
        See above.
    """

    source: Literal["repetition", "replicas"] = "replicas"
    replicas: int = 5
    object_threshold: float = 0.2
    kind: Literal["repeatability"] = "repeatability"
    version: int = 1

    def __post_init__(self) -> None:
        _check_threshold(self.object_threshold)
        if (self.source == "repetition") != (self.replicas == 0) or self.replicas == 1 or self.replicas < 0:
            raise ConfigError(
                f"`replicas` must be at least 2, or 0 with `source: repetition`, got {self.replicas} ({self.source})"
            )


@dataclass(frozen=True, kw_only=True)
class HeldOutMeasure:
    """How well acquired lines are predicted from the others: r = y - A x on lines that x was not made from.

    The lines outside the fully sampled centre are dealt at random into `parts`; each of the first `evaluated` parts is
    left out in turn and the image reconstructed from the rest.

    Parameters
    ----------
    parts, evaluated
        Of K-fold cross-validation; a tenth at a time by default.
    normalisation
        ``noise``: ||r||^2 / (2 sigma^2 n) - 1 over the n complex samples left out, an unbiased estimate of the
        squared error of the predicted k-space in units of the noise variance, 0 for the truth; ``data``: ||r|| over
        the norm of the data left out, their noise included.
    """

    parts: int = 10
    evaluated: int = 5
    normalisation: Literal["noise", "data"] = "noise"
    kind: Literal["held-out"] = "held-out"
    version: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.evaluated <= self.parts or self.parts < 2:
            raise ConfigError(f"1 <= `evaluated` <= `parts` is needed, got {self.evaluated} and {self.parts}")


def _check_threshold(value: float) -> None:
    if not 0 < value < 1:
        raise ConfigError(f"`object_threshold` must be between 0 and 1, got {value}")
